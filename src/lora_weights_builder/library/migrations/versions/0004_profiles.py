"""Profiles of block multipliers, of an entry and of several together.

Ids of deleted profiles are not given again, because a page that was left open may still name one.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE lora_profile (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        lora_id INTEGER NOT NULL,
        profile_name TEXT NOT NULL,
        block_layout TEXT NOT NULL,
        block_weights TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        CONSTRAINT lora_profile_one_per_name UNIQUE (lora_id, profile_name),
        CONSTRAINT lora_profile_holds_numbers CHECK (
            json_valid(block_weights) AND json_type(block_weights) = 'array' AND instr(block_weights, 'null') = 0
        ),
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE combined_profile (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        profile_name TEXT NOT NULL,
        selection TEXT NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL,
        CONSTRAINT combined_profile_one_per_name UNIQUE (profile_name),
        CONSTRAINT combined_profile_is_json CHECK (json_valid(selection))
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("an older schema is restored from the backup that was made before the upgrade")
