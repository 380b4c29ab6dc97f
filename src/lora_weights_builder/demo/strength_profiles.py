"""The shapes that block strengths of the demo library follow: a curve over a group's blocks, from 0 to 1.

Each is a pure function of (position, count), so that the planted numbers are known without reading a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

FLOOR: Final = 0.06  # blocks that a curve leaves out still carry a little, as they do in trained files

Profile = Callable[[int, int], float]


def _at(position: int, count: int) -> float:
    """The block's place in its group, 0 for the first and 1 for the last."""
    return position / (count - 1) if count > 1 else 0.5


def _hump(x: float, centre: float, width: float) -> float:
    # A rational bell: the same on every platform, which exp() does not promise to the last bit.
    return 1.0 / (1.0 + ((x - centre) / width) ** 2)


def _ramp(position: int, count: int) -> float:
    return 0.1 + 0.9 * _at(position, count)


def _falling(position: int, count: int) -> float:
    return 1.0 - 0.88 * _at(position, count)


def _bell(position: int, count: int) -> float:
    return _hump(_at(position, count), 0.5, 0.22)


def _two_hump(position: int, count: int) -> float:
    x = _at(position, count)
    return max(_hump(x, 0.2, 0.1), 0.8 * _hump(x, 0.8, 0.1))


def _middle_only(position: int, count: int) -> float:
    return 1.0 if 0.35 <= _at(position, count) <= 0.65 else FLOOR


def _last_blocks(position: int, count: int) -> float:
    return 1.0 if _at(position, count) >= 0.75 else FLOOR


def _first_blocks(position: int, count: int) -> float:
    return 1.0 if _at(position, count) <= 0.25 else FLOOR


def _valley(position: int, count: int) -> float:
    return 0.15 + 0.85 * (2 * _at(position, count) - 1) ** 2


def _steps(position: int, count: int) -> float:
    return (0.4, 1.0, 0.6, 0.2)[min(3, 4 * position // max(1, count))]


def _comb(position: int, count: int) -> float:
    return 1.0 if position % 4 == 0 else 0.3


def _flat(position: int, count: int) -> float:
    return 0.9 + 0.1 * ((position * 7) % 5) / 4


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "ramp": _ramp,
        "falling": _falling,
        "bell": _bell,
        "two_hump": _two_hump,
        "middle_only": _middle_only,
        "last_blocks": _last_blocks,
        "first_blocks": _first_blocks,
        "valley": _valley,
        "steps": _steps,
        "comb": _comb,
        "flat": _flat,
    }
)
"""Every profile by its name; each value lies in (0, 1]."""
