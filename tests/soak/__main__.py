"""`python -m soak`: prints a line for each fault, then the verdict; exit code 1 when something was violated."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from rich.console import Console

from soak.run import Plan, Report, Soak

INTERRUPTED = 130

console = Console(highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Read the arguments, soak, tell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background makes us ignore it
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=1_000, help="events a second")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--recovery", type=float, default=15, help="most seconds until all is well again")
    parser.add_argument("--keep", type=Path, help="a folder for data and logs, which stays")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="pc-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    plan = Plan(chosen.seconds, chosen.rate, chosen.seed, chosen.recovery)
    console.print(f"soak {plan}")
    try:
        report = asyncio.run(Soak(plan, folder, console.print).run())
    except KeyboardInterrupt:
        console.print(f"interrupted; everything is stopped. Again: {plan}")
        sys.exit(INTERRUPTED)
    except Exception:
        console.print(f"broken off. Again: {plan}")
        raise
    finally:
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    show(report, plan)


def show(report: Report, plan: Plan) -> None:
    """Figures, then the verdict."""
    for name, figure in report.figures.items():
        console.print(f"{name}: {figure}")
    for sentence in report.wrong:
        console.print(f"violated: {sentence}")
    console.print(f"{'violated' if report.wrong else 'everything held'}. Again: {plan}")
    sys.exit(1 if report.wrong else 0)


if __name__ == "__main__":
    main()
