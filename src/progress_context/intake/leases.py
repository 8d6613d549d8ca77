"""Messages that are with us: kept ours until they are acknowledged or given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import structlog
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument, NotFound
from google.pubsub_v1 import AcknowledgeRequest, ModifyAckDeadlineRequest, SubscriberAsyncClient

LEASE_SECONDS = 60  # how long a message is ours if we die
EXTEND_SECONDS = 20.0
CALL_SECONDS = 10.0
CALL_IDS = 1_000  # ack ids in one request
CLOSE_SECONDS = 2.0

Pauses = Callable[[], Iterator[float]]

log = structlog.get_logger(__name__)


class Leases:
    """The leases of one subscription, by ack id. `run` must be running for anything to happen to them."""

    def __init__(self, client: SubscriberAsyncClient, subscription: str, pauses: Pauses) -> None:
        self._client = client
        self._subscription = subscription
        self._pauses = pauses
        self._held: dict[str, None] = {}
        self._done: dict[str, None] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, ack_ids: Iterable[str]) -> None:
        """These are ours from now on."""
        self._held.update(dict.fromkeys(ack_ids))

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """These need not be delivered again; they stay ours until Google has heard of it."""
        self._done.update(dict.fromkeys(ack_ids))
        self._changed.set()

    async def run(self) -> None:
        """Extend and acknowledge until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._extend_for_ever())
            tasks.create_task(self._acknowledge_for_ever())

    async def give_back(self) -> None:
        """Acknowledge what is done and let others have the rest at once; a failure only delays them."""
        with suppress(TimeoutError, GoogleAPICallError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._acknowledge_done()
        with suppress(TimeoutError, GoogleAPICallError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._set_deadline(0)

    async def _extend_for_ever(self) -> None:
        while True:
            await asyncio.sleep(EXTEND_SECONDS)
            try:
                await self._set_deadline(LEASE_SECONDS)
            except GoogleAPICallError as error:
                log.warning("leases_not_extended", subscription=self._subscription, error=error.message)

    async def _acknowledge_for_ever(self) -> None:
        pauses = self._pauses()
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._acknowledge_done()
                pauses = self._pauses()
            except GoogleAPICallError as error:
                log.info("messages_not_acknowledged", subscription=self._subscription, error=error.message)
                self._changed.set()
                await asyncio.sleep(next(pauses))

    async def _acknowledge_done(self) -> None:
        for some in _pieces(list(self._done)):
            request = AcknowledgeRequest(subscription=self._subscription, ack_ids=some)
            with suppress(InvalidArgument, NotFound):  # they are nobody's any more: forget them
                await self._client.acknowledge(request, retry=None, timeout=CALL_SECONDS)
            for ack_id in some:
                self._done.pop(ack_id, None)
                self._held.pop(ack_id, None)

    async def _set_deadline(self, seconds: int) -> None:
        for some in _pieces(list(self._held)):
            request = ModifyAckDeadlineRequest(
                subscription=self._subscription, ack_ids=some, ack_deadline_seconds=seconds
            )
            with suppress(InvalidArgument, NotFound):
                await self._client.modify_ack_deadline(request, retry=None, timeout=CALL_SECONDS)


def _pieces(ack_ids: Sequence[str]) -> list[Sequence[str]]:
    return [ack_ids[start : start + CALL_IDS] for start in range(0, len(ack_ids), CALL_IDS)]
