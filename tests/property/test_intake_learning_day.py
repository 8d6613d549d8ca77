"""The learning day against plain integer arithmetic."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from hypothesis import assume, given
from hypothesis import strategies as st

from progress_context.intake.instant import read_instant
from progress_context.intake.learning_day import learning_day, zone_names, zone_of

INSTANTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
ZONES = st.sampled_from(sorted(zone_names()))
OFFSETS = st.integers(-15 * 60 - 59, 15 * 60 + 59)
HOURS = st.integers(0, 23)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def counted_day(instant: datetime, offset: timedelta, rollover_hour: int) -> date:
    """The day by counting whole seconds since 1970: no calendar, no wall clock."""
    seconds = (instant - EPOCH) // timedelta(seconds=1) + int(offset.total_seconds())
    return date(1970, 1, 1) + timedelta(days=(seconds - 3600 * rollover_hour) // 86_400)


def offset_at(instant: datetime, zone: tzinfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def offset_text(minutes: int) -> str:
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"


@given(INSTANTS, ZONES, HOURS)
def test_the_day_is_the_one_counted_by_seconds(instant: datetime, name: str, hour: int) -> None:
    """Holds in every zone, on days of any length."""
    zone = zone_of(name)
    assert learning_day(instant, zone, hour) == counted_day(instant, offset_at(instant, zone), hour)


@given(st.data(), ZONES, HOURS)
def test_around_a_change_of_clocks_it_is_still_the_same(data: st.DataObject, name: str, hour: int) -> None:
    """Every hour of the days around the last change in a year: some exist twice, some never."""
    zone = zone_of(name)
    year = data.draw(st.integers(1971, 2037))
    start = datetime(year, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=h) for h in range(0, 366 * 24, 6)]
    changes = [h for h in hours if offset_at(h, zone) != offset_at(h + timedelta(hours=6), zone)]
    assume(changes)
    minute = timedelta(minutes=data.draw(st.integers(-36 * 60, 36 * 60)))
    instant = changes[-1] + minute
    assert learning_day(instant, zone, hour) == counted_day(instant, offset_at(instant, zone), hour)


@given(INSTANTS, INSTANTS, OFFSETS, HOURS)
def test_days_never_run_backwards_at_a_fixedoffset_at(
    one: datetime, other: datetime, minutes: int, hour: int
) -> None:
    zone = zone_of(offset_text(minutes))
    earlier, later = sorted((one, other))
    assert learning_day(earlier, zone, hour) <= learning_day(later, zone, hour)


@given(INSTANTS, OFFSETS, HOURS)
def test_the_viewer_does_not_matter(instant: datetime, minutes: int, hour: int) -> None:
    """The same instant, written at any offset, falls on the same day of the learner."""
    written = instant.astimezone(timezone(timedelta(minutes=minutes)))
    read, _ = read_instant(written.isoformat())
    paris = zone_of("Europe/Paris")
    assert read == instant
    assert learning_day(read, paris, hour) == learning_day(instant, paris, hour)


@given(INSTANTS, ZONES)
def test_the_day_turns_once_between_two_rollover_hours(instant: datetime, name: str) -> None:
    """A later rollover hour can only move an instant to the day before, once."""
    days = [learning_day(instant, zone_of(name), hour) for hour in range(24)]
    assert days == sorted(days, reverse=True)
    assert (days[0] - days[-1]).days in (0, 1)
