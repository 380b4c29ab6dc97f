"""What is known of a file's modules, as the answers of command line and server show it: names, order and rounding.

Plain dictionaries, so that ``lwb ... --json`` and the server cannot drift apart. What the numbers mean is defined with
:class:`BlockFacts` and worked out in ``module_facts``; nothing is measured, and no file or database is read here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lora_weights_builder.errors import LwbError
from lora_weights_builder.inspector.block_layouts import Layout
from lora_weights_builder.records import ENERGY_SHARES, BlockFacts, EnergyRanks, ModuleFacts

BLOCK_VALUES: Final = 16  # singular values that a block lists
_DIGITS: Final = 7  # significant ones, of what is kept as float32
_VALUE_DIGITS: Final = 5  # of singular values, which are kept less exactly

BLOCK_NAMES: Final = (
    "rank",
    "alpha",
    "parameters",
    "rms_change",
    "stable_rank",
    "energy_rank",
    "singular_values",
    "modules",
)
UNKNOWN_BLOCK: Final[Mapping[str, Any]] = dict.fromkeys(BLOCK_NAMES)
"""The fields of a block where nothing is known of the file's modules: all null."""


def read(packed: bytes | None) -> tuple[tuple[ModuleFacts, ...] | None, str | None]:
    """The modules of packed facts, ``None`` where there are none, and a warning where they cannot be read."""
    if packed is None:
        return None, None
    from lora_weights_builder.inspector import module_facts  # brings numpy, which few answers need

    try:
        return module_facts.unpack(packed), None
    except LwbError as fault:  # of one entry's details; the rest of the entry is sound and still shown
        return None, f"module_facts_unreadable: {fault.message}"


def file_fields(modules: Sequence[ModuleFacts] | None, ranks: EnergyRanks | None) -> dict[str, Any]:
    """``energy_rank`` and ``parameters`` of the whole file; null where unknown."""
    if modules is None:
        return {"energy_rank": energy_rank(ranks), "parameters": None}
    return {
        "energy_rank": energy_rank(ranks),
        "parameters": sum(module.parameters for module in modules if module.counted),
    }


def block_fields(modules: Sequence[ModuleFacts] | None, block_count: int) -> list[Mapping[str, Any]]:
    """The fields :data:`BLOCK_NAMES` of each block of a layout, in its order; null where nothing is known."""
    if modules is None:
        return [UNKNOWN_BLOCK] * block_count
    from lora_weights_builder.inspector.module_facts import block_facts

    # An older registry may have had more blocks here than today's.
    stored = max((module.block_index for module in modules if module.block_index is not None), default=-1) + 1
    return [_block(facts) for facts in block_facts(modules, max(block_count, stored))[:block_count]]


def _block(facts: BlockFacts) -> dict[str, Any]:
    return {
        "rank": facts.rank,
        "alpha": _number(facts.alpha),
        "parameters": facts.parameters,
        "rms_change": _number(facts.rms_change),
        "stable_rank": _number(facts.stable_rank),
        "energy_rank": energy_rank(facts.energy_ranks),
        "singular_values": _numbers(facts.singular_values[:BLOCK_VALUES]),
        "modules": facts.modules,
    }


def module_fields(
    modules: Sequence[ModuleFacts], layout: Layout | None, block_index: int | None = None
) -> list[dict[str, Any]]:
    """Every module, or those of one block of ``layout``, with its numbers.

    In the layout's order, those outside blocks last; in a block, in the order of the file.
    """
    labels = [block.label for block in layout.blocks] if layout is not None else []
    wanted = [module for module in modules if block_index is None or module.block_index == block_index]
    wanted.sort(key=lambda module: math.inf if module.block_index is None else module.block_index)
    return [_module(module, labels) for module in wanted]


def _module(module: ModuleFacts, labels: Sequence[str]) -> dict[str, Any]:
    from lora_weights_builder.inspector.module_facts import file_facts

    facts = file_facts((replace(module, counted=True),))  # a block of one: the same definitions
    index = module.block_index
    return {
        "part": module.part,
        "module": module.module,
        "canonical": module.canonical,
        "block_index": index,
        "label": labels[index] if index is not None and index < len(labels) else None,
        "kind": module.kind,
        "strength_kind": module.strength_kind,
        "norm": _number(module.norm),
        "rms_change": _number(facts.rms_change),
        "rank": module.rank,
        "alpha": _number(module.alpha),
        "parameters": module.parameters,
        "stable_rank": _number(facts.stable_rank),
        "energy_rank": energy_rank(facts.energy_ranks),
        "singular_values": _numbers(module.singular_values),
        "complete": module.complete,
        "counted": module.counted,
    }


def energy_rank(ranks: EnergyRanks | None) -> dict[str, int | None] | None:
    """``{"90": 6, "95": 9, "99": 15}``: the rank that keeps so many percent; null where none is known."""
    if ranks is None or all(rank is None for rank in ranks):
        return None
    return {str(share): rank for share, rank in zip(ENERGY_SHARES, ranks, strict=True)}


def rank_sentence(rank: int | None, ranks: EnergyRanks | None) -> str:
    """``trained at rank 32; rank 6 keeps 90 % of the change, 9 keeps 95 %, 15 keeps 99 %``, without a full stop."""
    trained = "not trained at one rank" if rank is None else f"trained at rank {rank}"
    # Where one rank keeps several shares, the largest says it all.
    largest = {kept: share for kept, share in zip(ranks or (), ENERGY_SHARES, strict=False) if kept is not None}
    if not largest:
        return f"{trained}; what a lower rank would keep is not known"
    if 0 in largest:
        return f"{trained}; it changes nothing"
    (first, share), *others = largest.items()
    parts = [f"rank {first} keeps {share} % of the change", *(f"{kept} keeps {share} %" for kept, share in others)]
    return f"{trained}; {', '.join(parts)}"


def _number(value: float | None, digits: int = _DIGITS) -> float | None:
    """At most so many significant digits; null where JSON has no word for it."""
    return float(f"{value:.{digits}g}") if value is not None and math.isfinite(value) else None


def _numbers(values: Sequence[float]) -> list[float]:
    rounded = (_number(value, _VALUE_DIGITS) for value in values)
    return [number for number in rounded if number is not None]
