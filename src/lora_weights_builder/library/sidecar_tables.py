"""The tables of what lies beside the LoRA files; they are part of the schema in ``database.py``."""

from __future__ import annotations

import sqlalchemy as sa

from lora_weights_builder.library.database import metadata

# What other programs wrote beside a LoRA file, a row a file; of its own, because only the view of one entry reads it.
# The stamp is that of the sidecar itself; ``facts`` is what was made out of it, or ``problem`` says why nothing was.
lora_sidecar = sa.Table(
    "lora_sidecar",
    metadata,
    sa.Column("lora_id", sa.Integer, sa.ForeignKey("lora.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # in the folder of the LoRA
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("ctime_ns", sa.BigInteger, nullable=False),
    sa.Column("inode", sa.BigInteger, nullable=False),
    # The fault was the moment's, so the next run reads it again.
    sa.Column("try_again", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("problem", sa.Text),
    sa.Column("facts", sa.Text),
    sa.CheckConstraint("try_again IN (0, 1)", name="lora_sidecar_try_again_is_flag"),
    sa.CheckConstraint("(facts IS NULL) = (problem IS NOT NULL)", name="lora_sidecar_says_what_or_why"),
)
lora_preview = sa.Table(
    "lora_preview",
    metadata,
    sa.Column("lora_id", sa.Integer, sa.ForeignKey("lora.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # in the folder of the LoRA
)
