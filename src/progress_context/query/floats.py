"""Floating point numbers as PostgreSQL writes them, so that an answer is the same whoever writes it."""

from __future__ import annotations

FIXED_BELOW = 1e15  # PostgreSQL writes greater ones with an exponent; Python does so from 1e16 on


def float_text(number: float) -> str:
    """The shortest digits that read back as `number`, which is within ± 2 ** 53: 5, 0.25, 1e-05, 1e+15.

    PostgreSQL may need one digit more for some beyond; no figure of ours is as great.
    """
    text = repr(number)
    if "e" in text:
        return text
    if abs(number) >= FIXED_BELOW:
        return _with_exponent(text)
    return text.removesuffix(".0")


def _with_exponent(text: str) -> str:
    """A number from 1e15 to below 1e16, written with its exponent."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits = digits.replace(".", "")[:17].rstrip("0")
    mantissa = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
    return f"{sign}{mantissa}e+15"
