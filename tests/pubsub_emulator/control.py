"""Turning the switches of an emulator from outside: JSON over a gRPC method of its own."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import grpc

from pubsub_emulator.broker import Broker

METHOD = "/pubsub_emulator.Control/Command"


class Control:
    """The server's side."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def command(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do `request`: any of reset, faults, advance; answers switches and stock, or what is wrong."""
        try:
            if request.get("reset"):
                self._broker.faults.reset()
            self._broker.faults.set(**request.get("faults", {}))
        except ValueError as error:
            return {"wrong": str(error)}
        if request.get("advance"):
            self._broker.clock.advance(request["advance"])
            self._broker.tick()
            self._broker.drop_older()
        return {"faults": asdict(self._broker.faults), "subscriptions": self._stock()}

    def _stock(self) -> dict[str, dict[str, int]]:
        return {
            name: {"waiting": len(backlog.entries) - len(backlog.leases), "leased": len(backlog.leases)}
            for name, backlog in self._broker.subscriptions.items()
        }


class RemoteControl:
    """The client's side, for an emulator at `address` (host:port). Blocks for a moment at each call."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._call = self._channel.unary_unary(METHOD)

    def _command(self, **request: Any) -> dict[str, Any]:
        answer = json.loads(self._call(json.dumps(request).encode(), timeout=30, wait_for_ready=True))
        if "wrong" in answer:
            raise ValueError(answer["wrong"])
        return answer

    def set(self, **switches: Any) -> None:
        """Turn fault switches, see `Faults`; the others stay. Raises ValueError for one that does not exist."""
        self._command(faults=switches)

    def reset(self) -> None:
        """Turn all fault switches off."""
        self._command(reset=True)

    def advance(self, seconds: float) -> None:
        """Let this much time pass at once: ack deadlines, backoffs and retention run out."""
        self._command(advance=seconds)

    def waiting(self, subscription: str) -> int:
        """Messages of a subscription (full name) that are neither leased nor acknowledged."""
        return self._command()["subscriptions"][subscription]["waiting"]

    def leased(self, subscription: str) -> int:
        """Messages of a subscription (full name) that are with a subscriber now."""
        return self._command()["subscriptions"][subscription]["leased"]

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
