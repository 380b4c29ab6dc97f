"""File paths as text that a database can hold, and back; and as text that a person can look at.

An OS path may hold bytes that are not UTF-8 (POSIX) or lone surrogates (Windows); neither can be stored as text. The
*storable* form keeps every other character as it is and writes those behind U+001A (SUBSTITUTE), so ordinary names
stay readable and every name comes back exactly. Nothing here touches the file system except :func:`absolute`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Final

ESCAPE: Final = "\x1a"
_ESCAPED: Final = re.compile(r"\x1a(\x1a|[0-9a-f]{2}|u[0-9a-f]{4})")
_UNSTORABLE: Final = re.compile("[\x1a\ud800-\udfff]")
# Characters that would act on the reader's terminal or reorder the text around them: controls, line and paragraph
# separators, and the bidirectional marks, embeddings and isolates.
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHORT: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_text(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """The storable form of an OS path: valid Unicode without NUL or lone surrogates."""
    name = path if isinstance(path, str) else os.fsdecode(path)
    if ESCAPE not in name:
        if name.isascii():
            return name
        try:
            name.encode()
        except UnicodeEncodeError:
            pass
        else:
            return name
    return _UNSTORABLE.sub(_escape, name)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if found.group() == ESCAPE:
        return ESCAPE * 2
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: one undecodable byte
        return f"{ESCAPE}{code - 0xDC00:02x}"
    return f"{ESCAPE}u{code:04x}"


def to_os(text: str) -> str:
    """The OS path of a storable form; the exact inverse of :func:`to_text`."""
    return _ESCAPED.sub(_unescape, text) if ESCAPE in text else text


def _unescape(found: re.Match[str]) -> str:
    body = found.group(1)
    if body == ESCAPE:
        return ESCAPE
    if body.startswith("u"):
        return chr(int(body[1:], 16))
    return chr(0xDC00 + int(body, 16))


def display(text: str) -> str:
    """A path (storable or OS form) for a person: no character that acts on the terminal or reorders its line.

    Not reversible. An undecodable byte shows as ``\\xff``, a newline as ``\\n``, a right-to-left mark as ``\\u202e``.
    """
    return _UNSHOWN.sub(_shown, to_os(text))


def _shown(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def sort_key(text: str) -> bytes:
    """The UTF-8 bytes of a storable path, as they stand on disk: the order in which fresh ids are given."""
    return to_os(text).encode("utf-8", "surrogateescape" if _only_bytes(text) else "surrogatepass")


def _only_bytes(text: str) -> bool:
    return f"{ESCAPE}u" not in text


def absolute(path: str | os.PathLike[str]) -> str:
    """The OS path made absolute and normal, links unresolved, ``~`` expanded, a Windows drive letter in upper case."""
    expanded = Path(os.fsdecode(path)).expanduser()
    return normalise(os.path.abspath(expanded), type(PurePath()))  # noqa: PTH100 - resolve() would follow links


def normalise(path: str, flavour: type[PurePath]) -> str:
    """One spelling for an absolute path of that flavour: no trailing separator or ``\\\\?\\`` prefix, ``C:``.

    Letter case is otherwise kept: whether two spellings name one file is the file system's to say.
    """
    if not issubclass(flavour, PureWindowsPath):
        return str(flavour(path))
    if path.startswith("\\\\?\\UNC\\"):
        path = "\\\\" + path[8:]
    elif path.startswith("\\\\?\\"):
        path = path[4:]
    pure = flavour(path)
    drive = pure.drive
    return drive.upper() + str(pure)[len(drive) :] if re.fullmatch("[a-z]:", drive) else str(pure)


def relative_posix(path: str, root: str, flavour: type[PurePath] | None = None) -> str:
    """Where a file lies below its root, with ``/`` between parts on every platform; raises ValueError if it does not.

    On POSIX a backslash is an ordinary character of a name and stays one.
    """
    kind = flavour or type(PurePath())
    return kind(path).relative_to(kind(root)).as_posix()


def below(root: str, relative: str, flavour: type[PurePath] | None = None) -> str:
    """The path of a root-relative POSIX form in the platform's own spelling; inverse of :func:`relative_posix`."""
    kind = flavour or type(PurePath())
    return str(kind(root).joinpath(*PurePosixPath(relative).parts))


def lora_name(relative: str, flavour: type[PurePath] | None = None) -> str:
    """The name under which ComfyUI lists a file: relative to the root, with the platform's own separator."""
    kind = flavour or type(PurePath())
    return relative.replace("/", "\\") if issubclass(kind, PureWindowsPath) else relative


def is_inside(path: str, root: str, flavour: type[PurePath] | None = None) -> bool:
    """Whether ``path`` is ``root`` or lies below it, part by part (``/a/bc`` is not inside ``/a/b``)."""
    kind = flavour or type(PurePath())
    return kind(path).is_relative_to(kind(root))
