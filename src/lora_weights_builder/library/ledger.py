"""The ledger of ids as JSON Lines: every id ever given, and the content and place it stands for.

A rebuild from an empty database that imports a ledger first gives every file its former id: an imported id waits until
a file with its content, or at its path, turns up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa

from lora_weights_builder.errors import Conflict, UsageError
from lora_weights_builder.library.database import id_ledger, lora
from lora_weights_builder.library.id_assigner import parse_id

_HASH: Final = re.compile("[0-9a-f]{64}")
_FIELDS: Final = ("stable_id", "content_hash", "table_hash", "path", "retired")
MAX_LINE: Final = 65_536


@dataclass(frozen=True, slots=True)
class _Line:
    stable_id: str
    content_hash: str | None
    table_hash: str | None
    path: str | None
    retired: bool


def export_lines(connection: sa.Connection) -> Iterator[str]:
    """One JSON object an id, in the order in which the ids were given."""
    # An entry knows better than the ledger where it is now and what it holds.
    current = lora.c.id.is_not(None)
    statement = (
        sa.select(
            id_ledger.c.stable_id,
            id_ledger.c.retired,
            sa.case((current, lora.c.content_hash), else_=id_ledger.c.content_hash),
            sa.case((current, lora.c.table_hash), else_=id_ledger.c.table_hash),
            sa.case((current, lora.c.rel_path), else_=id_ledger.c.rel_path),
        )
        .select_from(id_ledger.outerjoin(lora, lora.c.id == id_ledger.c.seq))
        .order_by(id_ledger.c.seq)
    )
    for stable_id, retired, content_hash, table_hash, path in connection.execute(statement):
        yield json.dumps(
            dict(zip(_FIELDS, (stable_id, content_hash, table_hash, path, bool(retired)), strict=True)),
            ensure_ascii=False,
        )


def import_lines(connection: sa.Connection, lines: Iterable[str], *, created_at: str) -> int:
    """Take a ledger in, inside the caller's transaction; the number of ids that were not known before.

    An id that is known already must stand for the same content (or, where one of the two has no hash, the same path)
    and be retired or not alike; only a wait for a file is overruled by nothing.

    Raises:
        UsageError: a line is not one of a ledger. Conflict: two lines, or a line and the catalogue, contradict.
    """
    known = _known(connection)
    given: dict[str, _Line] = {}
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        line = _parse(text, number)
        if line.stable_id in given:
            raise Conflict(
                f"Line {number} gives {line.stable_id} a second time; an id stands for one file. Nothing was imported.",
                subject=line.stable_id,
            )
        given[line.stable_id] = line
        held = known.get(line.stable_id)
        if held is not None:
            _check_agrees(line, held, number)
    new = [line for line in given.values() if line.stable_id not in known]
    if new:
        connection.execute(
            id_ledger.insert(),
            [
                {
                    "stable_id": line.stable_id,
                    "created_at": created_at,
                    "retired": int(line.retired),
                    "content_hash": line.content_hash,
                    "table_hash": line.table_hash,
                    "rel_path": line.path,
                }
                for line in new
            ],
        )
    return len(new)


def _known(connection: sa.Connection) -> dict[str, _Line]:
    return {line.stable_id: line for line in map(_from_export, export_lines(connection))}


def _from_export(text: str) -> _Line:
    return _Line(**orjson.loads(text))


def _check_agrees(line: _Line, held: _Line, number: int) -> None:
    if line.retired != held.retired:
        words = ("in use", "retired")
        what = f"is {words[held.retired]} here and {words[line.retired]} there"
    elif line.content_hash and held.content_hash:
        if line.content_hash == held.content_hash:
            return
        what = "stands for another content here"
    elif line.path != held.path:
        what = "stands for another file here"
    else:
        return
    raise Conflict(
        f"Line {number}: {line.stable_id} {what}. Nothing was imported; import into an empty database instead.",
        subject=line.stable_id,
    )


def _parse(text: str, number: int) -> _Line:
    def fail(why: str) -> UsageError:
        return UsageError(f"Line {number} of the ledger {why}. Nothing was imported.", subject=f"line {number}")

    if len(text) > MAX_LINE:
        raise fail("is longer than any line of a ledger")
    try:
        data: Any = orjson.loads(text)
    except ValueError as fault:
        raise fail(f"is not JSON ({fault})") from fault
    if not isinstance(data, dict) or not isinstance(data.get("stable_id"), str):
        raise fail("is not an object with a stable_id")
    if parse_id(data["stable_id"]) is None:
        raise fail(f"has the id {data['stable_id']!r}, which is not of the form FLX-CLT-057")
    for key in ("content_hash", "table_hash"):
        value = data.get(key)
        if value is not None and not (isinstance(value, str) and _HASH.fullmatch(value)):
            raise fail(f"has a {key} that is not 64 hexadecimal digits")
    path, retired = data.get("path"), data.get("retired", False)
    if path is not None and not (isinstance(path, str) and path and not path.startswith("/")):
        raise fail("has a path that is not relative to the root")
    if not isinstance(retired, bool):
        raise fail("has a `retired` that is neither true nor false")
    return _Line(data["stable_id"], data.get("content_hash"), data.get("table_hash"), path, retired)
