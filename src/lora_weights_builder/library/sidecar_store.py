"""What lies beside the LoRA files as the catalogue keeps it; each function is inside the caller's transaction.

How the files are found is in ``beside.py``, how they are read in ``sidecar_files.py``, when in ``sidecar_run.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from lora_weights_builder.library import rows, sidecar_files
from lora_weights_builder.library.beside import Marks, SidecarFound
from lora_weights_builder.library.database import lora
from lora_weights_builder.library.sidecar_files import SidecarRead
from lora_weights_builder.library.sidecar_tables import lora_preview, lora_sidecar
from lora_weights_builder.records import Sidecar, SidecarFacts

_SEARCHED: Final = ("id", "file_path", "stable_id", "filename", "rel_path", "title", "trigger_words", "search_text")


@dataclass(slots=True)
class Known:
    """What is stored of one entry: name and stamp of each sidecar by kind, no stamp where it is to be read again."""

    preview: str | None = None
    sidecars: dict[str, tuple[str, Marks | None]] = field(default_factory=dict)


class Found(NamedTuple):
    """What to store for an entry in place of what is stored: each sidecar with what came of reading it."""

    preview: str | None
    sidecars: Sequence[tuple[str, SidecarFound, SidecarRead]]


def known(connection: sa.Connection) -> dict[str, Known]:
    """What is stored for the present entries that have anything, by the path of the file."""
    found: dict[str, Known] = {}
    # The driver's own tuples, because every run reads all of these.
    cursor = connection.connection.cursor()
    cursor.execute(
        "SELECT file_path, kind, name, try_again, size, beside.mtime_ns, beside.ctime_ns, beside.inode"
        " FROM lora_sidecar AS beside JOIN lora ON lora.id = lora_id WHERE state = 'present'"
    )
    for path, kind, name, again, *marks in cursor.fetchall():
        entry = found.get(path) or found.setdefault(path, Known())
        entry.sidecars[kind] = (name, None if again else (marks[0], marks[1], marks[2], marks[3]))
    cursor.execute("SELECT file_path, name FROM lora_preview JOIN lora ON lora.id = lora_id WHERE state = 'present'")
    for path, name in cursor.fetchall():
        entry = found.get(path) or found.setdefault(path, Known())
        entry.preview = name
    return found


def replace(connection: sa.Connection, found: Mapping[str, Found], at: str) -> None:
    """Store what lies beside these files (by path) in place of what was; files without a present entry are left."""
    columns = [lora.c[name] for name in _SEARCHED]
    statement = sa.select(*columns).where(lora.c.state == "present", lora.c.file_path.in_(list(found)))
    entries = {entry["file_path"]: entry for entry in connection.execute(statement).mappings()}
    ids = [entry["id"] for entry in entries.values()]
    for table in (lora_sidecar, lora_preview):
        connection.execute(table.delete().where(table.c.lora_id.in_(ids)))
    sidecars, previews, searched = [], [], []
    for path, entry in entries.items():
        one = found[path]
        sidecars += [_row(entry["id"], kind, place, read) for kind, place, read in one.sidecars]
        if one.preview is not None:
            previews.append({"lora_id": entry["id"], "name": one.preview})
        text = rows.search_text(entry, _words(read.facts for _, _, read in one.sidecars if read.facts))
        if text != entry["search_text"]:
            searched.append({"one": entry["id"], "text": text, "at": at})
    if sidecars:
        connection.execute(lora_sidecar.insert(), sidecars)
    if previews:
        connection.execute(lora_preview.insert(), previews)
    if searched:
        change = lora.update().where(lora.c.id == sa.bindparam("one"))
        connection.execute(change.values(search_text=sa.bindparam("text"), updated_at=sa.bindparam("at")), searched)


def words_of(connection: sa.Connection, lora_id: int) -> list[str]:
    """What a search finds an entry by besides its own columns: the names and trigger words of its sidecars."""
    return _words(facts for _, _, _, facts in _stored(connection, lora_id) if facts is not None)


def sidecar_of(connection: sa.Connection, lora_id: int, sha256: str | None) -> Sidecar | None:
    """All that an entry's sidecars say. ``sha256`` is that of its file, where it is known."""
    return sidecar_files.merge(_stored(connection, lora_id), sha256)


def preview_of(connection: sa.Connection, lora_id: int) -> str | None:
    """The storable name of an entry's preview image, in the folder of its file."""
    statement = sa.select(lora_preview.c.name).where(lora_preview.c.lora_id == lora_id)
    return connection.execute(statement).scalar_one_or_none()


def _row(lora_id: int, kind: str, place: SidecarFound, read: SidecarRead) -> dict[str, Any]:
    size, mtime_ns, ctime_ns, inode = place.marks
    return {
        "lora_id": lora_id,
        "kind": kind,
        "name": place.name,
        "size": size,
        "mtime_ns": mtime_ns,
        "ctime_ns": ctime_ns,
        "inode": inode,
        "try_again": int(read.try_again),
        "problem": read.problem,
        "facts": None if read.facts is None else rows.dumps(read.facts),
    }


def _stored(connection: sa.Connection, lora_id: int) -> list[tuple[str, str, str | None, SidecarFacts | None]]:
    columns = (lora_sidecar.c.kind, lora_sidecar.c.name, lora_sidecar.c.problem, lora_sidecar.c.facts)
    found = connection.execute(sa.select(*columns).where(lora_sidecar.c.lora_id == lora_id)).all()
    return [(kind, name, problem, None if facts is None else _facts(facts)) for kind, name, problem, facts in found]


def _facts(text: str) -> SidecarFacts:
    data = orjson.loads(text)
    return SidecarFacts(**data | {name: tuple(data[name]) for name in ("trigger_words", "tags")})


def _words(facts: Iterable[SidecarFacts]) -> list[str]:
    return [word for one in facts for word in (one.model_name, one.version_name, *one.trigger_words) if word]
