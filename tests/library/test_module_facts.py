"""What the catalogue keeps of a file's modules: when it is stored, replaced and dropped, and who reads it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from lora_weights_builder.library import database, smoke_check
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import EnergyRanks, LoraDetail, SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, dump, ids_by_path, write_lora

ONE_PASS, TWO_PASSES = 1 << 30, 0


def entry(catalog: Catalog, stable_id: str) -> LoraDetail:
    found = catalog.detail(stable_id)
    assert found is not None
    return found


def expected(catalog: Catalog, stable_id: str) -> tuple[bytes, EnergyRanks]:
    digest = entry(catalog, stable_id).row.content_hash
    assert digest is not None
    return stand_in.facts(digest), (1, 2, int(digest[0], 16) + 3)


def kept(catalog: Catalog, stable_id: str) -> tuple[bytes | None, EnergyRanks | None]:
    detail = entry(catalog, stable_id)
    return detail.module_facts, detail.energy_ranks


@pytest.mark.parametrize("at_once", [ONE_PASS, TWO_PASSES])
def test_facts_are_stored_byte_for_byte_with_the_strengths(
    library: Path, catalog: Catalog, run: RunIndex, at_once: int
) -> None:
    for number in range(3):
        write_lora(library / f"{number}.safetensors", str(number))
    run(measure_at_once=at_once)
    for stable_id in ids_by_path(catalog).values():
        assert kept(catalog, stable_id) == expected(catalog, stable_id)


@pytest.mark.parametrize("at_once", [ONE_PASS, TWO_PASSES])
def test_other_content_brings_other_facts(library: Path, catalog: Catalog, run: RunIndex, at_once: int) -> None:
    path = write_lora(library / "a.safetensors", "first")
    run(measure_at_once=at_once)
    before = kept(catalog, "UNK-UNC-001")
    write_lora(path, "second, and longer", padding=2)
    run(measure_at_once=at_once)
    assert entry(catalog, "UNK-UNC-001").row.revision == 2
    assert kept(catalog, "UNK-UNC-001") == expected(catalog, "UNK-UNC-001") != before


@pytest.mark.parametrize("at_once", [ONE_PASS, TWO_PASSES])
def test_a_file_that_can_no_longer_be_read_loses_its_facts(
    library: Path, catalog: Catalog, run: RunIndex, at_once: int
) -> None:
    path = write_lora(library / "a.safetensors", "a")
    run(measure_at_once=at_once)
    path.write_bytes(b"\xff" * 40)
    run(measure_at_once=at_once)
    assert entry(catalog, "UNK-UNC-001").row.error is not None
    assert kept(catalog, "UNK-UNC-001") == (None, None)
    assert dump(catalog)["lora_module_facts"] == []


def test_facts_stay_while_the_file_is_away_and_go_when_the_entry_is_forgotten(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    path = write_lora(library / "a.safetensors", "a")
    write_lora(library / "b.safetensors", "b")
    run()
    wanted = expected(catalog, "UNK-UNC-001")
    shutil.move(path, tmp_path / "elsewhere.safetensors")
    run()
    assert (entry(catalog, "UNK-UNC-001").row.state, kept(catalog, "UNK-UNC-001")) == ("missing", wanted)
    catalog.forget("UNK-UNC-001")
    assert [lora_id for lora_id, _ in dump(catalog)["lora_module_facts"]] == [2]


def test_no_list_reads_the_facts_or_the_ranks_behind_the_long_columns(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    for number in range(3):
        write_lora(library / f"{number}.safetensors", str(number))
    run()
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(catalog.database.engine, "before_cursor_execute", note)
    query = SearchQuery(text="safetensors")
    assert len(catalog.search(query).rows) == len(list(catalog.iterate(query))) == 3
    catalog.facets(query)
    catalog.summary()
    assert len(statements) > 5
    assert [text for text in statements if "module_facts" in text or "rank_9" in text] == []
    catalog.detail("UNK-UNC-001")
    assert "lora_module_facts" in "".join(statements)


# --- catalogues from before


@pytest.fixture
def older(tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex) -> Path:
    """A catalogue as the first schema left it: three entries, and a file inspected but not settled."""
    for number in range(3):
        write_lora(library / f"{number}.safetensors", str(number))
    run()
    path = tmp_path / "older.db"
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with sqlite3.connect(path) as plain:
        plain.execute("ATTACH ? AS now", (str(catalog.path),))
        for table in ("root", "id_ledger", "scan", "lora", "lora_history"):
            columns = ", ".join(f'"{row[1]}"' for row in plain.execute(f"PRAGMA main.table_info({table})"))
            plain.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        plain.execute("INSERT INTO inspection VALUES ('/x', 1, 1, 1, 1, '', 1, NULL, NULL, NULL, '{}')")
        plain.commit()
        assert "rank_90" not in {row[1] for row in plain.execute("PRAGMA main.table_info(lora)")}
    plain.close()
    return path


def test_an_older_catalogue_is_backed_up_upgraded_and_keeps_its_ids(
    library: Path, catalog: Catalog, older: Path
) -> None:
    ids, rows = ids_by_path(catalog), dump(catalog, without=("rank_90", "rank_95", "rank_99"))
    with Catalog.open(older) as opened:
        assert ids_by_path(opened) == ids
        upgraded = dump(opened, without=("rank_90", "rank_95", "rank_99"))
        assert upgraded.pop("lora_module_facts") == []
        assert rows.pop("lora_module_facts") != []
        assert upgraded == rows
        assert [kept(opened, stable_id) for stable_id in ids.values()] == [(None, None)] * 3
        assert [result.title for result in smoke_check.run(opened) if not result.passed] == []
    [copy] = older.parent.glob("older.db.schema-0001-*.backup")
    with sqlite3.connect(copy) as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert plain.execute("SELECT count(*) FROM lora").fetchall() == [(3,)]
        assert plain.execute("SELECT count(*) FROM inspection").fetchall() == [(1,)]
    plain.close()


def test_entries_from_before_wait_for_a_full_run_and_the_check_says_so(library: Path, older: Path) -> None:
    from lora_weights_builder.library.indexer import IndexOptions, index

    def note(opened: Catalog) -> str | None:
        [result] = [each for each in smoke_check.run(opened) if each.title == "Module facts"]
        assert (result.value, result.passed) == (0, True)
        return result.detail

    options = IndexOptions(inspector=stand_in.inspect)
    with Catalog.open(older) as opened:
        assert index(opened, [library], options=options).unchanged == 3
        assert kept(opened, "UNK-UNC-001") == (None, None)
        assert note(opened) == (
            "an older version measured UNK-UNC-001, UNK-UNC-002, UNK-UNC-003 without them; "
            "`lwb index --full` reads the files again"
        )
        index(opened, [library], options=IndexOptions(inspector=stand_in.inspect, full=True))
        for stable_id in ids_by_path(opened).values():
            assert kept(opened, stable_id) == expected(opened, stable_id)
        assert note(opened) is None
