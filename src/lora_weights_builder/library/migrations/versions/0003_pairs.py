"""The two halves of a LoRA in two files know each other, and an entry says what named its base model.

An entry from before has no ``base_model_evidence`` until its file is inspected again. Pairs are found by the next run,
whatever it finds changed. Inspections of a run that was killed before the upgrade lack the new column; they are made
anew.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE lora ADD COLUMN base_model_evidence TEXT",
    "DELETE FROM inspection",
    """
    CREATE TABLE lora_pair (
        lora_id INTEGER NOT NULL,
        partner_id INTEGER NOT NULL,
        noise TEXT NOT NULL,
        PRIMARY KEY (lora_id),
        CONSTRAINT lora_pair_is_one UNIQUE (lora_id, partner_id),
        CONSTRAINT lora_pair_is_of_two CHECK (partner_id <> lora_id),
        CONSTRAINT lora_pair_is_mutual FOREIGN KEY(partner_id, lora_id) REFERENCES lora_pair (lora_id, partner_id)
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
        FOREIGN KEY(lora_id) REFERENCES lora (id) ON DELETE CASCADE
    )
    """,
    "CREATE TABLE work_due (task TEXT NOT NULL, PRIMARY KEY (task))",
    "INSERT INTO work_due (task) VALUES ('pairs')",
    """
    CREATE TRIGGER lora_pair_added AFTER INSERT ON lora BEGIN
        INSERT OR IGNORE INTO work_due (task) VALUES ('pairs');
    END
    """,
    """
    CREATE TRIGGER lora_pair_changed AFTER UPDATE OF state, root_id, rel_path, architecture, rank, variant ON lora
    WHEN old.state IS NOT new.state OR old.root_id IS NOT new.root_id OR old.rel_path IS NOT new.rel_path
        OR old.architecture IS NOT new.architecture OR old.rank IS NOT new.rank OR old.variant IS NOT new.variant BEGIN
        DELETE FROM lora_pair WHERE lora_id = new.id;
        INSERT OR IGNORE INTO work_due (task) VALUES ('pairs');
    END
    """,
    """
    CREATE TRIGGER lora_pair_removed AFTER DELETE ON lora BEGIN
        INSERT OR IGNORE INTO work_due (task) VALUES ('pairs');
    END
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    raise NotImplementedError("an older schema is restored from the backup that was made before the upgrade")
