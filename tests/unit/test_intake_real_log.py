"""A real, pseudonymised MOOC log becomes events without a loss."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from progress_context.intake.xapi import map_statement_lines
from progress_context.log.event import NewEvent

NOW = datetime(2026, 11, 1, tzinfo=UTC)
REAL = Path(__file__).parents[3] / "shared/data/ralph_xapi/statements.json.gz"


@pytest.mark.skipif(not REAL.exists(), reason="../shared/data/ralph_xapi is absent")
def test_a_real_log_maps_without_a_loss() -> None:
    parsed = map_statement_lines(gzip.decompress(REAL.read_bytes()), now=NOW)
    events = [p for p in parsed if isinstance(p, NewEvent)]
    assert len(events) == len(parsed) == 22_000
    assert len({e.learner_id for e in events}) == 1_452
    assert len({(e.source, e.id) for e in events}) == 22_000
    assert {e.zone for e in events} == {None}
    assert Counter(e.type for e in events) == {
        "learning.ActivityRecorded": 6_603 + 6_480 + 3_546 + 2_995 + 54,
        "learning.SessionStarted": 1_348,
        "learning.SessionCompleted": 636 + 338,
    }
    sessions = {json.loads(e.data).get("session_id") for e in events}
    assert len(sessions - {None}) == 3_656
    for event in events[:1_000]:
        assert event.learner_id is not None
        assert event.learner_id.partition("|")[2] not in event.data
