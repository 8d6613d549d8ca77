"""`python -m pubsub_emulator`: prints its address, then serves until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from pubsub_emulator.server import Emulator


async def serve(port: int, faults: dict[str, object]) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Emulator(port) as emulator:
        emulator.broker.faults.set(**faults)
        print(emulator.address, flush=True)  # noqa: T201 - whoever started it reads the address
        await stop.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="pubsub_emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--faults", type=json.loads, default={}, help='switches, as {"copies": 3}')
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.faults))


if __name__ == "__main__":
    main()
