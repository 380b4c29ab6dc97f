"""Opening, migrating and protecting the database file."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from lora_weights_builder.errors import CatalogError, ConfigError, NewerSchema
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library import database, profile_tables
from lora_weights_builder.library.catalog import Catalog
from tests.library.library_files import RunIndex, write_lora


def test_a_new_database_has_the_pragmas_that_survive_a_power_cut(catalog: Catalog) -> None:
    with catalog.database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_the_migrations_make_the_tables_that_the_program_uses(catalog: Catalog) -> None:
    tables = profile_tables.lora_profile.metadata  # the one of all modules of tables, once this one is imported
    with catalog.database.engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # indexes over expressions cannot be reflected; compared below
        context = MigrationContext.configure(connection)
        found = compare_metadata(context, tables)
        indexes = set(
            connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            ).scalars()
        )
    differences = [change for change in found if not (change[0] == "remove_table" and "lora_search" in change[1].name)]
    assert differences == []
    assert indexes == {str(index.name) for table in tables.tables.values() for index in table.indexes}


def test_the_known_revisions_are_those_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    chain = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(chain)) == database.REVISIONS


def test_the_constraint_names_exactly_the_base_models_that_require_a_layout() -> None:
    required = {code for code, base in registry().base_models.items() if base.requires_layout}
    check = next(c for c in database.lora.constraints if c.name == "lora_flux_has_layout")
    assert required == {"FLX", "FLK"}
    assert str(check.sqltext) == "base_model_code NOT IN ('FLX', 'FLK') OR block_layout IS NOT NULL"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE lora SET base_model_code = 'FLK', block_layout = NULL",
        "UPDATE lora SET stable_id = 'UNK-UNC-002' WHERE stable_id = 'UNK-UNC-001'",
        "UPDATE lora SET has_block_weights = 2",
        "UPDATE lora SET has_block_weights = 0",
        "UPDATE lora SET raw_strengths = NULL",
        "UPDATE lora SET strength_max = -1",
        "UPDATE lora SET state = 'lost'",
        "UPDATE lora SET stable_id = 'UNK-UNC-777' WHERE stable_id = 'UNK-UNC-001'",
        "UPDATE lora SET file_path = 'same'",
        "UPDATE lora SET fallback = 1",
        "DELETE FROM id_ledger",
    ],
)
def test_the_database_itself_refuses_what_breaks_an_invariant(
    library: Path, catalog: Catalog, run: RunIndex, statement: str
) -> None:
    write_lora(library / "a.safetensors", "a")
    write_lora(library / "b.safetensors", "b")
    run()
    with sqlite3.connect(catalog.path) as plain:
        plain.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            plain.execute(statement)


def test_a_newer_schema_is_named_and_left_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    Catalog.open(path).close()
    with sqlite3.connect(path) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
        plain.commit()
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(NewerSchema, match="9999"):
            Catalog.open(path, read_only=read_only)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.glob("*.backup")] == []


def test_an_older_schema_is_backed_up_before_it_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE alembic_version (version_num TEXT NOT NULL)")
        plain.execute("INSERT INTO alembic_version VALUES ('0000')")
        plain.execute("CREATE TABLE lora (stable_id TEXT)")
        plain.execute("INSERT INTO lora VALUES ('FLX-CLT-001')")
    plain.close()
    monkeypatch.setattr(database, "REVISIONS", ("0000", *database.REVISIONS))
    with pytest.raises(Exception, match="0000"):  # there is no such migration; what matters is the order
        Catalog.open(path)
    [copy] = tmp_path.glob("old.db.schema-0000-*.backup")
    with sqlite3.connect(copy) as plain:
        assert plain.execute("SELECT stable_id FROM lora").fetchall() == [("FLX-CLT-001",)]
    plain.close()


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to be looked at" * 40, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.db"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=r"odd\.db"):
        Catalog.open(path)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE photos (id)")
    plain.close()
    before = path.read_bytes()
    with pytest.raises(CatalogError, match="not a catalogue"):
        Catalog.open(path)
    assert path.read_bytes() == before


def test_a_damaged_page_is_a_named_error_and_not_a_traceback(library: Path, catalog: Catalog, run: RunIndex) -> None:
    for number in range(50):
        write_lora(library / f"{number}.safetensors", str(number))
    run()
    catalog.close()
    with sqlite3.connect(catalog.path) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    plain.close()
    raw = bytearray(catalog.path.read_bytes())
    raw[8192:] = b"\xa5" * (len(raw) - 8192)
    catalog.path.write_bytes(raw)
    with pytest.raises(CatalogError, match=r"lora_master\.db.*damaged"), Catalog.open(catalog.path) as opened:
        opened.summary()


def test_reading_needs_a_database_and_never_makes_one(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no database"):
        Catalog.open(tmp_path / "none.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_catalogue_answers_and_refuses_to_write(library: Path, catalog: Catalog, run: RunIndex) -> None:
    write_lora(library / "a.safetensors", "a")
    run()
    with Catalog.open(catalog.path, read_only=True) as reader:
        assert reader.summary().total_loras == 1
        with pytest.raises(CatalogError, match="reading only"):
            reader.add_root(library)


def test_only_sqlite_urls_and_paths_are_taken(tmp_path: Path) -> None:
    with Catalog.open(f"sqlite:///{tmp_path / 'by url.db'}") as opened:
        assert opened.path == tmp_path / "by url.db"
    for url in ("postgresql://u:secret@h/d", "sqlite://"):
        with pytest.raises(ConfigError) as caught:
            Catalog.open(url)
        assert "secret" not in caught.value.message
