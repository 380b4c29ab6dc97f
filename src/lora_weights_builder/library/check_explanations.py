"""What each question of the smoke check asks, why it matters, and what to do where the answer is bad.

The questions themselves, and their titles, are in ``smoke_check.py``; that every one of them is explained is tested.
"""

from __future__ import annotations

from typing import Final

_REINDEX = "`lwb index --full` reads the files again and writes the rows anew."
_DAMAGED = "Restore a copy from before it happened, or index into a new database with the exported ids."

EXPLANATIONS: Final[dict[str, str]] = {
    "Flux rows with null block_layout": (
        "Every entry of a Flux base model has a layout, the neutral one where its file could not be measured; "
        f"otherwise loaders would get vectors of the wrong length. {_REINDEX}"
    ),
    "Duplicate stable_id groups": (
        "An id names one entry, for ever. Where two share one, saved profiles and workflows cannot tell which is "
        f"meant. {_DAMAGED}"
    ),
    "Missing tables": f"The tables that this program keeps its catalogue in are all there. {_DAMAGED}",
    "Rows without stable_id": f"Every entry has an id: without one nothing can refer to it. {_REINDEX}",
    "Layouts unknown to the registry": (
        "Every layout that an entry names is one of the registry's. A newer version, or an edited registry, may have "
        f"known others. {_REINDEX}"
    ),
    "Rows whose blocks contradict their layout": (
        f"An entry has as many measured blocks as its layout has places. {_REINDEX}"
    ),
    "Block weights outside 0 to 1": (
        "A block's weight is its share of the file's strongest block, so from 0 to 1, and no strength is below 0. "
        f"{_REINDEX}"
    ),
    "Rows whose has_block_weights is wrong": (
        f"An entry says that it has block weights exactly where some are stored. {_REINDEX}"
    ),
    "Ids that are not in the ledger": (
        "Every id in use stands in the ledger, which keeps ids from being given out twice. Import the ledger that was "
        "exported last (`lwb ids import`)."
    ),
    "Retired ids in use": (
        "An id whose entry was forgotten is never used again. Import the ledger that was exported last "
        "(`lwb ids import`)."
    ),
    "Paths held by two entries": f"A file on the disk is one entry. {_REINDEX}",
    "Pairs that are not mutual": (
        f"Of a LoRA in two files each half names the other, and one is high-noise, one low-noise. {_REINDEX}"
    ),
    "Rows that the search index misses": f"Every entry can be found by its text. {_REINDEX}",
    "Broken references": f"Rows that belong to an entry have that entry. {_DAMAGED}",
    "Integrity errors": f"SQLite finds its own file sound, page by page. {_DAMAGED}",
    "Module facts": (
        "Measured entries have the numbers of their single modules (rank, spectrum) too. Those that an older version "
        "measured are sound, but say less until they are read again."
    ),
    "SQLite version": (
        "Which SQLite this program runs on. Older ones can lose data when another program writes to the database at "
        "the same time; this program alone never has two writers."
    ),
}
