"""RFC 3339 times and ISO 8601 durations, read strictly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from progress_context.intake.instant import read_duration, read_instant


@pytest.mark.parametrize(
    ("text", "utc", "offset"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00", None),
        ("2026-03-01t12:00:00z", "2026-03-01T12:00:00", None),
        ("2026-03-01T12:00:00-00:00", "2026-03-01T12:00:00", None),
        ("2026-03-01T12:00:00+00:00", "2026-03-01T12:00:00", "+00:00"),
        ("2026-03-01T12:00:00.5+05:30", "2026-03-01T06:30:00.500000", "+05:30"),
        ("2026-03-01T12:00:00.1234567899-09:30", "2026-03-01T21:30:00.123456", "-09:30"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999", None),
        ("2017-01-01T00:59:60.7+01:00", "2016-12-31T23:59:59.999999", "+01:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00", None),
        ("0001-01-01T00:00:00+15:59", None, "+15:59"),
    ],
)
def test_a_time_reads_with_the_offset_it_states(text: str, utc: str | None, offset: str | None) -> None:
    moment, stated = read_instant(text)
    assert stated == offset
    if utc is not None:
        assert moment == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-03-01", "2026-03-01T12:00:00", "2026-03-01 12:00:00Z", "2026-03-01T12:00Z",
        "20260301T120000Z", "2026-W09-7T12:00:00Z", "2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z",
        "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z", "2026-03-01T12:00:61Z",
        "2026-03-01T12:00:60Z", "2026-03-01T12:00:00+1:00", "2026-03-01T12:00:00+0100",
        "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00+16:00", "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00,5Z", "2026-03-01T12:00:00Z\n", " 2026-03-01T12:00:00Z",
        "٢٠٢٦-03-01T12:00:00Z", "0000-01-01T00:00:00Z", "2026-03-01T12:00:00." + "1" * 31 + "Z",
    ],
)  # fmt: skip
def test_any_other_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|no such date|second 60"):
        read_instant(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT1H4.5S", timedelta(hours=1, seconds=4.5)),
        ("PT0,25S", timedelta(milliseconds=250)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("P2W", timedelta(weeks=2)),
        ("PT1.5H", timedelta(minutes=90)),
        ("P0Y0M0DT0H1M2S", timedelta(seconds=62)),
        ("PT0S", timedelta(0)),
    ],
)
def test_a_duration_reads_in_seconds(text: str, length: timedelta) -> None:
    assert read_duration(text) == length.total_seconds()


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "1H", "-PT1S", "PT-1S", "PT1S1M", "P1Y", "P1M", "pt1s", "PT1S "]
)
def test_any_other_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"ISO 8601|no length"):
        read_duration(text)
