"""Which stable id a new entry gets: pure arithmetic over the ids that were ever given.

An id is ``<base code>-<category code>-<number>``, e.g. ``FLX-CLT-057``. A number is never given twice, also when its
entry is gone: gaps are not filled. Who *is* a new entry is decided in ``identity.py``; storing ids in ``catalog.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

UNKNOWN_BASE: Final = "UNK"
UNKNOWN_CATEGORY: Final = "UNC"
MIN_DIGITS: Final = 3
MAX_NUMBER: Final = 10**12  # numbers come from ledgers that people edit; beyond this one is a slip, not a number
_ID: Final = re.compile(r"([A-Z0-9]{2,8}-[A-Z0-9]{2,8})-([0-9]{1,13})", re.ASCII)


def prefix_of(base_code: str | None, category_code: str | None) -> str:
    """``FLX-CLT`` of the two codes; ``UNK`` and ``UNC`` where one is absent."""
    return f"{base_code or UNKNOWN_BASE}-{category_code or UNKNOWN_CATEGORY}"


def format_id(prefix: str, number: int) -> str:
    """``FLX-CLT-007``: at least three digits, as many as it takes."""
    return f"{prefix}-{number:0{MIN_DIGITS}d}"


def parse_id(stable_id: str) -> tuple[str, int] | None:
    """Prefix and number of an id; ``None`` where the text is not an id in the one spelling that is given out."""
    found = _ID.fullmatch(stable_id)
    if found is None:
        return None
    number = int(found[2])
    if not 0 < number <= MAX_NUMBER or format_id(found[1], number) != stable_id:
        return None
    return found[1], number


def id_key(stable_id: str) -> tuple[str, int, str]:
    """Sort key under which ``FLX-CLT-999`` comes before ``FLX-CLT-1000``; foreign spellings sort by their text."""
    parsed = parse_id(stable_id)
    return (*parsed, "") if parsed else (stable_id, 0, stable_id)


class IdAssigner:
    """Gives the next id a prefix. Holds only the highest number ever given for each prefix."""

    def __init__(self, ever_given: Iterable[str] = ()) -> None:
        self._highest: dict[str, int] = {}
        for stable_id in ever_given:
            self.reserve(stable_id)

    def reserve(self, stable_id: str) -> None:
        """Never give this id, nor a lower number of its prefix. Ids of foreign spelling reserve nothing."""
        parsed = parse_id(stable_id)
        if parsed is not None:
            prefix, number = parsed
            self._highest[prefix] = max(number, self._highest.get(prefix, 0))

    def next_id(self, prefix: str) -> str:
        """The next id of this prefix; it counts as given from now on."""
        number = self._highest.get(prefix, 0) + 1
        self._highest[prefix] = number
        return format_id(prefix, number)
