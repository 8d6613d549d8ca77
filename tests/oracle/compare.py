"""What a read model holds beside what it should hold."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

Table = Mapping[tuple[Any, ...], Mapping[str, Any]]


def differences(expected: Table, actual: Table, *, leave_out: Collection[str] = ()) -> list[str]:
    """One sentence per missing row, extra row and different value; empty when all agree.

    Every column of `expected` is compared save those in `leave_out`; columns that only `actual`
    has are none of our business. Numbers are compared exactly, except where one side is a float:
    there 12 digits must agree.
    """
    found = [f"{grain}: row missing" for grain in expected if grain not in actual]
    found += [f"{grain}: row should not be there" for grain in actual if grain not in expected]
    for grain in expected.keys() & actual.keys():
        for column, value in expected[grain].items():
            if column in leave_out:
                continue
            if column not in actual[grain]:
                found.append(f"{grain}: column {column} missing")
            elif not is_same(value, actual[grain][column]):
                found.append(f"{grain}: {column} is {actual[grain][column]!r}, not {value!r}")
    return sorted(found)


def is_same(expected: Any, actual: Any) -> bool:
    """Whether two values are the same, whatever types of number carry them."""
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if not isinstance(expected, int | float | Decimal) or not isinstance(actual, int | float | Decimal):
        return expected == actual
    if isinstance(expected, float) or isinstance(actual, float):
        return math.isclose(expected, actual, rel_tol=1e-12)
    return expected == actual
