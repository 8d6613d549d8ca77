"""`dead-letters`: what could not be stored can be seen, mended, given to the intake again, or dropped."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from progress_context.errors import LogUnavailable
from progress_context.intake.messages import MessageIntake, buried_in
from progress_context.intake.pubsub_message import Limits, Message
from progress_context.intake.pubsub_push import read_push
from progress_context.log import dead_letters
from progress_context.log.database import Pool, acquire, connect, open_pool
from progress_context.log.dead_letters import MAX_PAYLOAD, DeadLetter
from progress_context.log.event import Outcome

SUBSCRIPTION = "projects/p/subscriptions/progress-command-learning-events"
STRUCTURED = {"content-type": "application/cloudevents+json"}
LIMITS = Limits(max_body=1_000_000, max_events=2, max_skew=timedelta(hours=1))
BATCH = {"content-type": "application/cloudevents-batch+json"}
NOW = datetime.now(UTC).isoformat()


def judged(event_id: str, **changes: Any) -> bytes:
    event = {
        "specversion": "1.0", "id": event_id, "source": "/app", "type": "learning.CorrectnessJudged",
        "subject": "ada", "time": NOW,
        "data": {"item_id": "w-1", "judgment": "AutoConfirmed"},
    } | changes  # fmt: skip
    return json.dumps(event).encode()


class Desk:
    """A database with dead letters, and the commands a person types about them."""

    def __init__(self, database: str, pool: Pool) -> None:
        self.database = database
        self.pool = pool
        self._intake = MessageIntake(self._submit, buried_in(pool), LIMITS)

    async def _submit(self, events: Any, size: int) -> list[Outcome]:
        return [Outcome("invalid", path="data", reason="not today") for _ in events]

    async def receive(self, data: bytes, attributes: Mapping[str, str] = STRUCTURED, **fields: Any) -> None:
        """A message comes that cannot be stored."""
        standard: dict[str, Any] = {
            "channel": "pull", "subscription": SUBSCRIPTION, "message_id": "m-1", "ordering_key": "ada",
        }  # fmt: skip
        await self._intake.take([Message(data=data, attributes=attributes, **(standard | fields))])

    async def receive_push(self, body: bytes) -> None:
        """The same by push."""
        await self._intake.take([read_push(body)])

    async def command(
        self, *arguments: str, stdin: int = subprocess.DEVNULL, **environment: str
    ) -> tuple[int, str]:
        """Exit code and everything printed."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "progress_context", "dead-letters", *arguments],
            env={**os.environ, "DATABASE_URL": self.database, "COLUMNS": "200"} | environment,
            stdin=stdin, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    async def letter(self, letter_id: int = 1) -> asyncpg.Record:
        """All of a letter."""
        async with acquire(self.pool) as connection:
            found = await dead_letters.find(connection, letter_id)
            assert found is not None
            return found

    async def ids(self) -> list[str]:
        """What is in the log."""
        async with acquire(self.pool) as connection:
            return [
                row["id"] for row in await connection.fetch("SELECT id FROM log.events ORDER BY position")
            ]


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    pool = await open_pool(database_url, "progress_command", size=2)
    yield Desk(database_url, pool)
    pool.terminate()


async def test_the_list_says_what_is_wrong(desk: Desk) -> None:
    assert await desk.command("list") == (0, "no dead letters\n")
    await desk.receive(judged("e-1", time="soon"))
    await desk.receive(b"{", message_id="m-2", subscription="projects/p/subscriptions/other")
    await desk.receive(judged("e-1", time="soon"))
    code, shown = await desk.command("list")
    assert code == 0
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [
        ["2", "other"], ["1", "progress-command-learning-events"],
    ]  # fmt: skip
    assert "invalid_event: time:" in shown
    assert "malformed_json: The body is not JSON" in shown


async def test_the_list_can_be_narrowed_and_read_by_programs(desk: Desk) -> None:
    await desk.receive(judged("e-1", time="soon"))
    await desk.receive(b"{", message_id="m-2", subscription="projects/p/subscriptions/other_one")
    await desk.receive(b"{", message_id="m-3", subscription="projects/p/subscriptions/otherXone")

    async def listed(*arguments: str) -> list[int]:
        _, text = await desk.command("list", "--json", *arguments)
        return [json.loads(line)["letter_id"] for line in text.splitlines()]

    assert await listed() == [3, 2, 1]
    assert await listed("--limit", "1") == [3]
    assert await listed("--subscription", "other_one") == [2]
    assert await listed("--subscription", SUBSCRIPTION) == [1]
    assert await listed("--code", "invalid_event") == [1]
    await desk.command("drop", "1", "--yes")
    assert await listed() == [3, 2]
    assert await listed("--settled") == [3, 2, 1]
    _, text = await desk.command("list", "--json", "--settled", "--code", "invalid_event")
    row = json.loads(text)
    assert (row["settled_as"], row["attempts"], row["path"], row["size"] > 0) == ("dropped", 1, "time", True)


async def test_show_prints_everything_and_writes_the_payload_byte_for_byte(
    desk: Desk, tmp_path: Path
) -> None:
    payload = b'{"id": "\x1b[31m\xff\0' + b"x" * 10_000
    await desk.receive(payload, STRUCTURED | {"origin": "ü\0"})
    code, shown = await desk.command("show", "1", "--payload", str(tmp_path / "payload"))
    assert code == 0
    assert (tmp_path / "payload").read_bytes() == payload
    for part in (
        SUBSCRIPTION,
        "m-1",
        "ada",
        "malformed_json",
        "content-type",
        "\\x1b[31m\\xff\\x00",
        "bytes more",
    ):
        assert part in shown
    assert "\x1b[31m" not in shown
    code, shown = await desk.command("show", "9")
    assert code == 2
    assert "no dead letter 9" in shown


async def test_a_retry_succeeds_after_the_fix(desk: Desk) -> None:
    """What was refused under narrow limits, or by a log that could not hold it, is stored with the new ones."""
    await desk.receive(b"[" + b",".join(judged(f"e-{n}") for n in range(3)) + b"]", BATCH)
    assert (await desk.letter())["code"] == "too_many_events"
    assert await desk.command("retry", "1", PROGRESS_MAX_BATCH_EVENTS="2") == (
        1, "1: still refused: too_many_events: more than 2 events in one request\n",
    )  # fmt: skip
    assert (await desk.letter())["attempts"] == 2
    expected = "1: stored at position 1, stored at position 2, stored at position 3\n"
    assert await desk.command("retry", "1") == (0, expected)
    assert await desk.ids() == ["e-0", "e-1", "e-2"]
    row = await desk.letter()
    assert (row["settled_as"], row["payload"], row["attributes"], row["ordering_key"]) == (
        "stored",
        None,
        None,
        "",
    )
    assert await desk.command("retry", "1") == (0, "1: was stored already\n")
    assert await desk.command("retry", "7") == (1, "7: there is no such letter\n")


async def test_a_payload_can_be_mended(desk: Desk, tmp_path: Path) -> None:
    await desk.receive(judged("e-1", subject=7))
    mended = tmp_path / "mended"
    mended.write_bytes(judged("e-1", subject=8))
    code, shown = await desk.command("retry", "1", "--edit", str(mended))
    assert (code, "still refused: invalid_event: subject" in shown) == (1, True)
    assert json.loads((await desk.letter())["payload"])["subject"] == 7  # as it came, whatever was tried
    mended.write_bytes(judged("e-1"))
    assert await desk.command("retry", "1", "--edit", str(mended)) == (0, "1: stored at position 1\n")
    assert (await desk.letter())["settled_as"] == "edited"


async def test_attributes_can_be_mended(desk: Desk) -> None:
    event = json.loads(judged("e-1"))
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    await desk.receive(
        json.dumps(event["data"]).encode(), attributes | {"ce-time": "soon", "ce-timezone": "Mars"}
    )
    changes = ("--attribute", "ce-time=2026-03-01T12:00:00Z", "--attribute", "ce-timezone=")
    assert await desk.command("retry", "1", *changes) == (0, "1: stored at position 1\n")
    assert await desk.ids() == ["e-1"]


async def test_a_push_without_a_message_can_be_mended(desk: Desk, tmp_path: Path) -> None:
    await desk.receive_push(b'{"message": {"messageId": "1", "data": "no base64!"}}')
    code, shown = await desk.command("retry", "1")
    assert (code, shown) == (1, "1: still refused: malformed_base64: message.data: Not base64\n")
    (tmp_path / "event").write_bytes(judged("e-1"))
    assert await desk.command("retry", "1", "--edit", str(tmp_path / "event")) == (
        0,
        "1: stored at position 1\n",
    )


async def test_all_that_wait_are_retried_and_a_repetition_is_harmless(desk: Desk) -> None:
    for number in range(3):
        await desk.receive(judged(f"e-{number}"), message_id=f"m-{number}")
    await desk.receive(judged("e-0"), message_id="m-0 sent twice")
    await desk.receive(judged("e-0", subject="bob"), message_id="another e-0")
    code, shown = await desk.command("retry", "--all")
    assert code == 1
    assert shown.splitlines()[:4] == [
        "1: stored at position 1", "2: stored at position 2", "3: stored at position 3", "4: duplicate at position 1",
    ]  # fmt: skip
    assert "5: still refused: conflict: subject" in shown
    async with acquire(desk.pool) as connection:
        assert await dead_letters.count_waiting(connection) == 1


async def test_drop_deletes_the_content_and_keeps_the_fact(desk: Desk) -> None:
    await desk.receive(judged("e-1", time="soon"))
    code, shown = await desk.command("drop", "1")
    assert (code, "--yes" in shown) == (2, True)
    assert (await desk.letter())["settled_as"] is None
    assert await desk.command("drop", "1", "--yes") == (0, "dropped 1\n")
    row = await desk.letter()
    assert (row["settled_as"], row["payload"], row["attributes"], row["ordering_key"]) == (
        "dropped",
        None,
        None,
        "",
    )
    code, shown = await desk.command("drop", "1", "--yes")
    assert (code, "do not wait" in shown) == (1, True)
    code, shown = await desk.command("show", "1", "--payload", "/dev/null")
    assert (code, "the payload is gone" in shown) == (2, True)


@pytest.mark.parametrize(("answer", "settled"), [("y", "dropped"), ("n", None), ("", None)])
async def test_drop_asks_whoever_is_there(desk: Desk, answer: str, settled: str | None) -> None:
    await desk.receive(judged("e-1", time="soon"))
    person, terminal = os.openpty()
    os.write(person, f"{answer}\n".encode())
    try:
        code, shown = await desk.command("drop", "--all", stdin=terminal)
    finally:
        os.close(person)
        os.close(terminal)
    assert "Delete the content of all letters?" in shown
    assert (code == 0, (await desk.letter())["settled_as"]) == (settled is not None, settled)


async def test_a_redelivery_does_not_undo_what_was_decided(desk: Desk) -> None:
    await desk.receive(judged("e-1", time="soon"))
    await desk.command("drop", "1", "--yes")
    await desk.receive(b"{")
    row = await desk.letter()
    assert (row["settled_as"], row["attempts"], row["code"], row["payload"]) == (
        "dropped",
        2,
        "invalid_event",
        None,
    )


@pytest.mark.parametrize(
    "arguments",
    [("retry",), ("drop", "--yes"), ("retry", "1", "--all"), ("retry", "1", "2", "--edit", "x"),
     ("retry", "--all", "--attribute", "a=b"), ("retry", "1", "--edit", "/nowhere"), ("retry", "1", "--attribute", "a")],
    ids=" ".join,
)  # fmt: skip
async def test_unclear_commands_change_nothing(desk: Desk, arguments: tuple[str, ...]) -> None:
    await desk.receive(judged("e-1"))
    code, _ = await desk.command(*arguments)
    assert code == 2
    assert (await desk.letter())["attempts"] == 1


async def test_without_the_database_a_retry_says_so(desk: Desk) -> None:
    await desk.receive(judged("e-1"))
    nowhere = desk.database.replace(desk.database.rsplit(":", 1)[1], "1/nowhere")
    code, shown = await desk.command("retry", "1", DATABASE_URL=nowhere)
    assert (code, "PostgreSQL is not available" in shown) == (1, True)
    assert (await desk.letter())["attempts"] == 1


def letter(**changes: Any) -> DeadLetter:
    standard: dict[str, Any] = {
        "channel": "pull", "subscription": SUBSCRIPTION, "message_id": "m", "ordering_key": "", "published_at": None,
        "wrapped": False, "attributes": {}, "payload": b"", "code": "c", "path": "", "reason": "r",
    }  # fmt: skip
    return DeadLetter(**(standard | changes))


async def test_any_text_and_any_size_can_be_kept(desk: Desk) -> None:
    odd = "\0\ud800" + "x" * 100_000
    hostile = letter(
        subscription=odd, message_id=odd, ordering_key=odd, attributes={odd: odd}, path=odd, reason=odd,
        payload=bytes(MAX_PAYLOAD + 1),
    )  # fmt: skip
    async with acquire(desk.pool) as connection:
        await dead_letters.bury(connection, [hostile, letter(), hostile])
    row = await desk.letter()
    assert (row["attempts"], row["size"], len(row["payload"])) == (2, MAX_PAYLOAD + 1, MAX_PAYLOAD)
    assert json.loads(row["attributes"]) == {odd: odd}
    code, _ = await desk.command("list")
    assert code == 0


async def test_only_the_command_service_reads_what_people_sent(desk: Desk) -> None:
    await desk.receive(judged("e-1", time="soon"))
    for role in ("progress_query", "progress_projection"):
        connection = await connect(desk.database, role)
        assert (
            await connection.fetchval("SELECT count(*) FROM ops.dead_letters WHERE settled_at IS NULL") == 1
        )
        for statement in ("SELECT payload FROM ops.dead_letters", "SELECT attributes FROM ops.dead_letters",
                          "SELECT reason FROM ops.dead_letters", "DELETE FROM ops.dead_letters"):  # fmt: skip
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()


async def test_a_letter_that_cannot_be_kept_stops_the_acknowledgement(desk: Desk) -> None:
    desk.pool.terminate()
    with pytest.raises(LogUnavailable):
        await desk.receive(b"{")
