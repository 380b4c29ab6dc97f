"""The invariants of a catalogue, asked of a real database file with plain SQL.

It trusts nothing that it checks: not the schema's constraints, which somebody may have dropped, nor this program's own
migrations. So it opens the file itself, for reading only. How results are printed is the command line's part.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from lora_weights_builder.errors import CatalogError, FileRejected
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library import paths
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.database import WAL_RESET_FIXED, database_path
from lora_weights_builder.library.database_errors import explained
from lora_weights_builder.records import CheckResult

MAX_NAMED: Final = 10  # offenders that a detail spells out

# What SQLite says where somebody has altered the schema, as opposed to a file that cannot be read.
_ALTERED: Final = ("no such", "foreign key mismatch", "malformed JSON", "error in view", "ambiguous column")

_Query = Callable[[sqlite3.Connection], list[str]]


def run(catalog_or_path: Catalog | str | os.PathLike[str]) -> list[CheckResult]:
    """Ask every question; the first two are those of the original smoke check, in its words.

    Raises:
        CatalogError: there is no database there, it is damaged beyond reading, or it has no table ``lora``.
    """
    path = _path(catalog_or_path)
    if not path.is_file():
        raise CatalogError(f"There is no database at {path}; `lwb index` makes one.", subject=str(path))
    with explained(path), contextlib.closing(_connect(path)) as connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        }
        if "lora" not in tables:
            raise CatalogError(f"{path} has no table `lora`, so it is not a catalogue.", subject=str(path))
        results = [_asked(connection, title, ask) for title, ask in _ORIGINAL]
        if tables & _OWN:  # else a database of the earlier kind, which can answer only the original questions
            results.append(_result("Missing tables", sorted(_OWN - tables)))
            results += [_asked(connection, title, ask) for title, ask in _FURTHER]
        results += [_asked(connection, title, ask) for title, ask in _FILE]
        if "lora_module_facts" in tables:
            results.append(_module_facts(connection))
    return [*results, _sqlite_version()]


def run_deep(
    catalog: Catalog, on_file: Callable[[int, int], None] | None = None, should_stop: Callable[[], bool] | None = None
) -> list[CheckResult]:
    """Read every present file again and compare its content with what the catalogue holds.

    Args:
        on_file: told (files done, files to do) after each.
        should_stop: asked before each file.
    """
    from lora_weights_builder.inspector.tensor_file import content_hash

    with catalog.database.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT stable_id, file_path, content_hash FROM lora"
            " WHERE state = 'present' AND stale = 0 AND content_hash IS NOT NULL ORDER BY file_path"
        ).all()
    changed: list[str] = []
    unreadable: list[str] = []
    for done, (stable_id, file_path, expected) in enumerate(found, start=1):
        if should_stop is not None and should_stop():
            break
        try:
            _, digest = content_hash(os.path.realpath(paths.to_os(file_path)))
        except FileRejected as fault:
            unreadable.append(f"{stable_id} ({fault.code})")
        else:
            if digest != expected:
                changed.append(stable_id)
        if on_file is not None:
            on_file(done, len(found))
    return [
        _result("Files whose content differs from the catalogue", changed),
        _result("Files that cannot be read", unreadable),
    ]


def _path(catalog_or_path: Catalog | str | os.PathLike[str]) -> Path:
    return catalog_or_path.path if isinstance(catalog_or_path, Catalog) else database_path(catalog_or_path)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)


def _asked(connection: sqlite3.Connection, title: str, ask: _Query) -> CheckResult:
    """A question that the schema no longer lets be asked counts as one fault, not as the end of the check."""
    try:
        return _result(title, ask(connection))
    except sqlite3.OperationalError as fault:
        if not str(fault).startswith(_ALTERED):
            raise
        return _result(title, [str(fault)])


def _result(title: str, offenders: list[str]) -> CheckResult:
    named = ", ".join(map(paths.display, offenders[:MAX_NAMED]))
    if len(offenders) > MAX_NAMED:
        named += f" and {len(offenders) - MAX_NAMED} more"
    return CheckResult(title, len(offenders), not offenders, named or None)


def _listed(sql: str) -> _Query:
    """A question whose answer is a list of offenders, one a row of the statement."""
    return lambda connection: [str(value) for (value,) in connection.execute(sql)]


def _required_codes() -> Iterator[str]:
    return (code for code, base in registry().base_models.items() if base.requires_layout)


def _flux_without_layout(connection: sqlite3.Connection) -> list[str]:
    codes = json.dumps(sorted(_required_codes()))
    return [
        str(value)
        for (value,) in connection.execute(
            "SELECT stable_id FROM lora WHERE block_layout IS NULL"
            " AND base_model_code IN (SELECT value FROM json_each(?))",
            (codes,),
        )
    ]


def _unknown_layouts(connection: sqlite3.Connection) -> list[str]:
    statement = "SELECT DISTINCT block_layout FROM lora WHERE block_layout IS NOT NULL"
    return [str(layout) for (layout,) in connection.execute(statement) if str(layout) not in registry().layouts]


def _wrong_block_counts(connection: sqlite3.Connection) -> list[str]:
    statement = (
        "SELECT stable_id, block_layout, block_count, has_block_weights,"
        " CASE WHEN json_valid(raw_strengths) THEN json_array_length(raw_strengths) END"
        " FROM lora WHERE block_layout IS NOT NULL"
    )
    return list(_contradicting(connection.execute(statement)))


def _contradicting(rows: Iterable[tuple[str, str, int, int, int | None]]) -> Iterator[str]:
    for stable_id, layout_id, block_count, has_weights, measured in rows:
        layout = registry().layouts.get(layout_id)
        if layout is None:
            continue  # counted as unknown already
        if block_count != layout.block_count or (has_weights and measured != layout.block_count):
            yield stable_id


def _integrity(connection: sqlite3.Connection) -> list[str]:
    return [str(line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]


def _foreign_keys(connection: sqlite3.Connection) -> list[str]:
    return [f"{table} row {row}" for table, row, *_ in connection.execute("PRAGMA foreign_key_check")]


def _module_facts(connection: sqlite3.Connection) -> CheckResult:
    """A failure only where the schema is altered: what an older version measured is sound, it only says less."""
    without = _asked(
        connection,
        "Module facts",
        _listed(
            "SELECT stable_id FROM lora WHERE state = 'present' AND has_block_weights = 1"
            " AND NOT EXISTS (SELECT 1 FROM lora_module_facts WHERE lora_id = lora.id) ORDER BY id"
        ),
    )
    if without.passed or (without.detail or "").startswith(_ALTERED):
        return without
    note = f"an older version measured {without.detail} without them; `lwb index --full` reads the files again"
    return CheckResult(without.title, 0, True, note)


def _sqlite_version() -> CheckResult:
    """Never a failure: one writer at a time is all this program ever lets in, and the user may not have a choice."""
    note = f"SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < WAL_RESET_FIXED:
        fixed = ".".join(map(str, WAL_RESET_FIXED))
        note += f"; before {fixed} it can lose data when other programs write to this file at the same time"
    return CheckResult("SQLite version", 0, True, note)


_ORIGINAL: Final[tuple[tuple[str, _Query], ...]] = (
    ("Flux rows with null block_layout", _flux_without_layout),
    (
        "Duplicate stable_id groups",
        _listed("SELECT stable_id FROM lora WHERE stable_id IS NOT NULL GROUP BY stable_id HAVING count(*) > 1"),
    ),
)
_FURTHER: Final[tuple[tuple[str, _Query], ...]] = (
    ("Rows without stable_id", _listed("SELECT id FROM lora WHERE stable_id IS NULL OR stable_id = ''")),
    ("Layouts unknown to the registry", _unknown_layouts),
    ("Rows whose blocks contradict their layout", _wrong_block_counts),
    (
        "Block weights outside 0 to 1",
        _listed(
            "SELECT DISTINCT stable_id FROM lora_block_weights"
            " WHERE typeof(weight) <> 'real' OR weight < 0 OR weight > 1"
            " OR typeof(raw_strength) NOT IN ('real', 'integer') OR raw_strength < 0"
        ),
    ),
    (
        "Rows whose has_block_weights is wrong",
        _listed(
            "SELECT stable_id FROM lora"
            " WHERE has_block_weights NOT IN (0, 1) OR has_block_weights <> (raw_strengths IS NOT NULL)"
        ),
    ),
    (
        "Ids that are not in the ledger",
        _listed("SELECT stable_id FROM lora WHERE stable_id NOT IN (SELECT stable_id FROM id_ledger)"),
    ),
    (
        "Retired ids in use",
        _listed("SELECT stable_id FROM lora WHERE stable_id IN (SELECT stable_id FROM id_ledger WHERE retired = 1)"),
    ),
    (
        "Paths held by two entries",
        _listed("SELECT file_path FROM lora WHERE state = 'present' GROUP BY file_path HAVING count(*) > 1"),
    ),
    (
        "Pairs that are not mutual",
        _listed(
            "SELECT one.lora_id FROM lora_pair AS one LEFT JOIN lora_pair AS other"
            " ON other.lora_id = one.partner_id AND other.partner_id = one.lora_id AND other.noise <> one.noise"
            " WHERE other.lora_id IS NULL"
        ),
    ),
    (
        "Rows that the search index misses",
        _listed("SELECT id FROM lora WHERE id NOT IN (SELECT id FROM lora_search_docsize)"),
    ),
)
_OWN: Final = frozenset(
    {
        "combined_profile",
        "id_ledger",
        "lora_block_weights",
        "lora_history",
        "lora_pair",
        "lora_profile",
        "lora_search",
        "root",
        "scan",
        "work_due",
    }
)
_FILE: Final[tuple[tuple[str, _Query], ...]] = (
    ("Broken references", _foreign_keys),
    ("Integrity errors", _integrity),
)
