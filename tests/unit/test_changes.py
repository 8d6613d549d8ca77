"""News of who changed: short enough for a notification, and never wrong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from progress_context.delivery.changes import LONGEST, MOST_LEARNERS, Changes, read_changes

positions = st.integers(0, 2**63 - 1)
keys = st.frozensets(st.integers(1, 2**63 - 1), max_size=50)
changes = st.builds(Changes, positions, positions, st.none() | keys)


@given(changes)
def test_what_is_read_is_what_was_written(told: Changes) -> None:
    assert read_changes(told.text()) == told


@given(changes, changes)
def test_two_pieces_of_news_as_one_tell_no_less(first: Changes, second: Changes) -> None:
    both = first.and_then(second)
    assert both.visible == max(first.visible, second.visible)
    assert both.upto == max(first.upto, second.upto)
    if both.learners is None:
        assert first.learners is None or second.learners is None
    else:
        assert both.learners == (first.learners or frozenset()) | (second.learners or frozenset())


def test_many_learners_are_not_named() -> None:
    crowd = frozenset(range(1, MOST_LEARNERS + 2))
    assert read_changes(Changes(9, 9, crowd).text()) == Changes(9, 9, None)
    assert Changes(9, 9, frozenset([1])).and_then(Changes(10, 10, crowd)).learners is None
    scattered = frozenset(number * 2**40 for number in range(MOST_LEARNERS))
    assert len(Changes(2**62, 2**62, scattered).text()) <= LONGEST
    near = frozenset(range(10**9, 10**9 + MOST_LEARNERS))
    assert read_changes(Changes(9, 9, near).text()).learners == near


def test_a_lone_position_may_mean_anyone() -> None:
    assert read_changes("7") == Changes(7, 7, None)
