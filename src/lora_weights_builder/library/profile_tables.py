"""The tables of profiles; ``database.py`` has all others, and how a database is opened."""

from __future__ import annotations

import sqlalchemy as sa

from lora_weights_builder.library.database import metadata

# Multipliers that people made; ``block_layout`` is the one they were made for, which the entry may have left since.
lora_profile = sa.Table(
    "lora_profile",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("lora_id", sa.Integer, sa.ForeignKey("lora.id", ondelete="CASCADE"), nullable=False),
    sa.Column("profile_name", sa.Text, nullable=False),
    sa.Column("block_layout", sa.Text, nullable=False),
    sa.Column("block_weights", sa.Text, nullable=False),  # JSON array, one number a block of that layout
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.UniqueConstraint("lora_id", "profile_name", name="lora_profile_one_per_name"),
    sa.CheckConstraint(
        "json_valid(block_weights) AND json_type(block_weights) = 'array' AND instr(block_weights, 'null') = 0",
        name="lora_profile_holds_numbers",
    ),
    sqlite_autoincrement=True,
)

# Several entries and how strong each of them is, by stable ids: it outlives the entries.
combined_profile = sa.Table(
    "combined_profile",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("profile_name", sa.Text, nullable=False),
    sa.Column("selection", sa.Text, nullable=False),  # JSON, as it is sent to be combined
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Text, nullable=False),
    sa.UniqueConstraint("profile_name", name="combined_profile_one_per_name"),
    sa.CheckConstraint("json_valid(selection)", name="combined_profile_is_json"),
    sqlite_autoincrement=True,
)
