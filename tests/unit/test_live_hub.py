"""The hub: who is looked at when, what is computed for whom, and what waits; database and clients are played."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any, cast

from progress_context.delivery.changes import Changes
from progress_context.errors import LogUnavailable
from progress_context.query.subscriptions.hub import Feed, Hub
from progress_context.query.subscriptions.looks import Look, Looker, Point
from progress_context.query.subscriptions.payloads import Composer, NotNow, Payload, PayloadRefused, Payloads
from progress_context.query.subscriptions.stream import MILESTONE, PROGRESS, STREAK, Stream
from waiting import until

KEY = 7
DAY = date(2026, 11, 23)


class PlayedStream:
    """A stream as the hub knows it."""

    def __init__(self, field: str = PROGRESS, user_id: str = "ada") -> None:
        self.field = field
        self.user_id = user_id


class PlayedFeed(Feed):
    """A client that takes what it is given when the test says so."""

    def __init__(self, stream: PlayedStream, after: int | None = 0) -> None:
        super().__init__(cast("Stream", stream), after)
        self.given: list[str] = []
        self.failed: list[str] = []

    def give(self, payloads: Sequence[Payload]) -> None:
        self.given += [payload.text for payload in payloads]

    def fail(self, errors: str) -> None:
        self.failed.append(errors)


class World:
    """A log with one learner, a looker at it, and a composer."""

    def __init__(self) -> None:
        self.visible = 0
        self.newest = 0
        self.looks_taken: list[set[Point]] = []
        self.composed: list[tuple[str, int]] = []
        self.looking: list[Exception] = []
        self.composing: list[Exception] = []
        self.shown = b"1"
        self.slowness = asyncio.Event()
        self.slowness.set()
        self.at_once = 100
        self.hub = Hub(cast("Looker", self), cast("Composer", self), poll_seconds=60)

    def happens(self, position: int) -> None:
        self.visible = self.newest = position

    async def looks(self, points: Collection[Point]) -> dict[Point, Look]:
        self.looks_taken.append(set(points))
        if self.looking:
            raise self.looking.pop()
        return {
            (user, after): Look(
                self.visible,
                KEY if user == "ada" else None,
                self.newest,
                DAY if after is not None and self.newest > after else None,
                DAY,
            )
            for user, after in points
        }

    async def compose(self, stream: PlayedStream, after: int, look: Look) -> Payloads:
        self.composed.append((stream.field, after))
        await self.slowness.wait()
        if self.composing:
            raise self.composing.pop()
        upto = min(look.position, after + self.at_once)
        return Payloads([Payload(upto, f"{after}-{upto}")], upto, self.shown)

    async def settles(self) -> None:
        """Let everything go on that does not wait."""
        for _ in range(20):
            await asyncio.sleep(0)

    def news(self, visible: int, upto: int | None = None, *keys: int) -> None:
        self.hub.hear(Changes(visible, visible if upto is None else upto, frozenset(keys or (KEY,))))


@asynccontextmanager
async def world() -> AsyncGenerator[World]:
    played = World()
    tasks = [asyncio.create_task(played.hub.run())]
    try:
        yield played
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def gets(feed: PlayedFeed, *texts: str) -> None:
    """Wait until a feed was given exactly this."""

    async def has() -> bool:
        return feed.given == list(texts)

    await until(has, seconds=5)


def made(played: World, *feeds: PlayedFeed) -> Any:
    for feed in feeds:
        played.hub.join(feed)
    return feeds


async def test_equal_streams_are_computed_once() -> None:
    async with world() as played:
        played.happens(3)
        stream = PlayedStream()
        feeds = made(
            played, *(PlayedFeed(stream) for _ in range(5)), PlayedFeed(stream, 2), PlayedFeed(stream, 3)
        )
        for feed in feeds[:5]:
            await gets(feed, "0-3")
        await gets(feeds[5], "2-3")
        await played.settles()
        assert feeds[6].given == []
        assert sorted(played.composed) == [(PROGRESS, 0), (PROGRESS, 2)]
        assert len(played.looks_taken) == 1


async def test_what_happens_while_a_client_is_busy_comes_as_one() -> None:
    async with world() as played:
        played.happens(1)
        feed = PlayedFeed(PlayedStream())
        made(played, feed)
        await gets(feed, "0-1")
        for position in (2, 3, 4):
            played.happens(position)
            played.news(position)
            await played.settles()
        assert feed.given == ["0-1"]
        played.hub.written(feed)
        await gets(feed, "0-1", "1-4")


async def test_without_a_position_only_what_comes_is_told() -> None:
    async with world() as played:
        played.happens(5)
        feed = PlayedFeed(PlayedStream(), None)
        made(played, feed)
        await played.settles()
        assert (feed.given, feed.after) == ([], 5)
        played.happens(6)
        played.news(6)
        await gets(feed, "5-6")


async def test_news_that_are_ahead_of_what_is_visible_wait_for_it() -> None:
    """Shards advance one by one."""
    async with world() as played:
        played.happens(1)
        feed = PlayedFeed(PlayedStream(), 1)
        made(played, feed)
        await played.settles()
        looked = len(played.looks_taken)
        played.news(1, 9)
        await played.settles()
        assert len(played.looks_taken) == looked
        played.happens(9)
        played.news(9, 9, 12345)
        await gets(feed, "1-9")


async def test_a_position_never_goes_back() -> None:
    async with world() as played:
        played.happens(4)
        feed = PlayedFeed(PlayedStream(), 9)
        made(played, feed)
        for position in (5, 9):
            played.happens(position)
            played.news(position)
            await played.settles()
        assert (feed.given, feed.after) == ([], 9)
        played.happens(10)
        played.news(10)
        await gets(feed, "9-10")


async def test_a_streak_is_told_when_it_is_another() -> None:
    async with world() as played:
        played.happens(1)
        feed = PlayedFeed(PlayedStream(STREAK), 1)
        made(played, feed)
        await played.settles()
        for position, shown in ((2, b"1"), (3, b"2")):
            played.shown = shown
            played.happens(position)
            played.news(position)
            await played.settles()
        assert feed.given == ["2-3"]
        again = PlayedFeed(PlayedStream(STREAK), 2)
        made(played, again)
        await gets(again, "2-3")


async def test_milestones_go_on_where_a_page_of_them_ended() -> None:
    async with world() as played:
        played.at_once = 2
        played.happens(5)
        feed = PlayedFeed(PlayedStream(MILESTONE))
        made(played, feed)
        for texts in (["0-2"], ["0-2", "2-4"], ["0-2", "2-4", "4-5"]):
            await gets(feed, *texts)
            played.hub.written(feed)
        await played.settles()
        assert len(feed.given) == 3


async def test_trouble_delays_and_loses_nothing() -> None:
    async with world() as played:
        played.happens(1)
        played.looking, played.composing = [LogUnavailable("away")], [NotNow("later")]
        feed = PlayedFeed(PlayedStream())
        made(played, feed)
        await gets(feed, "0-1")
        assert not feed.failed


async def test_what_can_never_be_computed_ends_the_operation_and_no_other() -> None:
    async with world() as played:
        played.happens(1)
        for trouble in (PayloadRefused('[{"message":"no"}]'), ValueError("a bug")):
            played.composing = [trouble]
            feed = PlayedFeed(PlayedStream())
            made(played, feed)
            await played.settles()
            assert (feed.left, len(feed.failed)) == (True, 1)
        unknown = PlayedFeed(PlayedStream(user_id="nobody"))
        made(played, unknown)
        await played.settles()
        assert "LEARNER_UNKNOWN" in unknown.failed[0]
        good = PlayedFeed(PlayedStream())
        made(played, good)
        await gets(good, "0-1")


async def test_who_left_is_given_nothing() -> None:
    async with world() as played:
        played.happens(1)
        feed, other = PlayedFeed(PlayedStream(), 1), PlayedFeed(PlayedStream(), 1)
        made(played, feed, other)
        await played.settles()
        played.hub.leave(feed)
        played.hub.leave(feed)
        played.happens(2)
        played.news(2)
        await gets(other, "1-2")
        assert feed.given == []


async def test_who_leaves_while_their_payload_is_computed_is_given_nothing() -> None:
    async with world() as played:
        played.happens(1)
        played.slowness.clear()
        stream = PlayedStream()
        feed, other = PlayedFeed(stream), PlayedFeed(stream)
        made(played, feed, other)
        await played.settles()
        played.hub.leave(feed)
        played.slowness.set()
        await gets(other, "0-1")
        assert feed.given == []
