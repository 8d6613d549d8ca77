"""`python -m pubsub_emulator`: prints its address, then serves until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

from pubsub_emulator.push import PushKey
from pubsub_emulator.server import Emulator


async def serve(port: int, faults: dict[str, object], push_key: PushKey | None, journal: Path | None) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Emulator(port, push_key, journal) as emulator:
        emulator.broker.faults.set(**faults)
        print(emulator.address, flush=True)
        await stop.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="pubsub_emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--faults", type=json.loads, default={}, help='switches, as {"copies": 3}')
    parser.add_argument("--push-key", type=Path, help="private key (PEM) that signs the tokens of pushes")
    parser.add_argument("--push-key-id", default="push", help="kid of that key")
    parser.add_argument("--journal", type=Path, help="file from which it goes on when it was killed")
    chosen = parser.parse_args()
    push_key = PushKey(chosen.push_key.read_text(), chosen.push_key_id) if chosen.push_key else None
    asyncio.run(serve(chosen.port, chosen.faults, push_key, chosen.journal))


if __name__ == "__main__":
    main()
