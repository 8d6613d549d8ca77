"""Where the learners live."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from progress_context.simulator.dice import Dice


class Home(NamedTuple):
    """An IANA time zone, the locale most of its learners use, and how many live there."""

    zone: str
    locale: str
    weight: int


HOMES = (
    Home("America/New_York", "en-US", 9),
    Home("America/Chicago", "en-US", 6),
    Home("America/Denver", "en-US", 2),
    Home("America/Phoenix", "en-US", 1),
    Home("America/Los_Angeles", "en-US", 6),
    Home("America/Anchorage", "en-US", 1),
    Home("Pacific/Honolulu", "en-US", 1),
    Home("America/St_Johns", "en-CA", 1),
    Home("America/Toronto", "en-CA", 3),
    Home("America/Mexico_City", "es-MX", 4),
    Home("America/Bogota", "es-CO", 3),
    Home("America/Sao_Paulo", "pt-BR", 8),
    Home("America/Santiago", "es-CL", 2),
    Home("America/Argentina/Buenos_Aires", "es-AR", 3),
    Home("Europe/London", "en-GB", 6),
    Home("Europe/Lisbon", "pt-PT", 1),
    Home("Europe/Paris", "fr-FR", 6),
    Home("Europe/Berlin", "de-DE", 6),
    Home("Europe/Madrid", "es-ES", 4),
    Home("Europe/Rome", "it-IT", 4),
    Home("Europe/Warsaw", "pl-PL", 3),
    Home("Europe/Kyiv", "uk-UA", 2),
    Home("Europe/Istanbul", "tr-TR", 4),
    Home("Africa/Cairo", "ar-EG", 3),
    Home("Africa/Lagos", "en-NG", 3),
    Home("Africa/Nairobi", "en-KE", 2),
    Home("Africa/Johannesburg", "en-ZA", 2),
    Home("Asia/Dubai", "ar-AE", 2),
    Home("Asia/Tehran", "fa-IR", 2),
    Home("Asia/Karachi", "ur-PK", 3),
    Home("Asia/Kolkata", "en-IN", 12),
    Home("Asia/Kathmandu", "ne-NP", 1),
    Home("Asia/Dhaka", "bn-BD", 2),
    Home("Asia/Bangkok", "th-TH", 3),
    Home("Asia/Ho_Chi_Minh", "vi-VN", 5),
    Home("Asia/Shanghai", "zh-CN", 10),
    Home("Asia/Tokyo", "ja-JP", 10),
    Home("Asia/Seoul", "ko-KR", 6),
    Home("Australia/Adelaide", "en-AU", 1),
    Home("Australia/Sydney", "en-AU", 3),
    Home("Australia/Lord_Howe", "en-AU", 1),
    Home("Pacific/Auckland", "en-NZ", 2),
)

_CUMULATIVE = tuple(accumulate(home.weight for home in HOMES))


def draw_home(dice: Dice) -> Home:
    """Somewhere in the world, where many live more often than where few do."""
    return HOMES[dice.weigh(_CUMULATIVE)]
