"""The database itself: its tables, how it is opened safely, and how an older one is brought up to date.

SQLite in WAL mode with ``synchronous=FULL`` (commits survive a power cut) and one writer at a time. Rows and queries
are in ``catalog.py``; the DDL that migrations run is frozen in ``migrations/`` and a test holds it equal to the tables
here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from lora_weights_builder.errors import CatalogError, ConfigError, NewerSchema
from lora_weights_builder.library.conditions import CONDITION, FACET_COLUMNS
from lora_weights_builder.library.database_errors import explained
from lora_weights_builder.library.locks import write_lock

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every schema version, oldest first; the last is what this program writes. Alembic's chain must say the same."""
BUSY_TIMEOUT_S: Final = 30.0
MIGRATIONS: Final = Path(__file__).parent / "migrations"
WAL_RESET_FIXED: Final = (3, 51, 3)  # older SQLite can lose a WAL reset when two processes write at once
_WRITES: Final = "lwb_writes"  # execution option: begin with BEGIN IMMEDIATE

metadata = sa.MetaData()


def _flag(name: str, default: str = "0") -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default=sa.text(default))


root = sa.Table(
    "root",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    sa.Column("added_at", sa.Text, nullable=False),
    _flag("removed"),  # off the list, but its entries still name it
    sa.CheckConstraint("removed IN (0, 1)", name="root_removed_is_flag"),
)

# Every id ever given. An id without an entry is either retired, or came with an imported ledger and waits for its file:
# then the hashes and the path say which file that is.
id_ledger = sa.Table(
    "id_ledger",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("stable_id", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.Text, nullable=False),
    _flag("retired"),
    sa.Column("content_hash", sa.Text),
    sa.Column("table_hash", sa.Text),
    sa.Column("rel_path", sa.Text),
    sa.CheckConstraint("retired IN (0, 1)", name="id_ledger_retired_is_flag"),
)

lora = sa.Table(
    "lora",
    metadata,
    sa.Column("id", sa.Integer, sa.ForeignKey("id_ledger.seq"), primary_key=True, autoincrement=False),
    sa.Column("stable_id", sa.Text, sa.ForeignKey("id_ledger.stable_id"), nullable=False, unique=True),
    sa.Column("id_prefix", sa.Text, nullable=False),
    sa.Column("id_number", sa.Integer, nullable=False),
    sa.Column("root_id", sa.Integer, sa.ForeignKey("root.id"), nullable=False),
    sa.Column("file_path", sa.Text, nullable=False),
    sa.Column("rel_path", sa.Text, nullable=False),
    sa.Column("lora_name", sa.Text, nullable=False),
    sa.Column("filename", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False),  # the file name, case-folded, to sort by
    sa.Column("state", sa.Text, nullable=False, server_default="present"),
    _flag("stale"),
    sa.Column("stale_reason", sa.Text),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("ctime_ns", sa.BigInteger, nullable=False),
    sa.Column("inode", sa.BigInteger, nullable=False),
    sa.Column("hint", sa.Text, nullable=False),  # what the folder said when the file was inspected
    sa.Column("table_hash", sa.Text),
    sa.Column("content_hash", sa.Text),
    sa.Column("blake3", sa.Text),
    sa.Column("sha256", sa.Text),
    sa.Column("autov3", sa.Text),
    sa.Column("base_model_code", sa.Text, nullable=False),
    sa.Column("base_model_name", sa.Text),
    sa.Column("category_code", sa.Text, nullable=False),
    sa.Column("category_name", sa.Text),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("model_family", sa.Text),
    sa.Column("architecture", sa.Text),
    sa.Column("ambiguous_architectures", sa.Text, nullable=False),
    sa.Column("architecture_evidence", sa.Text),
    sa.Column("variant", sa.Text),
    sa.Column("lora_type", sa.Text),
    sa.Column("adapter_types", sa.Text, nullable=False),
    sa.Column("dialect", sa.Text),
    sa.Column("rank", sa.Integer),
    sa.Column("alpha", sa.Float),
    sa.Column("block_layout", sa.Text),
    sa.Column("block_count", sa.Integer, nullable=False),
    _flag("has_block_weights"),
    _flag("measured"),
    _flag("fallback"),
    sa.Column("fallback_reason", sa.Text),
    _flag("clip_contributor"),
    sa.Column("clip_tensor_count", sa.Integer, nullable=False),
    sa.Column("tensor_count", sa.Integer, nullable=False),
    sa.Column("unmatched_tensor_count", sa.Integer, nullable=False),
    sa.Column("strength_kinds", sa.Text, nullable=False),
    sa.Column("strength", sa.Float),  # sqrt(sum of raw strengths squared)
    sa.Column("strength_max", sa.Float),
    sa.Column("duplicate_of", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("error_code", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("trigger_words", sa.Text, nullable=False),
    sa.Column("search_text", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("last_modified", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    # The long ones last, so that reading the others does not touch their overflow pages.
    sa.Column("block_presence", sa.Text),  # one 0 or 1 a block of the layout
    sa.Column("raw_strengths", sa.Text),  # JSON array, one number a block of the layout
    sa.Column("warnings", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    # Added by migrations, hence behind the long ones: a list that reads these walks their overflow pages first.
    sa.Column("rank_90", sa.Integer),
    sa.Column("rank_95", sa.Integer),
    sa.Column("rank_99", sa.Integer),
    sa.Column("base_model_evidence", sa.Text),
    sa.Column("condition", sa.Integer, sa.Computed(CONDITION, persisted=False)),  # for the index: rows do not hold it
    sa.CheckConstraint("state IN ('present', 'missing')", name="lora_state_known"),
    sa.CheckConstraint(
        "stale IN (0, 1) AND has_block_weights IN (0, 1) AND measured IN (0, 1) AND fallback IN (0, 1)"
        " AND clip_contributor IN (0, 1)",
        name="lora_flags_are_flags",
    ),
    sa.CheckConstraint(
        "base_model_code NOT IN ('FLX', 'FLK') OR block_layout IS NOT NULL", name="lora_flux_has_layout"
    ),
    sa.CheckConstraint(
        "(has_block_weights = 1) = (raw_strengths IS NOT NULL AND strength_max IS NOT NULL AND strength IS NOT NULL)",
        name="lora_block_weights_are_measured",
    ),
    sa.CheckConstraint("strength_max IS NULL OR strength_max >= 0", name="lora_strength_not_negative"),
    sa.CheckConstraint("fallback = 0 OR has_block_weights = 0", name="lora_fallback_is_unmeasured"),
    sa.CheckConstraint("revision >= 1 AND size_bytes >= 0 AND block_count >= 0", name="lora_counts_not_negative"),
    # Every list is of one state, so that leads; the row's id follows of itself and makes each order complete.
    sa.Index("lora_by_id", "state", "id_prefix", "id_number"),
    sa.Index("lora_by_name", "state", "name_key"),
    sa.Index("lora_by_base", "state", "base_model_code", "name_key"),
    sa.Index("lora_by_base_and_id", "state", "base_model_code", "id_prefix", "id_number"),
    sa.Index("lora_by_category", "state", "category_code", "name_key"),
    sa.Index("lora_by_group", "state", "base_model_code", "category_code", "name_key"),
    sa.Index("lora_by_size", "state", "size_bytes"),
    sa.Index("lora_by_modified", "state", "mtime_ns"),
    sa.Index("lora_by_added", "state", "created_at"),
    sa.Index("lora_by_role", "state", "role", "name_key"),
    sa.Index("lora_by_adapters", "state", "adapter_types", "name_key"),
    sa.Index("lora_by_blocks", "state", "block_count", "name_key"),
    sa.Index("lora_by_facets", "state", *FACET_COLUMNS),
    sa.Index("lora_by_content", "content_hash"),
    sa.Index("lora_by_root", "root_id", "state"),
    sa.Index("lora_one_per_path", "file_path", unique=True, sqlite_where=sa.text("state = 'present'")),
)
# Sorting needs a place for "none", which these give in a form that an index can hold.
LAYOUT_KEY: Final = "coalesce(block_layout, '')"
RANK_KEY: Final = "coalesce(rank, -1)"
STRENGTH_KEY: Final = "coalesce(strength, -1.0)"
ARCHITECTURE_KEY: Final = "coalesce(architecture, '')"
sa.Index("lora_by_layout", lora.c.state, sa.text(LAYOUT_KEY), lora.c.name_key)
sa.Index("lora_by_architecture", lora.c.state, sa.text(ARCHITECTURE_KEY), lora.c.name_key)
sa.Index("lora_by_rank", lora.c.state, sa.text(RANK_KEY))
sa.Index("lora_by_strength", lora.c.state, sa.text(STRENGTH_KEY))

# Of its own, because it is long and only the view of one entry reads it.
lora_module_facts = sa.Table(
    "lora_module_facts",
    metadata,
    sa.Column("lora_id", sa.Integer, sa.ForeignKey("lora.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("facts", sa.LargeBinary, nullable=False),  # as inspector.module_facts packs them
)

lora_history = sa.Table(
    "lora_history",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("lora_id", sa.Integer, sa.ForeignKey("lora.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("note", sa.Text),
    sa.Index("lora_history_by_lora", "lora_id", "id"),
)

# The two halves of a LoRA that comes in two files. A row an entry, and the second foreign key asks for the partner's
# own row: a link that is not mutual cannot be stored, and with one of the two goes the other. A table beside ``lora``
# and no column in it, because a key of its own is what such a constraint refers to.
lora_pair = sa.Table(
    "lora_pair",
    metadata,
    sa.Column("lora_id", sa.Integer, sa.ForeignKey("lora.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("partner_id", sa.Integer, nullable=False),
    sa.Column("noise", sa.Text, nullable=False),  # which half the entry is: a variant of the registry
    sa.UniqueConstraint("lora_id", "partner_id", name="lora_pair_is_one"),
    sa.ForeignKeyConstraint(
        ["partner_id", "lora_id"],
        ["lora_pair.lora_id", "lora_pair.partner_id"],
        name="lora_pair_is_mutual",
        ondelete="CASCADE",
        deferrable=True,
        initially="DEFERRED",
    ),
    sa.CheckConstraint("partner_id <> lora_id", name="lora_pair_is_of_two"),
)

# Work over the whole catalogue that changes of entries leave to the end of a run. Triggers put it here, so that a run
# that is killed, or a root that is taken off, leaves nothing undone.
work_due = sa.Table("work_due", metadata, sa.Column("task", sa.Text, primary_key=True))

scan = sa.Table(
    "scan",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("finished_at", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("roots", sa.Text, nullable=False),
    sa.Column("summary", sa.Text, nullable=False),
    sa.CheckConstraint("status IN ('running', 'done', 'stopped', 'failed')", name="scan_status_known"),
)

# Inspected, but not yet settled which entry it is: ids are given in the order of paths, so all headers come first. A
# run that is killed leaves its work here, and the next one takes it up.
inspection = sa.Table(
    "inspection",
    metadata,
    sa.Column("file_path", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("ctime_ns", sa.BigInteger, nullable=False),
    sa.Column("inode", sa.BigInteger, nullable=False),
    sa.Column("hint", sa.Text, nullable=False),
    _flag("measured"),
    sa.Column("table_hash", sa.Text),
    sa.Column("content_hash", sa.Text),
    sa.Column("error_code", sa.Text),
    sa.Column("record", sa.LargeBinary, nullable=False),
)


class Database:
    """An opened database: connections for reading, and write transactions one at a time across all processes."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        uri = path.as_uri() + ("?mode=ro" if read_only else "")
        if read_only and _needs_immutable(path):
            uri += "&immutable=1"
        self.engine = _engine(uri, read_only=read_only)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database from first to last query."""
        with explained(self.path), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction, committed at the end and rolled back on any exception. Waits for other writers."""
        if self.read_only:
            raise CatalogError(
                f"{self.path} is open for reading only; make the file and its folder writable.", subject=str(self.path)
            )
        with explained(self.path), write_lock(self.path), self.engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection; the last one to leave a database folds its WAL in."""
        self.engine.dispose()


def open_database(url_or_path: str | os.PathLike[str], *, read_only: bool = False) -> Database:
    """Open a database, creating or migrating it unless ``read_only``.

    A file or folder that cannot be written is opened for reading instead.

    Raises:
        CatalogError: absent (when read-only), damaged, or not a catalogue. NewerSchema: from a newer version.
    """
    path = database_path(url_or_path)
    if not path.exists():
        if read_only:
            raise CatalogError(f"There is no database at {path}; `lwb index` makes one.", subject=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not read_only and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        read_only = True
    with explained(path):
        version = schema_version(path) if path.exists() else None
    if version == REVISIONS[-1]:
        return Database(path, read_only=read_only)
    if version is not None and version not in REVISIONS:
        raise NewerSchema(
            f"{path} has schema {version}, newer than this program's {REVISIONS[-1]}; it was not touched. "
            "Update lora-weights-builder.",
            subject=str(path),
        )
    if read_only:
        raise CatalogError(
            f"{path} has to be brought up to date (schema {version or 'none'}) but is open for reading only; "
            "open it once with a command that writes, such as `lwb index`.",
            subject=str(path),
        )
    return _migrated(path)


def database_path(url_or_path: str | os.PathLike[str]) -> Path:
    """The absolute file of a path or an ``sqlite:///`` URL. Raises ConfigError for other databases."""
    text = os.fspath(url_or_path)
    if "://" in text:
        url = sa.make_url(text)
        if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
            raise ConfigError(
                f"The database {url.render_as_string(hide_password=True)} cannot be used; give a file or sqlite:///FILE.",
                subject="database",
            )
        text = url.database
    return Path(text).expanduser().absolute()


def schema_version(path: Path) -> str | None:
    """The schema version of an existing file, ``None`` for an empty one; does not change the file.

    Raises:
        CatalogError: the file holds a database of something else.
    """
    if path.is_file() and path.stat().st_size == 0:
        return None
    immutable = "&immutable=1" if _needs_immutable(path) else ""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro{immutable}", uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            return None
        if "alembic_version" in tables and "lora" in tables:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if row is not None:
                return str(row[0])
    raise CatalogError(
        f"{path} is an SQLite database but not a catalogue of this program; choose another file with --db.",
        subject=str(path),
    )


def backup(path: Path, target: Path) -> None:
    """A consistent copy of a database, also while others use it (SQLite's backup API). ``target`` must not exist."""
    if target.exists():
        raise CatalogError(f"{target} exists already; the backup was not written.", subject=str(target))
    with (
        explained(path),
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def _migrated(path: Path) -> Database:
    with write_lock(path):
        with explained(path):
            version = schema_version(path) if path.exists() else None
        if version == REVISIONS[-1]:  # another process did it while this one waited
            return Database(path, read_only=False)
        if version is not None:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
            backup(path, path.with_name(f"{path.name}.schema-{version}-{stamp}.backup"))
        with explained(path):
            with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
            database = Database(path, read_only=False)
            _upgrade(database.engine)
    return database


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command  # slow to import and needed only when the schema changes
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.connect() as connection:
        connection = connection.execution_options(**{_WRITES: True})
        with connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _engine(uri: str, *, read_only: bool) -> sa.Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False, isolation_level=None
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -16000")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    engine = sa.create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool, pool_size=8, max_overflow=32)

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # The driver's own transaction control would leave DDL outside and start reads without a snapshot.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _needs_immutable(path: Path) -> bool:
    """Whether SQLite can read a WAL database only as immutable: it may not make its ``-shm`` file beside it."""
    return (
        not os.access(path.parent, os.W_OK)
        and not Path(f"{path}-shm").exists()
        and not (Path(f"{path}-wal").exists() and Path(f"{path}-wal").stat().st_size > 0)
    )
