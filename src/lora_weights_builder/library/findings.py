"""Entries that a person should look at: copies side by side, and files that contradict themselves.

They are sound rows of a sound catalogue; what is wrong with the catalogue itself is the smoke check's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from lora_weights_builder.library import catalog_search, rows
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.conditions import CONTRADICTION
from lora_weights_builder.library.database import lora
from lora_weights_builder.records import LoraRow, SearchQuery

MAX_GROUP: Final = 100  # copies of one content that are told

_PRESENT: Final = lora.c.state == "present"
_COPY: Final = sa.and_(_PRESENT, lora.c.duplicate_of.is_not(None))


def duplicates(catalog: Catalog, limit: int, offset: int) -> tuple[list[list[LoraRow]], int]:
    """Groups of present entries with the same content, the first in front, and how many groups there are."""
    hashes = sa.select(lora.c.content_hash).where(_COPY, lora.c.content_hash.is_not(None)).distinct()
    with catalog.database.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(hashes.subquery())).scalar_one()
        page = connection.execute(hashes.order_by(lora.c.content_hash).limit(limit).offset(offset)).scalars().all()
        groups = [_listed(connection, [_PRESENT, lora.c.content_hash == digest], MAX_GROUP, 0) for digest in page]
    return groups, total


def contradictions(catalog: Catalog, limit: int, offset: int) -> tuple[list[LoraRow], int]:
    """Present entries whose tensors, metadata, name and folder disagree, and how many there are."""
    contradicting = catalog_search.conditions_of(SearchQuery(state="contradiction"), by_id=False)
    with catalog.database.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).where(*contradicting)).scalar_one()
        return _listed(connection, contradicting, limit, offset), total


def statements(row: LoraRow) -> list[str]:
    """What disagrees with what, a sentence each, without the code in front."""
    return [warning.partition(": ")[2] for warning in row.warnings if CONTRADICTION in warning]


def _listed(
    connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]], limit: int, offset: int
) -> list[LoraRow]:
    statement = sa.select(*catalog_search.LISTED).where(*conditions).order_by(lora.c.id).limit(limit).offset(offset)
    return [rows.lora_row(row) for row in connection.execute(statement).mappings()]
