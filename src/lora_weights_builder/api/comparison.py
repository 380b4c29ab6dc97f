"""Several entries beside each other: which of them can be compared, and their numbers place by place.

The rule: blocks of one architecture are the same places whatever part of them a file holds; blocks of two architectures
are never the same place, whatever their names. Which places match is worked out by the inspector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from lora_weights_builder import records
from lora_weights_builder.api.answers import blocks_answer
from lora_weights_builder.api.block_schemas import Block
from lora_weights_builder.api.compare_schemas import (
    CompareAnswer,
    ComparedEntry,
    ComparedPlace,
    ComparedValue,
    Similarity,
)
from lora_weights_builder.api.registry_schemas import LayoutGroup
from lora_weights_builder.inspector.block_alignment import Alignment, align, cosine
from lora_weights_builder.inspector.block_layouts import Layout, registry

_OUTSIDE = ComparedValue(state="outside", weight=None, raw_strength=None, rms_change=None)


@dataclass(frozen=True, slots=True)
class _Side:
    """One entry with what of it can be compared: ``architecture`` and ``layout`` are there where ``reason`` is not."""

    stable_id: str
    row: records.LoraRow | None
    architecture: str | None
    layout: Layout | None
    blocks: Mapping[int, Block]
    reason: str | None


def compare(found: Mapping[str, records.LoraDetail | None]) -> CompareAnswer:
    """The entries side by side; those that cannot stand beside the others are named with the reason.

    Where they are of several architectures the one that most of them have is kept, and of equally many the first.

    Args:
        found: an entry or ``None`` an id, in the order asked for.
    """
    sides = [_side(stable_id, detail) for stable_id, detail in found.items()]
    architectures = Counter(side.architecture for side in sides if side.reason is None)
    chosen = architectures.most_common(1)[0][0] if architectures else None
    compared = [side for side in sides if side.reason is None and side.architecture == chosen]
    entries = [_entry(side, chosen) for side in sides]
    if chosen is None:
        return CompareAnswer(
            architecture=None, architecture_name=None, entries=entries, groups=[], places=[], similarities=[], notes=[]
        )
    layouts = [side.layout for side in compared if side.layout is not None]
    architecture = registry().architectures[chosen]
    aligned = align(registry().layouts[architecture.layout_id], layouts)
    places = [
        ComparedPlace(
            label=place.label,
            group=place.group,
            group_index=place.group_index,
            values=[_value(side.blocks, column[at]) for side, column in zip(compared, aligned.columns, strict=True)],
        )
        for at, place in enumerate(aligned.places)
    ]
    return CompareAnswer(
        architecture=chosen,
        architecture_name=architecture.name,
        entries=entries,
        groups=_groups(aligned),
        places=places,
        similarities=_similarities(compared, aligned, places),
        notes=_notes(compared),
    )


def _side(stable_id: str, detail: records.LoraDetail | None) -> _Side:
    if detail is None:
        return _Side(stable_id, None, None, None, {}, "No entry has this id.")
    row = detail.row
    shown = blocks_answer(detail)
    layout = registry().layouts.get(shown.block_layout or "")
    reason: str | None = None
    if row.pending:
        reason = "Its weights have not been read yet."
    elif row.error is not None:
        reason = _sentence("It could not be read: ", row.error.removeprefix(f"{row.file_path}: "))
    elif layout is None or not shown.has_block_weights or shown.fallback:
        why = shown.fallback_reason or "no known layout fits the file"
        reason = _sentence("None of its blocks was measured: ", why.removeprefix(f"{row.file_path}: "))
    elif row.architecture not in registry().architectures:
        reason = "Its architecture is not known for certain, so nothing tells which of its blocks match the others'."
    blocks = {block.block_index: block for block in shown.blocks}
    return _Side(stable_id, row, row.architecture, layout, blocks, reason)


def _sentence(start: str, reason: str) -> str:
    return f"{start}{reason.rstrip('.')}."


def _entry(side: _Side, chosen: str | None) -> ComparedEntry:
    reason = side.reason
    if reason is None and side.architecture != chosen:
        reason = (
            f"It is for {_name(side.architecture)}, the others are for {_name(chosen)}: their blocks are different "
            "parts of different models, even where they have the same number."
        )
    row = side.row
    return ComparedEntry(
        stable_id=side.stable_id,
        filename=row.filename if row is not None else None,
        architecture=side.architecture,
        block_layout=side.layout.id if side.layout is not None else None,
        strength_kinds=list(row.strength_kinds) if row is not None else [],
        compared=reason is None,
        reason=reason,
    )


def _name(architecture: str | None) -> str:
    known = registry().architectures.get(architecture or "")
    return known.name if known is not None else "another architecture"


def _value(blocks: Mapping[int, Block], index: int | None) -> ComparedValue:
    block = blocks.get(index) if index is not None else None
    if block is None:
        return _OUTSIDE
    if not block.present:
        return ComparedValue(state="absent", weight=0.0, raw_strength=0.0, rms_change=None)
    return ComparedValue(
        state="measured", weight=block.weight, raw_strength=block.raw_strength, rms_change=block.rms_change
    )


def _groups(aligned: Alignment) -> list[LayoutGroup]:
    groups: list[LayoutGroup] = []
    start = 0
    for key, title, abbreviation, count in aligned.groups:
        groups.append(LayoutGroup(key=key, title=title, abbreviation=abbreviation, start=start, count=count))
        start += count
    return groups


def _similarities(compared: Sequence[_Side], aligned: Alignment, places: Sequence[ComparedPlace]) -> list[Similarity]:
    """What a layout leaves out is 0, as what a file leaves out: neither changes that block."""
    profiles = [[place.values[at].raw_strength or 0.0 for place in places] for at in range(len(compared))]
    return [
        Similarity(
            one=compared[a].stable_id,
            other=compared[b].stable_id,
            cosine=cosine(profiles[a], profiles[b]) if _share_blocks(aligned, a, b) else None,
        )
        for a, b in combinations(range(len(compared)), 2)
    ]


def _share_blocks(aligned: Alignment, one: int, other: int) -> bool:
    return any(
        a is not None and b is not None for a, b in zip(aligned.columns[one], aligned.columns[other], strict=True)
    )


def _notes(compared: Sequence[_Side]) -> list[str]:
    kinds = {side.stable_id: " and ".join(side.row.strength_kinds) for side in compared if side.row is not None}
    if len(set(kinds.values())) < 2:
        return []
    told = ", ".join(f"{stable_id} by {kind or 'none'}" for stable_id, kind in kinds.items())
    return [f"Strength is not measured alike ({told}): compare the shapes, not the absolute strengths."]
