"""What is known of each module of a file, and the ranks that would do for the whole of it.

Entries from before have none of it until their file is read again: ``lwb index --full`` does that, and so does any
change of the file. The upgrade itself reads no file, for a large library would take hours, which is for its owner to
choose; ``lwb check`` says how many entries wait. What an interrupted run left behind is dropped, because it was
inspected without these facts; the next run inspects it again.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE lora_module_facts (
        lora_id INTEGER NOT NULL,
        facts BLOB NOT NULL,
        PRIMARY KEY (lora_id),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    "ALTER TABLE lora ADD COLUMN rank_90 INTEGER",
    "ALTER TABLE lora ADD COLUMN rank_95 INTEGER",
    "ALTER TABLE lora ADD COLUMN rank_99 INTEGER",
    "DELETE FROM inspection",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("an older schema is restored from the backup that was made before the upgrade")
