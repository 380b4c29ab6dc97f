"""Readers for what stands in a file's metadata: whatever it is, they return what was asked for or nothing.

The values are JSON in strings, written by anyone: nested without end, huge, or of another type than the name says.

What does not belong here: which fields there are and what they mean (``training_metadata``, ``model_hints``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

Metadata = Mapping[str, str]

MAX_JSON_CHARS: Final = 8_000_000  # tag counts of large data sets reach a few megabytes
MAX_TEXT: Final = 4_000


def first_value(metadata: Metadata, *names: str) -> str | None:
    """The first value that says something; trainers write "None" and empty strings."""
    for name in names:
        value = metadata.get(name)
        if isinstance(value, str) and value.strip() not in ("", "None", "null"):
            return value
    return None


def first_text(metadata: Metadata, *names: str) -> str | None:
    """The first value that says something, trimmed and cut to ``MAX_TEXT`` characters."""
    value = first_value(metadata, *names)
    return value.strip()[:MAX_TEXT] if value is not None else None


def plain_text(value: object) -> str | None:
    """A text out of parsed JSON, trimmed and cut; ``None`` where it is none or empty."""
    return value.strip()[:MAX_TEXT] or None if isinstance(value, str) else None


def parsed(text: str) -> object:
    """The value of a JSON text; ``None`` where it is too long, too deep or no JSON."""
    if len(text) > MAX_JSON_CHARS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # 200,000 open brackets are valid JSON's beginning
        return None


def parsed_object(metadata: Metadata, name: str) -> dict[str, Any]:
    """The JSON object that a field holds; empty where it holds none."""
    value = metadata.get(name)
    found = parsed(value) if isinstance(value, str) else None
    return found if isinstance(found, dict) else {}


def real(value: object) -> float | None:
    """A finite number, also where it is written as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or len(str(value)[:65]) > 64:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def whole(value: object) -> int | None:
    """A whole number that a float holds exactly, also where it is written as text."""
    number = real(value)
    return int(number) if number is not None and abs(number) < 2**53 and number == int(number) else None
