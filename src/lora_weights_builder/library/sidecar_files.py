"""Reads what other programs wrote beside a LoRA: a bounded read of strangers' JSON, and the few facts that are taken.

Nothing in such a file is trusted: every value has its type and its length, text becomes plain text, and no path or
address in it is followed (a preview is found by its name in the folder, never by what a sidecar points to). The facts
are claims about a model page, often about another version of the file, so nothing that the library works out from the
file itself rests on them. Which file is whose is in ``beside.py``, where they are kept in ``sidecar_store.py``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from html import unescape
from typing import IO, Any, Final

import orjson

from lora_weights_builder.library.beside import KINDS
from lora_weights_builder.records import Sidecar, SidecarFacts, SidecarFile

MAX_BYTES: Final = 4 << 20  # real ones, with the prompts of all their example images, stay below 1 MB
MAX_LINE: Final = 500  # characters of a name, a tag, a version
MAX_WORDS_TEXT: Final = 2_000  # characters of one entry of trigger words, which may be a whole prompt
MAX_ITEMS: Final = 100
MAX_HTML: Final = 100_000  # characters of a description that are looked at
MAX_DESCRIPTION: Final = 10_000
_OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO put in place since the listing must not hang
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SHA256: Final = re.compile("[0-9a-fA-F]{64}")
_MARKUP: Final = re.compile(r"<[A-Za-z/!]|&[#A-Za-z]")
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)\b[^<>]*>|<![^<>]*>")
_INT64: Final = 1 << 63
_BLOCKS: Final = frozenset({"p", "br", "div", "li", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "pre"})
_UNREAD: Final = frozenset({"script", "style", "template", "title", "head"})
#: What is true of one model page; taken from one file, because a name from here and a number from there name nothing.
_OF_THE_PAGE: Final = ("model_name", "model_id", "version_name", "version_id", "sha256")


@dataclass(frozen=True, slots=True)
class SidecarRead:
    """What came of reading a sidecar: ``facts``, or the ``problem``, ``try_again`` where that may pass by itself."""

    facts: SidecarFacts | None
    problem: str | None = None
    try_again: bool = False


def read(os_path: str, kind: str) -> SidecarRead:
    """Read one sidecar of a kind of :data:`~lora_weights_builder.library.beside.KINDS`; whatever is wrong is told."""
    try:
        raw = read_bounded(os_path, MAX_BYTES)
    except PermissionError:
        return SidecarRead(None, "permission denied", try_again=True)
    except OSError as fault:
        return SidecarRead(None, (fault.strerror or str(fault)).lower(), try_again=True)
    except ValueError as fault:
        return SidecarRead(None, str(fault))
    try:
        data = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as fault:
        return SidecarRead(None, f"it is not valid JSON: {fault.msg[:100]}")
    if not isinstance(data, dict):
        return SidecarRead(None, "its JSON is no object")
    return SidecarRead(_PARSERS[kind](data))


def read_bounded(os_path: str, limit: int) -> bytes:
    """The whole of a plain file; raises as :func:`open_plain` does."""
    file, _ = open_plain(os_path, limit)
    with file:
        return file.read(limit)


def open_plain(os_path: str, limit: int) -> tuple[IO[bytes], os.stat_result]:
    """An opened plain file, no link, and what it looked like then. The caller closes it.

    Raises:
        OSError: it cannot be opened. ValueError: it is no plain file, or larger than ``limit`` bytes.
    """
    descriptor = os.open(os_path, _OPEN_FLAGS)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no plain file")
        if found.st_size > limit:
            raise ValueError(f"it is larger than {limit >> 20} MB")
        return os.fdopen(descriptor, "rb"), found
    except (OSError, ValueError):
        os.close(descriptor)
        raise


def merge(read_files: Sequence[tuple[str, str, str | None, SidecarFacts | None]], sha256: str | None) -> Sidecar | None:
    """All sidecars of an entry taken together, each fact from the most trusted file that has it.

    Args:
        read_files: (kind, name, problem, facts) each. sha256: of the LoRA file, where it is known.

    Returns:
        ``None`` where no file has a fact or a problem: JSON beside a LoRA may be of anything.
    """
    order = list(KINDS)
    ordered = sorted((one for one in read_files if one[0] in KINDS), key=lambda one: order.index(one[0]))
    chosen: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    files = []
    for kind, name, problem, facts in ordered:
        given = _given(facts)
        if given or problem is not None:
            files.append(SidecarFile(name, KINDS[kind].program, problem))
        page_is_told = any(field in said_by for field in _OF_THE_PAGE)
        for field, value in given.items():
            if field not in said_by and not (page_is_told and field in _OF_THE_PAGE):
                chosen[field], said_by[field] = value, name
    if not files:
        return None
    claimed = chosen.get("sha256")
    matches = claimed == sha256.lower() if claimed and sha256 else None
    return Sidecar(SidecarFacts(**chosen), said_by, tuple(files), matches)


def _given(facts: SidecarFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    values = {field.name: getattr(facts, field.name) for field in fields(facts)}
    return {name: value for name, value in values.items() if value not in (None, ())}


# --- the formats


def _civitai(data: Mapping[str, Any]) -> SidecarFacts:
    """A model version as the site's API gives it, saved whole."""
    model = _object(data.get("model"))
    return SidecarFacts(
        trigger_words=_words(data.get("trainedWords")),
        base_model=_line(data.get("baseModel")),
        model_name=_line(model.get("name")),
        model_id=_number(data.get("modelId")),
        version_name=_line(data.get("name")),
        version_id=_number(data.get("id")),
        description=_plain(data.get("description")) or _plain(model.get("description")),
        tags=_tags(model.get("tags")),
        sha256=_first(_sha256(_object(file.get("hashes")).get("SHA256")) for file in _objects(data.get("files"))),
    )


def _lora_manager(data: Mapping[str, Any]) -> SidecarFacts:
    page = _civitai(_object(data.get("civitai")))
    return SidecarFacts(
        trigger_words=page.trigger_words,
        base_model=_line(data.get("base_model")) or page.base_model,
        model_name=_line(data.get("model_name")) or page.model_name,
        model_id=page.model_id,
        version_name=page.version_name,
        version_id=page.version_id,
        description=_plain(data.get("modelDescription")) or page.description,
        tags=_tags(data.get("tags")) or page.tags,
        sha256=_sha256(data.get("sha256")) or page.sha256,
    )


def _stability_matrix(data: Mapping[str, Any]) -> SidecarFacts:
    return SidecarFacts(
        trigger_words=_words(data.get("TrainedWords")),
        base_model=_line(data.get("BaseModel")),
        model_name=_line(data.get("ModelName")),
        model_id=_number(data.get("ModelId")),
        version_name=_line(data.get("VersionName")),
        version_id=_number(data.get("VersionId")),
        description=_plain(data.get("VersionDescription")) or _plain(data.get("ModelDescription")),
        tags=_tags(data.get("Tags")),
        sha256=_sha256(_object(data.get("Hashes")).get("SHA256")),
    )


def _user(data: Mapping[str, Any]) -> SidecarFacts:
    """What a person typed into the card of the model; JSON of other programs under the same name has none of these."""
    if "modelId" in data or "trainedWords" in data:
        return _civitai(data)
    if not {"activation text", "sd version", "preferred weight", "negative text"} & data.keys():
        return SidecarFacts()
    return SidecarFacts(
        trigger_words=_words([data.get("activation text")]),
        base_model=_base_of_user(data.get("sd version")),
        description=_plain(data.get("description")) or _plain(data.get("notes")),
    )


def _base_of_user(value: object) -> str | None:
    text = _line(value)
    return None if text in {"Unknown", None} else text  # what the card holds until somebody chooses


_PARSERS: Final[Mapping[str, Callable[[Mapping[str, Any]], SidecarFacts]]] = {
    "user": _user,
    "lora_manager": _lora_manager,
    "stability_matrix": _stability_matrix,
    "civitai": _civitai,
}


# --- values


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    return (item for item in value[:MAX_ITEMS] if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _line(value: object, limit: int = MAX_LINE) -> str | None:
    """One line of text, ``None`` for anything else and for nothing."""
    if not isinstance(value, str):
        return None
    return " ".join(_CONTROLS.sub(" ", value[: 4 * limit]).split())[:limit] or None


def _lines(value: object, limit: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(dict.fromkeys(text for item in value[:MAX_ITEMS] if (text := _line(item, limit)) is not None))


def _words(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for word in _lines(value, MAX_WORDS_TEXT) if (text := word.strip(" ,"))))


def _tags(value: object) -> tuple[str, ...]:
    return _lines(value, MAX_LINE)


def _number(value: object) -> int | None:
    """A positive whole number; some programs write it as text."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < _INT64 else None


def _sha256(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value) else None


def _plain(value: object) -> str | None:
    """Text of several lines, without the markup that model pages are written in."""
    if not isinstance(value, str):
        return None
    text = value[:MAX_HTML]
    if _MARKUP.search(text):
        text = _without_markup(text)
    lines = (" ".join(line.split()) for line in _CONTROLS.sub(" ", text).splitlines())
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)).strip()[:MAX_DESCRIPTION] or None


def _without_markup(text: str) -> str:
    """The text of a page: blocks become lines, scripts and styles nothing.

    One pass by a pattern and no parser: a parser has states in which hostile text costs the square of its length.
    What is left may still look like markup (``&lt;b&gt;``), so whoever shows it must show it as text.
    """
    parts: list[str] = []
    unread, at = "", 0
    for tag in _TAG.finditer(text):
        if not unread:
            parts.append(unescape(text[at : tag.start()]))
        at = tag.end()
        closing, name = tag.group(1) == "/", (tag.group(2) or "").lower()
        if unread:
            unread = "" if closing and name == unread else unread
        elif name in _UNREAD and not closing:
            unread = name
        elif name in _BLOCKS:
            parts.append("\n")
    if not unread:
        parts.append(unescape(text[at:]))
    return "".join(parts)
