"""The catalogue: what the library holds, asked and changed through one object.

All SQL of the product is in this room: searching in ``catalog_search.py``, the indexer's writes in ``index_store.py``,
the ledger of ids in ``ledger.py``. Nothing here opens a LoRA file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import orjson
import sqlalchemy as sa

from lora_weights_builder.errors import CatalogError, Conflict, NotFound, UsageError
from lora_weights_builder.library import (
    catalog_facets,
    catalog_search,
    database,
    ledger,
    organise_store,
    pair_store,
    paths,
    rows,
    sidecar_store,
)
from lora_weights_builder.library.conventions import Conventions
from lora_weights_builder.library.database import (
    Database,
    id_ledger,
    lora,
    lora_history,
    lora_module_facts,
    root,
    scan,
)
from lora_weights_builder.library.locks import index_lease
from lora_weights_builder.library.organise import Change
from lora_weights_builder.records import (
    CatalogSummary,
    FacetValue,
    HistoryEvent,
    LoraDetail,
    LoraRow,
    PathProblem,
    RootInfo,
    SavedSearch,
    ScanRecord,
    ScanSummary,
    SearchPage,
    SearchQuery,
)

MAX_DUPLICATES_SHOWN: Final = 100
MAX_HISTORY_SHOWN: Final = 500


class Catalog:
    """The catalogue of a library: entries, ids, roots, scans. Safe to share between threads.

    ``database`` is for the other modules of this room.
    """

    def __init__(self, opened: Database) -> None:
        self.database = opened

    @classmethod
    def open(cls, url_or_path: str | os.PathLike[str], *, read_only: bool = False) -> Catalog:
        """Open (and create or migrate, unless ``read_only``) the database.

        Where the file or its folder cannot be written it is opened for reading.

        Raises:
            CatalogError: absent (when read-only), corrupt, not a catalogue; NewerSchema: written by a newer version.
        """
        return cls(database.open_database(url_or_path, read_only=read_only))

    @property
    def read_only(self) -> bool:
        """Whether every write raises CatalogError."""
        return self.database.read_only

    @property
    def path(self) -> Path:
        """The database file."""
        return self.database.path

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # --- asking

    def search(self, query: SearchQuery) -> SearchPage:
        """One page. Raises UsageError for an unknown sort, state, limit out of 1..500 or a cursor that is not ours."""
        with self.database.reading() as connection:
            return catalog_search.search(connection, query)

    def facets(self, query: SearchQuery) -> dict[str, list[FacetValue]]:
        """Counts a value of each facet, see :mod:`~lora_weights_builder.library.catalog_facets`."""
        with self.database.reading() as connection:
            return catalog_facets.facets(connection, query)

    def iterate(self, query: SearchQuery) -> Iterator[LoraRow]:
        """Every row of a search, page by page (for exports); limit and offset are ignored."""
        with self.database.reading() as connection:
            yield from catalog_search.iterate(connection, query)

    def get(self, stable_id: str) -> LoraRow | None:
        """The entry of this id, in any state; ``None`` where there is none."""
        with self.database.reading() as connection:
            row = _row(connection, stable_id)
        return None if row is None else rows.lora_row(row)

    def detail(self, stable_id: str) -> LoraDetail | None:
        """Row, blocks, module facts, metadata, history, duplicates; ``None`` where there is none."""
        with self.database.reading() as connection:
            row = _row(connection, stable_id)
            if row is None:
                return None
            events = connection.execute(
                sa.select(lora_history)
                .where(lora_history.c.lora_id == row["id"])
                .order_by(lora_history.c.id.desc())
                .limit(MAX_HISTORY_SHOWN)
            ).mappings()
            history = [
                HistoryEvent(event["at"], event["kind"], event["before"], event["after"], event["note"])
                for event in events
            ]
            same = sa.select(lora.c.stable_id).where(
                lora.c.content_hash == row["content_hash"], lora.c.state == "present", lora.c.id != row["id"]
            )
            facts = connection.execute(
                sa.select(lora_module_facts.c.facts).where(lora_module_facts.c.lora_id == row["id"])
            ).scalar_one_or_none()
            twins = connection.execute(same.order_by(lora.c.id).limit(MAX_DUPLICATES_SHOWN)).scalars().all()
            pair = pair_store.partner_of(connection, row["id"])
            sidecar = sidecar_store.sidecar_of(connection, row["id"], row["sha256"])
            preview = sidecar_store.preview_of(connection, row["id"])
            notes = organise_store.notes_of(connection, row["id"])
        metadata, summary = rows.metadata_of(row)
        return LoraDetail(
            row=rows.lora_row(row),
            blocks=rows.blocks_of(row),
            metadata=metadata,
            summary=summary,
            history=tuple(reversed(history)),
            duplicates=tuple(twins),
            module_facts=facts,
            energy_ranks=rows.energy_ranks_of(row),
            pair=pair,
            base_model_evidence=None if row["base_is_chosen"] else row["base_model_evidence"],
            sidecar=sidecar,
            preview=preview,
            notes=notes,
        )

    def summary(self) -> CatalogSummary:
        """Counts over the whole catalogue."""
        present = lora.c.state == "present"

        def counted(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
            return sa.func.count().filter(*conditions)

        statement = sa.select(
            counted(present),
            counted(present, lora.c.has_block_weights == 1),
            counted(lora.c.state == "missing"),
            counted(present, lora.c.error.is_not(None)),
            counted(present, lora.c.duplicate_of.is_not(None)),
            counted(present, lora.c.fallback == 1),
            counted(present, lora.c.measured == 0, lora.c.error.is_(None)),
        ).select_from(lora)
        last = (
            sa.select(scan.c.finished_at, scan.c.summary)
            .where(scan.c.status == "done")
            .order_by(scan.c.id.desc())
            .limit(1)
        )
        with self.database.reading() as connection:
            total, with_blocks, missing, failed, duplicates, fallbacks, pending = connection.execute(statement).one()
            done = connection.execute(last).one_or_none()
        return CatalogSummary(
            total_loras=total,
            with_blocks=with_blocks,
            last_scan=done.finished_at if done else None,
            duration_last_scan_sec=_summary(done.summary).seconds if done else None,
            missing=missing,
            failed=failed,
            duplicates=duplicates,
            fallbacks=fallbacks,
            pending=pending,
            with_stable_id=total,
        )

    def scans(self, limit: int = 20) -> list[ScanRecord]:
        """Past runs, newest first."""
        with self.database.reading() as connection:
            found = connection.execute(sa.select(scan).order_by(scan.c.id.desc()).limit(limit)).all()
        return [
            ScanRecord(
                row.id,
                row.started_at,
                row.finished_at,
                row.status,
                tuple(orjson.loads(row.roots)),
                _summary(row.summary),
            )
            for row in found
        ]

    # --- roots

    def roots(self) -> list[RootInfo]:
        """The saved roots, by path; ``available`` is told by a look at the folder."""
        each = sa.func.json_each(scan.c.roots).table_valued("value")
        last = (
            sa.select(sa.func.max(scan.c.finished_at))
            .select_from(scan.join(each, sa.true()))
            .where(scan.c.status == "done", each.c.value == root.c.path)
            .scalar_subquery()
        )
        statement = (
            sa.select(
                root.c.id,
                root.c.path,
                root.c.added_at,
                last.label("last_scan"),
                sa.func.count().filter(lora.c.state == "present").label("entries"),
                sa.func.count().filter(lora.c.state == "missing").label("missing"),
            )
            .select_from(root.outerjoin(lora, lora.c.root_id == root.c.id))
            .where(root.c.removed == 0)
            .group_by(root.c.id)
            .order_by(root.c.path)
        )
        with self.database.reading() as connection:
            found = connection.execute(statement).all()
        return [
            RootInfo(row.id, row.path, row.added_at, row.last_scan, row.entries, row.missing, _can_be_listed(row.path))
            for row in found
        ]

    def add_root(self, path: str | os.PathLike[str]) -> RootInfo:
        """Save a root (made absolute). Raises UsageError where it is no folder."""
        folder = paths.absolute(path)
        if not Path(folder).is_dir():
            raise UsageError(f"{paths.display(folder)} is not a folder.", subject="path")
        text = paths.to_text(folder)
        with self.database.writing() as connection:
            save_root(connection, text)
        return next(info for info in self.roots() if info.path == text)

    def remove_root(self, path: str | os.PathLike[str]) -> int:
        """Take a root off the list; its entries become missing and keep their ids.

        Returns:
            How many entries became missing.

        Raises:
            NotFound: the path (made absolute) is not a saved root.
        """
        text = paths.to_text(paths.absolute(path))
        with self.database.writing() as connection:
            known = connection.execute(
                sa.select(root.c.id).where(root.c.path == text, root.c.removed == 0)
            ).scalar_one_or_none()
            if known is None:
                raise NotFound(f"{paths.display(text)} is not a root of this library.", subject=text)
            connection.execute(root.update().where(root.c.id == known).values(removed=1))
            gone = connection.execute(
                lora.update()
                .where(lora.c.root_id == known, lora.c.state == "present")
                .values(state="missing", stale=0, stale_reason=None, duplicate_of=None, updated_at=rows.now())
            )
            return gone.rowcount

    # --- changing

    def forget(self, stable_id: str) -> None:
        """Drop a missing entry; its id stays retired.

        Raises:
            NotFound: no entry has this id. Conflict: its file is present, so the next scan would find it again.
        """
        with index_lease(self.path), self.database.writing() as connection:
            row = _row(connection, stable_id)
            if row is None:
                raise _unknown(stable_id)
            if row["state"] == "present":
                raise Conflict(
                    f"{stable_id} is in the library at {paths.display(row['file_path'])}; only a missing entry can be "
                    "forgotten. Remove the file and index first.",
                    subject=stable_id,
                )
            connection.execute(lora.delete().where(lora.c.id == row["id"]))
            connection.execute(
                id_ledger.update()
                .where(id_ledger.c.seq == row["id"])
                .values(
                    retired=1,
                    content_hash=row["content_hash"],
                    table_hash=row["table_hash"],
                    rel_path=row["rel_path"],
                )
            )

    def organise(self, stable_ids: Sequence[str], change: Change, conventions: Conventions) -> int:
        """Make one change to all these entries, or to none; returns their number.

        Raises:
            NotFound: one of them is not there. UsageError, Conflict: the change cannot be made.
        """
        with self.database.writing() as connection:
            return organise_store.organise(connection, stable_ids, change, conventions)

    def searches(self) -> list[SavedSearch]:
        """The saved searches, by name."""
        with self.database.reading() as connection:
            return organise_store.searches(connection)

    def save_search(self, name: str, query: str) -> SavedSearch:
        """Keep a search. Raises Conflict where the name is taken or there are too many."""
        with self.database.writing() as connection:
            return organise_store.save_search(connection, name, query)

    def delete_search(self, search_id: int) -> None:
        """Drop a saved search. Raises NotFound."""
        with self.database.writing() as connection:
            organise_store.delete_search(connection, search_id)

    def set_hashes(self, stable_id: str, blake3: str, sha256: str, autov3: str | None) -> None:
        """Keep whole-file hashes until the file changes. Raises NotFound."""
        with self.database.writing() as connection:
            changed = connection.execute(
                lora.update().where(lora.c.stable_id == stable_id).values(blake3=blake3, sha256=sha256, autov3=autov3)
            )
            if changed.rowcount == 0:
                raise _unknown(stable_id)

    def export_ids(self) -> Iterator[str]:
        """The id ledger as JSON Lines (no line ends), in the order the ids were given."""
        with self.database.reading() as connection:
            yield from ledger.export_lines(connection)

    def import_ids(self, lines: Iterable[str]) -> int:
        """Take a ledger in; all or nothing. Returns the number of new ids.

        Raises:
            Conflict: an id is held here, or given twice there, for other content. UsageError: a line is malformed.
            Busy: an indexer is running.
        """
        with index_lease(self.path), self.database.writing() as connection:
            return ledger.import_lines(connection, lines, created_at=rows.now())

    def backup(self, target: str | os.PathLike[str]) -> None:
        """A consistent copy of the database into a new file. Raises CatalogError where the file exists."""
        database.backup(self.path, Path(target))


def save_root(connection: sa.Connection, path: str) -> int:
    """The id of the root of this storable path, saved if it was not, back on the list if it was taken off."""
    known = connection.execute(sa.select(root.c.id, root.c.removed).where(root.c.path == path)).one_or_none()
    if known is None:
        inserted = connection.execute(root.insert().values(path=path, added_at=rows.now())).inserted_primary_key
        if inserted is None:
            raise CatalogError("The database did not say which row it made for the root.", subject=path)
        return int(inserted[0])
    if known.removed:
        connection.execute(root.update().where(root.c.id == known.id).values(removed=0))
    return int(known.id)


def _row(connection: sa.Connection, stable_id: str) -> sa.RowMapping | None:
    if not stable_id.isascii():
        return None  # no id holds anything else, and not every text can be bound
    statement = sa.select(*catalog_search.WHOLE).where(lora.c.stable_id == stable_id)
    return connection.execute(statement).mappings().one_or_none()


def _unknown(stable_id: str) -> NotFound:
    return NotFound(f"No entry has the id {stable_id!r}.", subject=stable_id)


def _can_be_listed(path: str) -> bool:
    try:
        with os.scandir(paths.to_os(path)):
            return True
    except (OSError, ValueError):
        return False


def _summary(text: str) -> ScanSummary:
    data: dict[str, Any] = orjson.loads(text)
    errors = tuple(PathProblem(**problem) for problem in data.pop("errors", ()))
    unavailable = tuple(data.pop("roots_unavailable", ()))
    return ScanSummary(**data, errors=errors, roots_unavailable=unavailable)
