"""The tables of what a person says of entries. Beside ``lora`` and not in it: a scan writes that one, never these."""

from __future__ import annotations

import sqlalchemy as sa

from lora_weights_builder.library.database import metadata


def _entry(*, together: bool = False) -> sa.Column[int]:
    reference = sa.ForeignKey("lora.id", ondelete="CASCADE")
    return sa.Column(
        "lora_id", sa.Integer, reference, primary_key=True, autoincrement="auto" if not together else False
    )


# Base model, category and role by hand; what is not set is null. ``automatic`` holds, as JSON, what the columns of
# ``lora`` would be without: a scan keeps that up to date, and taking a choice back restores it.
lora_choice = sa.Table(
    "lora_choice",
    metadata,
    _entry(),
    sa.Column("base_model_code", sa.Text),
    sa.Column("base_model_name", sa.Text),
    sa.Column("category_code", sa.Text),
    sa.Column("category_name", sa.Text),
    sa.Column("category_role", sa.Text),  # that of the category, where none is set
    sa.Column("role", sa.Text),
    sa.Column("automatic", sa.Text, nullable=False),
    sa.CheckConstraint(
        "base_model_code IS NOT NULL OR category_code IS NOT NULL OR role IS NOT NULL", name="lora_choice_is_one"
    ),
)
lora_favourite = sa.Table("lora_favourite", metadata, _entry())
lora_note = sa.Table("lora_note", metadata, _entry(), sa.Column("text", sa.Text, nullable=False))
tag = sa.Table(
    "tag",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),  # as it was first written
    sa.Column("name_key", sa.Text, nullable=False, unique=True),  # case-folded: two spellings are one tag
)
lora_tag = sa.Table(
    "lora_tag",
    metadata,
    _entry(together=True),
    sa.Column("tag_id", sa.Integer, sa.ForeignKey("tag.id"), primary_key=True, autoincrement=False),
    sa.Index("lora_tag_by_tag", "tag_id", "lora_id"),
)
saved_search = sa.Table(
    "saved_search",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", sa.Text, nullable=False, unique=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)
