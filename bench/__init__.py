"""Benchmarks beside the peers, on one server in one run: `python -m bench.ingest`, `python -m bench.live`."""
