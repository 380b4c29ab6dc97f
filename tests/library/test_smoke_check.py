"""The smoke check tells a healthy catalogue from a broken one, whatever constraints are left in it."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from lora_weights_builder.errors import CatalogError
from lora_weights_builder.library import smoke_check
from lora_weights_builder.library.catalog import Catalog
from tests.library.library_files import RunIndex, write_lora


@pytest.fixture
def checked(library: Path, catalog: Catalog, run: RunIndex) -> Catalog:
    for number in range(4):
        write_lora(library / "FLUX/08 - Clothing" / f"{number}.safetensors", str(number))
    (library / "FLUX/broken.safetensors").write_bytes(b"{}")
    run()
    return catalog


def without_constraints(path: Path) -> sqlite3.Connection:
    """Rebuild the table ``lora`` with no constraint left, as somebody with an editor might."""
    plain = sqlite3.connect(path)
    (sql,) = plain.execute("SELECT sql FROM sqlite_master WHERE name = 'lora'").fetchone()
    sql = re.sub(r"(?s),\s*condition INTEGER GENERATED .*? VIRTUAL", "", sql)
    columns = re.sub(r"(?s),\s*(PRIMARY KEY|CONSTRAINT|FOREIGN KEY|UNIQUE).*", ")", sql)
    columns = columns.replace(" NOT NULL", "").replace("CREATE TABLE lora", "CREATE TABLE rebuilt")
    for name, kind in plain.execute(
        "SELECT name, type FROM sqlite_master WHERE tbl_name = 'lora' AND type IN ('trigger', 'index') AND sql NOT NULL"
    ).fetchall():
        plain.execute(f"DROP {kind} {name}")
    plain.execute("DROP VIEW lora_block_weights")
    plain.execute(columns)
    stored = ", ".join(name for (_, name, *_) in plain.execute("PRAGMA table_info(lora)"))  # not the computed one
    plain.execute(f"INSERT INTO rebuilt SELECT {stored} FROM lora")
    plain.execute("DROP TABLE lora")
    plain.execute("ALTER TABLE rebuilt RENAME TO lora")
    plain.execute(
        "CREATE VIEW lora_block_weights AS SELECT lora.id AS lora_id, stable_id, block.key AS block_index,"
        " round(block.value / strength_max, 6) AS weight, block.value AS raw_strength"
        " FROM lora, json_each(raw_strengths) AS block WHERE has_block_weights = 1"
    )
    plain.commit()
    return plain


def failed(catalog: Catalog) -> dict[str, int]:
    return {result.title: result.value for result in smoke_check.run(catalog.path) if not result.passed}


def test_a_healthy_catalogue_passes_and_begins_with_the_two_original_checks(checked: Catalog) -> None:
    results = smoke_check.run(checked)
    assert [(result.title, result.value, result.passed) for result in results[:2]] == [
        ("Flux rows with null block_layout", 0, True),
        ("Duplicate stable_id groups", 0, True),
    ]
    assert [result.title for result in results if not result.passed or result.value] == []
    assert len(results) == 17


@pytest.mark.parametrize(
    ("statement", "title", "value"),
    [
        ("UPDATE lora SET block_layout = NULL WHERE id < 4", "Flux rows with null block_layout", 3),
        ("UPDATE lora SET stable_id = 'FLX-CLT-001' WHERE id < 3", "Duplicate stable_id groups", 1),
        ("UPDATE lora SET stable_id = NULL WHERE id = 1", "Rows without stable_id", 1),
        ("UPDATE lora SET block_layout = 'flux_unet_58' WHERE id = 1", "Layouts unknown to the registry", 1),
        ("UPDATE lora SET block_count = 37 WHERE id = 1", "Rows whose blocks contradict their layout", 1),
        ("UPDATE lora SET raw_strengths = '[1.0]' WHERE id = 1", "Rows whose blocks contradict their layout", 1),
        ("UPDATE lora SET strength_max = 0.01 WHERE id = 1", "Block weights outside 0 to 1", 1),
        ("UPDATE lora SET raw_strengths = NULL WHERE id = 1", "Rows whose has_block_weights is wrong", 1),
        ("UPDATE lora SET stable_id = 'FLX-CLT-777' WHERE id = 1", "Ids that are not in the ledger", 1),
        ("UPDATE id_ledger SET retired = 1 WHERE seq = 2", "Retired ids in use", 1),
        ("UPDATE lora SET file_path = 'same' WHERE id < 3", "Paths held by two entries", 1),
        ("INSERT INTO lora (id, stable_id) VALUES (99, 'FLX-CLT-001')", "Rows that the search index misses", 1),
        ("INSERT INTO lora_pair VALUES (1, 2, 'x'), (2, 1, 'x'), (3, 1, 'y')", "Pairs that are not mutual", 3),
        ("UPDATE lora_history SET lora_id = 4711 WHERE id = 1", "Broken references", 1),
    ],
)
def test_a_broken_invariant_fails_also_where_its_constraint_is_gone(
    checked: Catalog, statement: str, title: str, value: int
) -> None:
    checked.close()
    plain = without_constraints(checked.path)
    assert failed(checked).keys() <= {"Broken references"}
    plain.execute(statement)
    plain.commit()
    plain.close()
    assert failed(checked)[title] == value


def test_a_dropped_table_is_a_fault_of_its_own(checked: Catalog) -> None:
    checked.close()
    with sqlite3.connect(checked.path) as plain:
        plain.execute("DROP VIEW lora_block_weights")
    plain.close()
    assert failed(checked) == {"Missing tables": 1, "Block weights outside 0 to 1": 1}


def test_a_database_of_the_earlier_kind_is_asked_the_original_questions(tmp_path: Path) -> None:
    path = tmp_path / "legacy.db"
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE lora (stable_id TEXT, base_model_code TEXT, block_layout TEXT)")
        plain.executemany(
            "INSERT INTO lora VALUES (?, ?, ?)", [("FLX-A", "FLX", None), ("FLX-A", "FLX", "x"), (None, "SDX", None)]
        )
    plain.close()
    assert [(r.value, r.passed) for r in smoke_check.run(path)[:2]] == [(1, False), (1, False)]


def test_no_database_is_an_error_and_never_a_pass(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no database"):
        smoke_check.run(tmp_path / "none.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(CatalogError, match="no table"):
        smoke_check.run(tmp_path / "empty.db")
    (tmp_path / "junk.db").write_bytes(b"junk" * 1000)
    with pytest.raises(CatalogError, match=r"junk\.db"):
        smoke_check.run(tmp_path / "junk.db")


def test_the_deep_check_reads_the_files_again(checked: Catalog, library: Path) -> None:
    assert [(r.value, r.passed) for r in smoke_check.run_deep(checked)] == [(0, True), (0, True)]
    write_lora(library / "FLUX/08 - Clothing/1.safetensors", "changed behind its back")
    (library / "FLUX/08 - Clothing/2.safetensors").unlink()
    seen: list[tuple[int, int]] = []
    changed, unreadable = smoke_check.run_deep(checked, lambda done, total: seen.append((done, total)))
    assert (changed.value, changed.detail) == (1, "FLX-CLT-002")
    assert (unreadable.value, unreadable.detail) == (1, "FLX-CLT-003 (not_found)")
    assert seen[-1] == (4, 4)
