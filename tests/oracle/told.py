"""Histories told event by event, for examples worked out by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from oracle import counted
from oracle.paper_log import PaperLog
from oracle.recount import DEFAULT_POLICY, Policy, Recount, recount
from progress_context.log.event import NewEvent

NINE = datetime(2026, 3, 24, 9, tzinfo=UTC)
TODAY = NINE.date()
DAY = timedelta(days=1)


class Told:
    """A history of `ada`, at nine on the first day unless said otherwise; ids are e1, e2, e3 …"""

    def __init__(self) -> None:
        self.log = PaperLog()

    def event(self, event_type: str, at: datetime = NINE, learner: str | None = "ada", **data: Any) -> Told:
        """Tell one event with this payload."""
        event_id = f"e{len(self.log.events) + 1}"
        text = json.dumps(data)
        self.log.append([NewEvent("urn:test", event_id, event_type, 1, learner, at, None, text)])
        return self

    def judged(self, at: datetime = NINE, item: str = "cat", *, ok: bool = True, **data: Any) -> Told:
        """Tell of an answer that was judged correct, or not."""
        judgment = "AutoConfirmed" if ok else "UserConfirmedIncorrect"
        return self.event(counted.JUDGED, at, item_id=item, judgment=judgment, **data)

    def completed(self, at: datetime = NINE, session: str = "s", **data: Any) -> Told:
        """Tell of the end of a session."""
        return self.event(counted.COMPLETED, at, session_id=session, **data)

    def void(self, event_id: str, learner: str = "ada") -> Told:
        """Take back an event."""
        return self.event(counted.VOID, NINE, learner, source="urn:test", id=event_id)

    def active(self, *offsets: int) -> Told:
        """Tell of one activity on each of these days, counted from the first."""
        for offset in offsets:
            self.event(counted.ACTIVITY, NINE + offset * DAY, activity_id="a", verb="read")
        return self

    def recount(self, policy: Policy = DEFAULT_POLICY) -> Recount:
        """The oracle's answer to what was told so far."""
        return recount(self.log.events, policy)
