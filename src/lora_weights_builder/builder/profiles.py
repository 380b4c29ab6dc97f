"""Profiles: what one is, which names and multipliers it may hold, and whether it still fits its entry.

A profile is one multiplier a block of the layout that the entry had when it was saved; 1.0 leaves a block as it is.
Storing them is in ``library/profile_store.py``.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lora_weights_builder.errors import BadField
from lora_weights_builder.inspector.block_layouts import Layout

LOWEST: Final = -10.0
HIGHEST: Final = 10.0
"""Multipliers outside of these are slips: no picture survives ten times a block's change."""
MAX_NAME: Final = 100
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_NOT_IN_ADDRESSES: Final = frozenset("/\\%")


@dataclass(frozen=True, slots=True)
class Profile:
    """A saved profile. ``misfit`` says why it does not fit its entry any more, ``None`` where it does."""

    id: int
    profile_name: str
    block_layout: str
    block_weights: tuple[float, ...]
    created_at: str
    updated_at: str
    misfit: str | None


@dataclass(frozen=True, slots=True)
class EntryProfiles:
    """The profiles of an entry, by name, and the layout that a new one is made for (``None``: the entry has none)."""

    stable_id: str
    block_layout: str | None
    block_count: int
    profiles: tuple[Profile, ...]

    def of_id(self, profile_id: int) -> Profile | None:
        """The profile of this id, ``None`` where the entry has none such."""
        return next((one for one in self.profiles if one.id == profile_id), None)


def checked_name(value: object) -> str:
    """``value`` as a profile's name: trimmed, its letters composed, so that what looks the same is the same.

    Raises:
        BadField: no text, empty, longer than 100 characters, or with control characters.
    """
    if not isinstance(value, str):
        raise BadField("profile_name has to be a text.", subject="profile_name")
    name = unicodedata.normalize("NFC", value).strip()
    if not 0 < len(name) <= MAX_NAME:
        raise BadField(
            f"profile_name has {len(name)} characters; give 1 to {MAX_NAME}, not counting spaces around it.",
            subject="profile_name",
        )
    if any(unicodedata.category(letter) in _UNPRINTABLE for letter in name):
        raise BadField("profile_name holds a line break or another control character.", subject="profile_name")
    return name


def checked_address_name(value: object) -> str:
    """The same for a name that is also an address, ``/by-name/NAME``.

    Raises:
        BadField: as :func:`checked_name`, and where no address can hold it.
    """
    name = checked_name(value)
    if name in {".", ".."} or not _NOT_IN_ADDRESSES.isdisjoint(name):
        raise BadField("profile_name is used in addresses and may not hold `/`, `\\` or `%`.", subject="profile_name")
    return name


def checked_weights(value: object, layout: Layout) -> tuple[float, ...]:
    """``value`` as the multipliers of a profile for ``layout``.

    Raises:
        BadField: not a list, not one number a block, or a number that is not finite or outside -10 to 10; the sentence
            names what was expected and what was found.
    """
    if not isinstance(value, list | tuple):
        raise BadField(
            f"block_weights has to be a list of {layout.block_count} numbers, one a block of {layout.id}.",
            subject="block_weights",
        )
    if len(value) != layout.block_count:
        raise BadField(
            f"block_weights: expected {layout.block_count} numbers, one a block of {layout.id}; found {len(value)}.",
            subject="block_weights",
        )
    return tuple(_multiplier(one, index) for index, one in enumerate(value))


def neutral(layout: Layout) -> tuple[float, ...]:
    """The profile that changes nothing."""
    return (1.0,) * layout.block_count


def misfit(saved_for: str, weights: Sequence[float], layout: Layout | None) -> str | None:
    """Why a profile saved for the layout of this id cannot be used with ``layout``; ``None`` where it can."""
    saved = f"it was saved for {saved_for} ({len(weights)} blocks)"
    if layout is None:
        return f"{saved}, and the entry has no layout now"
    if layout.id != saved_for:
        return f"{saved}, and the entry has {layout.id} ({layout.block_count} blocks) now"
    if layout.block_count != len(weights):
        return f"{saved}, and that layout has {layout.block_count} blocks now"
    return None


def _multiplier(value: object, index: int) -> float:
    # A bool is an int to Python, and an int may be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadField(f"block_weights[{index}] is not a number.", subject=f"block_weights.{index}")
    if not (LOWEST <= value <= HIGHEST) or not math.isfinite(value):
        raise BadField(
            f"block_weights[{index}] is not a number from {LOWEST:g} to {HIGHEST:g}.", subject=f"block_weights.{index}"
        )
    return float(value) + 0.0  # no negative zero
