"""The services: thin entry points, wiring only."""
