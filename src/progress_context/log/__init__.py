"""The event log: append-only, contiguous positions, visible in order."""
