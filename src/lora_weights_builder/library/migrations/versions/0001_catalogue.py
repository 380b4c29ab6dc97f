"""The catalogue's first schema: entries, the ledger of ids, history, scans, roots, and full-text search."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE id_ledger (
        seq INTEGER NOT NULL,
        stable_id TEXT NOT NULL,
        created_at TEXT NOT NULL,
        retired INTEGER DEFAULT 0 NOT NULL,
        content_hash TEXT,
        table_hash TEXT,
        rel_path TEXT,
        PRIMARY KEY (seq),
        CONSTRAINT id_ledger_retired_is_flag CHECK (retired IN (0, 1)),
        UNIQUE (stable_id)
    )
    """,
    """
    CREATE TABLE inspection (
        file_path TEXT NOT NULL,
        size BIGINT NOT NULL,
        mtime_ns BIGINT NOT NULL,
        ctime_ns BIGINT NOT NULL,
        inode BIGINT NOT NULL,
        hint TEXT NOT NULL,
        measured INTEGER DEFAULT 0 NOT NULL,
        table_hash TEXT,
        content_hash TEXT,
        error_code TEXT,
        record BLOB NOT NULL,
        PRIMARY KEY (file_path)
    )
    """,
    """
    CREATE TABLE root (
        id INTEGER NOT NULL,
        path TEXT NOT NULL,
        added_at TEXT NOT NULL,
        removed INTEGER DEFAULT 0 NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT root_removed_is_flag CHECK (removed IN (0, 1)),
        UNIQUE (path)
    )
    """,
    """
    CREATE TABLE scan (
        id INTEGER NOT NULL,
        started_at TEXT NOT NULL,
        finished_at TEXT,
        status TEXT NOT NULL,
        roots TEXT NOT NULL,
        summary TEXT NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT scan_status_known CHECK (status IN ('running', 'done', 'stopped', 'failed'))
    )
    """,
    """
    CREATE TABLE lora (
        id INTEGER NOT NULL,
        stable_id TEXT NOT NULL,
        id_prefix TEXT NOT NULL,
        id_number INTEGER NOT NULL,
        root_id INTEGER NOT NULL,
        file_path TEXT NOT NULL,
        rel_path TEXT NOT NULL,
        lora_name TEXT NOT NULL,
        filename TEXT NOT NULL,
        name_key TEXT NOT NULL,
        state TEXT DEFAULT 'present' NOT NULL,
        stale INTEGER DEFAULT 0 NOT NULL,
        stale_reason TEXT,
        size_bytes BIGINT NOT NULL,
        mtime_ns BIGINT NOT NULL,
        ctime_ns BIGINT NOT NULL,
        inode BIGINT NOT NULL,
        hint TEXT NOT NULL,
        table_hash TEXT,
        content_hash TEXT,
        blake3 TEXT,
        sha256 TEXT,
        autov3 TEXT,
        base_model_code TEXT NOT NULL,
        base_model_name TEXT,
        category_code TEXT NOT NULL,
        category_name TEXT,
        role TEXT NOT NULL,
        model_family TEXT,
        architecture TEXT,
        ambiguous_architectures TEXT NOT NULL,
        architecture_evidence TEXT,
        variant TEXT,
        lora_type TEXT,
        adapter_types TEXT NOT NULL,
        dialect TEXT,
        rank INTEGER,
        alpha FLOAT,
        block_layout TEXT,
        block_count INTEGER NOT NULL,
        has_block_weights INTEGER DEFAULT 0 NOT NULL,
        measured INTEGER DEFAULT 0 NOT NULL,
        fallback INTEGER DEFAULT 0 NOT NULL,
        fallback_reason TEXT,
        clip_contributor INTEGER DEFAULT 0 NOT NULL,
        clip_tensor_count INTEGER NOT NULL,
        tensor_count INTEGER NOT NULL,
        unmatched_tensor_count INTEGER NOT NULL,
        strength_kinds TEXT NOT NULL,
        strength FLOAT,
        strength_max FLOAT,
        duplicate_of TEXT,
        error TEXT,
        error_code TEXT,
        title TEXT,
        trigger_words TEXT NOT NULL,
        search_text TEXT NOT NULL,
        revision INTEGER DEFAULT 1 NOT NULL,
        last_modified TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        block_presence TEXT,
        raw_strengths TEXT,
        warnings TEXT NOT NULL,
        summary TEXT NOT NULL,
        metadata TEXT NOT NULL,
        PRIMARY KEY (id),
        CONSTRAINT lora_state_known CHECK (state IN ('present', 'missing')),
        CONSTRAINT lora_flags_are_flags CHECK (stale IN (0, 1) AND has_block_weights IN (0, 1)
            AND measured IN (0, 1) AND fallback IN (0, 1)
            AND clip_contributor IN (0, 1)),
        CONSTRAINT lora_flux_has_layout CHECK (base_model_code NOT IN ('FLX', 'FLK') OR block_layout IS NOT NULL),
        CONSTRAINT lora_block_weights_are_measured CHECK ((has_block_weights = 1) = (raw_strengths IS NOT NULL
            AND strength_max IS NOT NULL AND strength IS NOT NULL)),
        CONSTRAINT lora_strength_not_negative CHECK (strength_max IS NULL OR strength_max >= 0),
        CONSTRAINT lora_fallback_is_unmeasured CHECK (fallback = 0 OR has_block_weights = 0),
        CONSTRAINT lora_counts_not_negative CHECK (revision >= 1 AND size_bytes >= 0 AND block_count >= 0),
        FOREIGN KEY(id) REFERENCES id_ledger (seq),
        UNIQUE (stable_id),
        FOREIGN KEY(stable_id) REFERENCES id_ledger (stable_id),
        FOREIGN KEY(root_id) REFERENCES root (id)
    )
    """,
    """
    CREATE INDEX lora_by_adapters ON lora (state, adapter_types)
    """,
    """
    CREATE INDEX lora_by_added ON lora (state, created_at)
    """,
    """
    CREATE INDEX lora_by_architecture ON lora (state, architecture)
    """,
    """
    CREATE INDEX lora_by_base ON lora (state, base_model_code, name_key)
    """,
    """
    CREATE INDEX lora_by_category ON lora (state, category_code, name_key)
    """,
    """
    CREATE INDEX lora_by_content ON lora (content_hash)
    """,
    """
    CREATE INDEX lora_by_group ON lora (state, base_model_code, category_code, name_key)
    """,
    """
    CREATE INDEX lora_by_id ON lora (state, id_prefix, id_number)
    """,
    """
    CREATE INDEX lora_by_layout ON lora (state, coalesce(block_layout, ''), name_key)
    """,
    """
    CREATE INDEX lora_by_modified ON lora (state, mtime_ns)
    """,
    """
    CREATE INDEX lora_by_name ON lora (state, name_key)
    """,
    """
    CREATE INDEX lora_by_rank ON lora (state, coalesce(rank, -1))
    """,
    """
    CREATE INDEX lora_by_role ON lora (state, role)
    """,
    """
    CREATE INDEX lora_by_root ON lora (root_id, state)
    """,
    """
    CREATE INDEX lora_by_size ON lora (state, size_bytes)
    """,
    """
    CREATE INDEX lora_by_strength ON lora (state, coalesce(strength, -1.0))
    """,
    """
    CREATE UNIQUE INDEX lora_one_per_path ON lora (file_path) WHERE state = 'present'
    """,
    """
    CREATE TABLE lora_history (
        id INTEGER NOT NULL,
        lora_id INTEGER NOT NULL,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        "before" TEXT,
        "after" TEXT,
        note TEXT,
        PRIMARY KEY (id),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX lora_history_by_lora ON lora_history (lora_id, id)
    """,
)

# What other programs read as a table. One JSON array an entry is a twentieth of the size of one row a block.
VIEW = """
    CREATE VIEW lora_block_weights AS
    SELECT lora.id AS lora_id,
           lora.stable_id AS stable_id,
           block.key AS block_index,
           CASE WHEN lora.strength_max > 0 THEN round(block.value / lora.strength_max, 6) ELSE 0.0 END AS weight,
           block.value AS raw_strength
    FROM lora, json_each(lora.raw_strengths) AS block
    WHERE lora.has_block_weights = 1
"""

# Any three letters in a row are found by index. The text is case-folded before it is stored, for all alphabets.
SEARCH = (
    """
    CREATE VIRTUAL TABLE lora_search USING fts5(
        search_text, content = 'lora', content_rowid = 'id', tokenize = 'trigram case_sensitive 1'
    )
    """,
    """
    CREATE TRIGGER lora_search_added AFTER INSERT ON lora BEGIN
        INSERT INTO lora_search (rowid, search_text) VALUES (new.id, new.search_text);
    END
    """,
    """
    CREATE TRIGGER lora_search_removed AFTER DELETE ON lora BEGIN
        INSERT INTO lora_search (lora_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    END
    """,
    """
    CREATE TRIGGER lora_search_changed AFTER UPDATE OF search_text ON lora
    WHEN old.search_text IS NOT new.search_text BEGIN
        INSERT INTO lora_search (lora_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
        INSERT INTO lora_search (rowid, search_text) VALUES (new.id, new.search_text);
    END
    """,
)


def upgrade() -> None:
    for statement in (*TABLES, VIEW, *SEARCH):
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("an older schema is restored from the backup that was made before the upgrade")
