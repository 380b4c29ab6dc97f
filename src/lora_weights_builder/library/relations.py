"""What entries are to each other, settled at the end of each run: copies of one content, halves of one LoRA.

Nothing is written where everything is right already, so that a run over an unchanged library only reads.
"""

from __future__ import annotations

from lora_weights_builder.library import index_store, pair_store
from lora_weights_builder.library.database import Database


def settle(database: Database) -> int:
    """Mark duplicates and link pairs; returns how many present entries are copies of an earlier one."""
    with database.reading() as connection:
        marked = index_store.duplicates_are_marked(connection)
        linked = not pair_store.is_due(connection)
        if marked and linked:
            return index_store.count_duplicates(connection)
    with database.writing() as connection:
        if not marked:
            index_store.mark_duplicates(connection)
        if not linked:
            pair_store.link(connection)
        return index_store.count_duplicates(connection)
