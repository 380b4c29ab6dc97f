"""What a person says of entries: tags, favourites, notes, and base model, category and role by hand; saved searches.

With it the indexes that let a large library be counted and sorted by all of these. ``lora.condition`` is computed, so
entries from before have it at once.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE lora ADD COLUMN condition INTEGER GENERATED ALWAYS AS (
        1 * (error IS NOT NULL) + 2 * (error IS NULL AND measured = 0) + 4 * (fallback = 1)
        + 8 * (duplicate_of IS NOT NULL) + 16 * (instr(warnings, '_contradiction: ') > 0)
    ) VIRTUAL
    """,
    "DROP INDEX lora_by_architecture",
    "DROP INDEX lora_by_role",
    "DROP INDEX lora_by_adapters",
    "CREATE INDEX lora_by_architecture ON lora (state, coalesce(architecture, ''), name_key)",
    "CREATE INDEX lora_by_role ON lora (state, role, name_key)",
    "CREATE INDEX lora_by_adapters ON lora (state, adapter_types, name_key)",
    "CREATE INDEX lora_by_blocks ON lora (state, block_count, name_key)",
    "CREATE INDEX lora_by_base_and_id ON lora (state, base_model_code, id_prefix, id_number)",
    """
    CREATE INDEX lora_by_facets ON lora (
        state, condition, base_model_code, category_code, role, architecture, block_layout, adapter_types, rank,
        has_block_weights
    )
    """,
    """
    CREATE TABLE lora_choice (
        lora_id INTEGER NOT NULL,
        base_model_code TEXT,
        base_model_name TEXT,
        category_code TEXT,
        category_name TEXT,
        category_role TEXT,
        role TEXT,
        automatic TEXT NOT NULL,
        PRIMARY KEY (lora_id),
        CONSTRAINT lora_choice_is_one CHECK (base_model_code IS NOT NULL OR category_code IS NOT NULL
            OR role IS NOT NULL),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE lora_favourite (
        lora_id INTEGER NOT NULL,
        PRIMARY KEY (lora_id),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE lora_note (
        lora_id INTEGER NOT NULL,
        text TEXT NOT NULL,
        PRIMARY KEY (lora_id),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE tag (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name_key)
    )
    """,
    """
    CREATE TABLE lora_tag (
        lora_id INTEGER NOT NULL,
        tag_id INTEGER NOT NULL,
        PRIMARY KEY (lora_id, tag_id),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE,
        FOREIGN KEY(tag_id) REFERENCES tag (id)
    )
    """,
    "CREATE INDEX lora_tag_by_tag ON lora_tag (tag_id, lora_id)",
    """
    CREATE TABLE saved_search (
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        "query" TEXT NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (name_key)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("an older schema is restored from the backup that was made before the upgrade")
