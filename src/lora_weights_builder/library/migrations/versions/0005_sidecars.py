"""An entry knows what lies beside its file: the preview image, and what other programs wrote about it.

Both are found by the next run, which looks at every folder anyway.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE lora_sidecar (
        lora_id INTEGER NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        size BIGINT NOT NULL,
        mtime_ns BIGINT NOT NULL,
        ctime_ns BIGINT NOT NULL,
        inode BIGINT NOT NULL,
        try_again INTEGER DEFAULT 0 NOT NULL,
        problem TEXT,
        facts TEXT,
        PRIMARY KEY (lora_id, kind),
        CONSTRAINT lora_sidecar_try_again_is_flag CHECK (try_again IN (0, 1)),
        CONSTRAINT lora_sidecar_says_what_or_why CHECK ((facts IS NULL) = (problem IS NOT NULL)),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE lora_preview (
        lora_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (lora_id),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("an older schema is restored from the backup that was made before the upgrade")
