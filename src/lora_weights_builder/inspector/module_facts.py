"""What a file's modules are like, summed up block by block, and packed small enough to be kept for every file.

The spectra come from ``strengths``; here they are only added up, packed and unpacked. Places in the model come from
``layout_match``; no file is read and no architecture is named.
"""

from __future__ import annotations

from collections.abc import Sequence

from lora_weights_builder.records import BlockFacts, ModuleFacts


def pack(modules: Sequence[ModuleFacts]) -> bytes:
    """Pack the facts of a file's modules; :func:`unpack` gives them back with float32 precision."""
    raise NotImplementedError


def unpack(packed: bytes) -> tuple[ModuleFacts, ...]:
    """The modules that :func:`pack` was given, in their order."""
    raise NotImplementedError


def block_facts(modules: Sequence[ModuleFacts], block_count: int) -> tuple[BlockFacts, ...]:
    """One a block of the layout, in its order; blocks without modules have zero of them."""
    raise NotImplementedError


def file_facts(modules: Sequence[ModuleFacts]) -> BlockFacts:
    """The same over all counted modules of the file, those outside blocks and of text encoders included."""
    raise NotImplementedError
