"""What the commands print with: results on stdout, everything else on stderr, both safe for any terminal.

Text that comes from files (names, metadata) passes through :func:`shown`, because a name may hold control characters
that would drive the reader's terminal.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from lora_weights_builder.library import paths

if TYPE_CHECKING:
    from rich.console import Console


def prepare_streams() -> None:
    """Make stdout and stderr escape what they cannot encode instead of failing (cp1252 consoles, LANG=C)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def stdout() -> Console:
    """The console results go to. Lines are laid out by the caller and never wrapped."""
    return _console(sys.stdout)


def stderr() -> Console:
    """The console for messages and progress."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)


def draws_unicode(console: Console) -> bool:
    """Whether block characters can be written there; otherwise ASCII stands in for them."""
    try:
        "█▏·…‖".encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def shown(text: str) -> str:
    """``text`` on one line with everything a terminal could act on escaped as ``\\x1b``, ``\\u202e`` ..."""
    return paths.display(text)


def shortened(text: str, width: int) -> str:
    """``shown(text)`` cut to ``width`` characters, the cut marked."""
    text = shown(text)
    return text if len(text) <= width else text[: max(0, width - 3)] + "..."


def print_json(value: object) -> None:
    """One JSON document on one line of stdout. ASCII only, so that no terminal encoding can spoil it.

    Raises:
        ValueError: ``value`` holds NaN or an infinity, which JSON has no words for.
    """
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def message(text: str) -> None:
    """One line for the person at the terminal, on stderr."""
    sys.stderr.write(shown(text) + "\n")


def human_size(size_bytes: int) -> str:
    """``1536`` -> ``1.5 kB`` (decimal units, as file managers count)."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable: the last unit always returns")


def table(headings: Iterable[str], rows: Iterable[Iterable[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Rows as plain aligned lines, two spaces between columns; ``right`` lists the right-aligned columns."""
    lines = [[shown(cell) for cell in line] for line in (headings, *rows)]
    to_right = frozenset(right)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
