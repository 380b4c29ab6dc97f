"""What the indexer reads from and writes to the catalogue, each function inside the caller's transaction.

Which files are inspected and what they turn out to be is decided in ``indexer.py`` and ``identity.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa

from lora_weights_builder.library import organise_store, rows, sidecar_store
from lora_weights_builder.library.database import (
    id_ledger,
    inspection,
    lora,
    lora_history,
    lora_module_facts,
    root,
    scan,
)
from lora_weights_builder.library.id_assigner import parse_id
from lora_weights_builder.library.inspections import FACTS, Inspected
from lora_weights_builder.records import FileStamp, ScanSummary

T = TypeVar("T")
PARAMETERS: Final = 500  # values a statement binds at once; SQLite takes 32,766, older builds 999


class KnownRow(NamedTuple):
    """An entry as a scan needs to know it, in few bytes: a library may have a million."""

    id: int
    stable_id: str
    root_id: int
    file_path: str
    rel_path: str
    state: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    hint: str
    measured: int
    table_hash: str | None
    content_hash: str | None
    error_code: str | None
    stale: int

    @property
    def marks(self) -> tuple[int, int, int, int]:
        """The fields of its stamp, as a walk finds them."""
        return self.size_bytes, self.mtime_ns, self.ctime_ns, self.inode

    @property
    def stamp(self) -> FileStamp:
        """What the file looked like when it was last read."""
        return FileStamp(*self.marks)


class Waiting(NamedTuple):
    """An id that an imported ledger brought and that no file has taken yet."""

    seq: int
    stable_id: str
    content_hash: str | None
    table_hash: str | None
    rel_path: str | None


class Staged(NamedTuple):
    """A file inspected in this or an earlier, interrupted run and not settled yet."""

    file_path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    hint: str
    measured: int
    table_hash: str | None
    content_hash: str | None
    error_code: str | None

    @property
    def stamp(self) -> FileStamp:
        """What the file looked like when it was inspected."""
        return FileStamp(self.size, self.mtime_ns, self.ctime_ns, self.inode)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file was found: its columns of ``lora`` besides what is in the file."""

    path: str
    relative: str
    root_id: int
    stamp: FileStamp
    hint: str

    def columns(self) -> dict[str, Any]:
        """The columns, ready to store."""
        return rows.place_columns(self.path, self.relative, self.root_id, self.stamp, self.hint)


def batches(values: Iterable[T], size: int = PARAMETERS) -> Iterator[list[T]]:
    """Lists of at most ``size`` values, in order."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


def known_rows(connection: sa.Connection) -> list[KnownRow]:
    """Every entry, in one query."""
    columns = ", ".join(KnownRow._fields)
    # The driver's own tuples: a row object a row would double the time of an unchanged scan.
    cursor = connection.connection.cursor()
    cursor.execute(f"SELECT {columns} FROM lora")
    return list(map(KnownRow._make, cursor.fetchall()))


def known_row(connection: sa.Connection, stable_id: str) -> KnownRow | None:
    """One entry as a scan knows it."""
    columns = [lora.c[name] for name in KnownRow._fields]
    found = connection.execute(sa.select(*columns).where(lora.c.stable_id == stable_id)).one_or_none()
    return None if found is None else KnownRow._make(found)


def waiting_ids(connection: sa.Connection) -> list[Waiting]:
    """Ids without an entry that are not retired."""
    columns = [id_ledger.c[name] for name in Waiting._fields]
    statement = (
        sa.select(*columns)
        .select_from(id_ledger.outerjoin(lora, lora.c.id == id_ledger.c.seq))
        .where(lora.c.id.is_(None), id_ledger.c.retired == 0)
    )
    return list(map(Waiting._make, connection.execute(statement).all()))


def ever_given(connection: sa.Connection) -> Sequence[str]:
    """Every id of the ledger."""
    return connection.execute(sa.select(id_ledger.c.stable_id)).scalars().all()


def errors_of(connection: sa.Connection, ids: Iterable[int]) -> dict[int, str]:
    """What is wrong with these entries' files."""
    found: dict[int, str] = {}
    for batch in batches(ids):
        statement = sa.select(lora.c.id, lora.c.error).where(lora.c.id.in_(batch))
        found |= {seq: error or "" for seq, error in connection.execute(statement)}
    return found


# --- inspected and not yet settled


def staged(connection: sa.Connection) -> dict[str, Staged]:
    """What earlier passes left, by path."""
    columns = [inspection.c[name] for name in Staged._fields]
    return {row[0]: Staged._make(row) for row in connection.execute(sa.select(*columns)).all()}


def stage(connection: sa.Connection, results: Sequence[tuple[Inspected, FileStamp, str]]) -> None:
    """Keep inspections with the stamp and the hint they were made under."""
    if not results:
        return
    delete_staged(connection, [result.path for result, _, _ in results])
    connection.execute(
        inspection.insert(),
        [
            {
                "file_path": result.path,
                "size": stamp.size,
                "mtime_ns": stamp.mtime_ns,
                "ctime_ns": stamp.ctime_ns,
                "inode": stamp.inode,
                "hint": hint,
                "measured": int(result.measured),
                "table_hash": result.table_hash,
                "content_hash": result.content_hash,
                "error_code": result.error_code,
                "record": result.columns,
            }
            for result, stamp, hint in results
        ],
    )


def staged_columns(connection: sa.Connection, file_paths: Sequence[str]) -> dict[str, bytes]:
    """What inspections found, by path, encoded as :class:`Inspected` carries it."""
    statement = sa.select(inspection.c.file_path, inspection.c.record).where(inspection.c.file_path.in_(file_paths))
    return dict(connection.execute(statement).all())


def delete_staged(connection: sa.Connection, file_paths: Iterable[str]) -> None:
    """Drop inspections that are settled or out of date."""
    for batch in batches(file_paths):
        connection.execute(inspection.delete().where(inspection.c.file_path.in_(batch)))


# --- entries


def mark_missing(connection: sa.Connection, gone: Iterable[KnownRow], at: str, *, noted: bool) -> None:
    """The files of these entries are not there. ``noted`` writes it into their history."""
    for batch in batches(gone):
        connection.execute(
            lora.update()
            .where(lora.c.id.in_([row.id for row in batch]))
            .values(state="missing", stale=0, stale_reason=None, duplicate_of=None, updated_at=at)
        )
        if noted:
            add_history(connection, [_event(row.id, at, "missing", row.file_path, None) for row in batch])


def mark_stale(connection: sa.Connection, reasons: Mapping[int, str], at: str) -> None:
    """These entries' files could not be looked at; what the rows say is from before."""
    for seq, reason in reasons.items():
        changed = sa.or_(lora.c.stale == 0, lora.c.stale_reason.is_not(reason))
        connection.execute(
            lora.update().where(lora.c.id == seq, changed).values(stale=1, stale_reason=reason, updated_at=at)
        )


def mark_fresh(connection: sa.Connection, ids: Iterable[int], at: str) -> None:
    """These entries' files can be looked at again and have not changed."""
    for batch in batches(ids):
        connection.execute(lora.update().where(lora.c.id.in_(batch)).values(stale=0, stale_reason=None, updated_at=at))


def add_entries(
    connection: sa.Connection, new: Sequence[tuple[str, int | None, Place, dict[str, Any]]], at: str
) -> None:
    """Insert entries: (stable id, its ledger number or ``None`` for a fresh one, place, columns)."""
    if not new:
        return
    fresh = [stable_id for stable_id, seq, _, _ in new if seq is None]
    if fresh:
        connection.execute(id_ledger.insert(), [{"stable_id": stable_id, "created_at": at} for stable_id in fresh])
    numbers: dict[str, int] = {}
    for batch in batches(fresh):
        statement = sa.select(id_ledger.c.stable_id, id_ledger.c.seq).where(id_ledger.c.stable_id.in_(batch))
        numbers |= dict(connection.execute(statement).all())
    prepared = []
    facts: dict[int, bytes | None] = {}
    for stable_id, seq, place, found in new:
        columns, packed = _without_facts(found)
        prefix, number = parse_id(stable_id) or (stable_id, 0)
        row = {
            **columns,
            **place.columns(),
            "id": numbers[stable_id] if seq is None else seq,
            "stable_id": stable_id,
            "id_prefix": prefix,
            "id_number": number,
            "state": "present",
            "created_at": at,
            "updated_at": at,
        }
        prepared.append(row | {"search_text": rows.search_text(row)})
        facts[row["id"]] = packed
    connection.execute(lora.insert(), prepared)
    _store_facts(connection, facts)
    add_history(
        connection, [_event(row["id"], at, "added", None, row["content_hash"], row["rel_path"]) for row in prepared]
    )


def update_entry(
    connection: sa.Connection, known: KnownRow, place: Place, columns: Mapping[str, Any], at: str, *, moved: bool
) -> None:
    """Bring an entry up to what its file is now: a move, a revision, or only new metadata."""
    columns, facts = _without_facts(organise_store.with_choice(connection, known.id, columns))
    before = connection.execute(
        sa.select(lora.c.revision, lora.c.architecture, lora.c.content_hash).where(lora.c.id == known.id)
    ).one()
    revised = before.content_hash is not None and columns["content_hash"] != before.content_hash
    values = {**columns, **place.columns(), "state": "present", "stale": 0, "stale_reason": None, "updated_at": at}
    note = None
    if revised:
        values["revision"] = before.revision + 1
        if before.architecture and columns["architecture"] and before.architecture != columns["architecture"]:
            note = (
                f"architecture_changed: this file was {before.architecture} before and is {columns['architecture']} now"
            )
            values["warnings"] = rows.with_warning(columns["warnings"], note)
    if revised or place.stamp.size != known.size_bytes or place.stamp.mtime_ns != known.mtime_ns:
        values |= {"blake3": None, "sha256": None, "autov3": None}  # of the whole file, so metadata counts too
    beside = sidecar_store.words_of(connection, known.id)
    values["search_text"] = rows.search_text(values | {"stable_id": known.stable_id}, beside)
    connection.execute(lora.update().where(lora.c.id == known.id).values(**values))
    _store_facts(connection, {known.id: facts})
    events = []
    if known.file_path != place.path:
        events.append(_event(known.id, at, "moved", known.file_path, place.path))
    elif known.state == "missing" and not moved:
        events.append(_event(known.id, at, "returned", None, place.path))
    if revised:
        events.append(_event(known.id, at, "revised", before.content_hash, columns["content_hash"], note))
    add_history(connection, events)


def return_unchanged(connection: sa.Connection, back: Iterable[KnownRow], at: str) -> None:
    """Missing entries whose file is at its path again, just as it was when it was last read."""
    for batch in batches(back):
        connection.execute(
            lora.update().where(lora.c.id.in_([row.id for row in batch])).values(state="present", updated_at=at)
        )
        add_history(connection, [_event(row.id, at, "returned", None, row.file_path) for row in batch])


def store_measurement(connection: sa.Connection, known: KnownRow, columns: Mapping[str, Any], at: str) -> None:
    """Fill in what the data pass found for an entry that had only its header read."""
    columns, facts = _without_facts(organise_store.with_choice(connection, known.id, columns))
    columns["table_hash"] = columns["table_hash"] or known.table_hash
    filename = known.rel_path.rpartition("/")[2]
    row = {**columns, "stable_id": known.stable_id, "rel_path": known.rel_path, "filename": filename}
    columns["search_text"] = rows.search_text(row, sidecar_store.words_of(connection, known.id))
    connection.execute(lora.update().where(lora.c.id == known.id).values(**columns, updated_at=at))
    _store_facts(connection, {known.id: facts})
    connection.execute(
        lora_history.update()
        .where(
            lora_history.c.lora_id == known.id,
            lora_history.c.after.is_(None),
            lora_history.c.kind.in_(("added", "revised")),
        )
        .values(after=columns["content_hash"])
    )


def _without_facts(found: Mapping[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    """The columns of ``lora``, and what goes into the table beside it."""
    return {name: value for name, value in found.items() if name != FACTS}, found[FACTS]


def _store_facts(connection: sa.Connection, facts: Mapping[int, bytes | None]) -> None:
    """Put these in the place of what was known of the entries' modules; ``None``: nothing is known any more."""
    for batch in batches(facts):
        connection.execute(lora_module_facts.delete().where(lora_module_facts.c.lora_id.in_(batch)))
    known = [{"lora_id": seq, "facts": packed} for seq, packed in facts.items() if packed is not None]
    if known:
        connection.execute(lora_module_facts.insert(), known)


# Every entry whose mark may have to change, with the mark it should have: the first entry of those with its content.
_WANTED_MARKS: Final = """
    WITH first AS (
        SELECT content_hash, min(id) AS id FROM lora
        WHERE state = 'present' AND content_hash IS NOT NULL GROUP BY content_hash HAVING count(*) > 1
    ), wanted AS (
        SELECT lora.id AS id,
               CASE WHEN first.id <> lora.id AND lora.state = 'present' THEN original.stable_id END AS duplicate_of
        FROM lora
        LEFT JOIN first ON first.content_hash = lora.content_hash
        LEFT JOIN lora AS original ON original.id = first.id
        WHERE first.id IS NOT NULL OR lora.duplicate_of IS NOT NULL
    )
"""
_IS_WRONG: Final = "wanted.id = lora.id AND lora.duplicate_of IS NOT wanted.duplicate_of"


def duplicates_are_marked(connection: sa.Connection) -> bool:
    """Whether every mark is right already, so that nothing has to be written."""
    found = connection.exec_driver_sql(f"{_WANTED_MARKS} SELECT 1 FROM lora, wanted WHERE {_IS_WRONG} LIMIT 1")
    return found.first() is None


def mark_duplicates(connection: sa.Connection) -> None:
    """Point every present entry at the first of those with its content."""
    connection.exec_driver_sql(
        f"{_WANTED_MARKS} UPDATE lora SET duplicate_of = wanted.duplicate_of FROM wanted WHERE {_IS_WRONG}"
    )


def count_duplicates(connection: sa.Connection) -> int:
    """Present entries with the content of an earlier one."""
    count = sa.select(sa.func.count()).select_from(lora).where(lora.c.duplicate_of.is_not(None))
    return int(connection.execute(count).scalar_one())


def add_history(connection: sa.Connection, events: Sequence[Mapping[str, Any]]) -> None:
    """Append to the entries' histories."""
    if events:
        connection.execute(lora_history.insert(), list(events))


def _event(
    seq: int, at: str, kind: str, before: str | None, after: str | None, note: str | None = None
) -> dict[str, Any]:
    return {"lora_id": seq, "at": at, "kind": kind, "before": before, "after": after, "note": note}


# --- scans


def begin_scan(connection: sa.Connection, roots: Sequence[str], at: str) -> int:
    """Note that a run began; one that an earlier process did not live to finish is closed."""
    connection.execute(scan.update().where(scan.c.status == "running").values(status="failed", finished_at=at))
    row = connection.execute(
        scan.insert().values(
            started_at=at, status="running", roots=rows.dumps(list(roots)), summary=_packed(ScanSummary())
        )
    )
    return int(row.inserted_primary_key[0]) if row.inserted_primary_key else 0


def end_scan(connection: sa.Connection, scan_id: int, status: str, summary: ScanSummary, at: str) -> None:
    """Note how the run ended."""
    connection.execute(
        scan.update().where(scan.c.id == scan_id).values(finished_at=at, status=status, summary=_packed(summary))
    )


def _packed(summary: ScanSummary) -> str:
    return rows.dumps(asdict(summary))


def saved_roots(connection: sa.Connection) -> dict[int, str]:
    """The roots on the list: id -> storable path, by path."""
    statement = sa.select(root.c.id, root.c.path).where(root.c.removed == 0).order_by(root.c.path)
    return dict(connection.execute(statement).all())


def pending_rows(connection: sa.Connection) -> list[KnownRow]:
    """Present entries of which only the header was read."""
    columns = [lora.c[name] for name in KnownRow._fields]
    statement = sa.select(*columns).where(lora.c.state == "present", lora.c.measured == 0, lora.c.error.is_(None))
    return list(map(KnownRow._make, connection.execute(statement).all()))
