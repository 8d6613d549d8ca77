"""`python -m progress_context`."""

from progress_context.cli import main

if __name__ == "__main__":
    main()
