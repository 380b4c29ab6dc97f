"""A file in, a :class:`LoraRecord` out: the inspector's steps in their order, and nothing else.

    bytes -> header -> keys -> modules -> place in the model -> measured change -> blocks

Each step lives in a module of its own; this one only joins them and decides what a record says when a step finds
nothing. It knows no database, no library folder and no HTTP. A fault of the file never leaves here as an exception.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from lora_weights_builder.errors import FileRejected
from lora_weights_builder.inspector import module_facts
from lora_weights_builder.inspector.adapters import group_modules
from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.inspector.layout_match import match_layout
from lora_weights_builder.inspector.strengths import Measurement
from lora_weights_builder.inspector.strengths import measure as measure_strengths
from lora_weights_builder.inspector.tensor_file import TensorFile
from lora_weights_builder.inspector.training_metadata import resolve_base_model, summarise
from lora_weights_builder.records import (
    AdapterType,
    BlockStrength,
    FolderHint,
    Header,
    LayoutMatch,
    LoraRecord,
    ModuleAdapter,
    ModuleStrength,
    StrengthKind,
)

T = TypeVar("T")

WEIGHT_DECIMALS = 6
MAX_LISTED = 8  # how many names a warning spells out before it counts the rest


def inspect(
    path: str | os.PathLike[str],
    *,
    hint: FolderHint | None = None,
    lora_name: str | None = None,
    measure: bool = True,
) -> LoraRecord:
    """Say everything that one file says about itself.

    Args:
        path: a ``.safetensors`` file.
        hint: what its folder says (base model, category); breaks ties, and names the base model.
        lora_name: the name under which ComfyUI lists it (relative to the library root); the file name if ``None``.
        measure: ``False`` reads the header only. The record then has ``measured`` false and no strengths.

    Returns:
        A record. Where the file cannot be read or measured, ``error`` and ``error_code`` say why; nothing is raised.
    """
    path = Path(path)
    blank = LoraRecord(
        file_path=str(path), filename=path.name, size_bytes=_size(path), lora_name=lora_name or path.name
    )
    try:
        return _inspect(path, blank, hint, measure)
    except FileRejected as fault:
        if fault.code != "changed_during_scan":
            return _rejected(blank, fault, hint)
    try:  # A file that is just being written often stands still a moment later; more than one retry would stall a scan.
        return _inspect(path, blank, hint, measure)
    except FileRejected as fault:
        return _rejected(blank, fault, hint)


def _inspect(path: Path, blank: LoraRecord, hint: FolderHint | None, measure: bool) -> LoraRecord:
    with TensorFile.open(path) as file:
        header = file.header
        modules, unknown = group_modules(header)
        match = match_layout(modules, unknown_tensors=unknown, metadata=header.metadata, hint=hint)
        record = _describe(blank, header, modules, match, hint)
        if measure:
            record = _measured(record, modules, match, measure_strengths(file, modules))
    record = replace(record, warnings=_condensed(record.warnings))
    return _with_fallback(record, match.reason)


def _describe(
    blank: LoraRecord,
    header: Header,
    modules: Sequence[ModuleAdapter],
    match: LayoutMatch,
    hint: FolderHint | None,
) -> LoraRecord:
    """What names, shapes and metadata say, before any weight is read."""
    base = resolve_base_model(match, header.metadata, hint, blank.lora_name)
    encoder_tensors = sum(
        len(module.tensors)
        for module, place in zip(modules, match.placements, strict=True)
        if place.kind == "text_encoder"
    )
    kinds = Counter(module.kind for module in modules)
    kinds_present: set[AdapterType] = {module.kind for module in modules}
    if any(module.dora for module in modules):
        kinds_present.add("dora")
    layout = registry().layouts[match.layout_id] if match.layout_id else None
    return replace(
        blank,
        size_bytes=header.file_bytes,
        table_hash=header.table_hash,
        architecture=match.architecture,
        ambiguous_architectures=match.candidates,
        architecture_evidence=match.evidence,
        variant=base.variant,
        model_family=base.family,
        base_model_code=base.code,
        base_model_name=base.name,
        base_model_evidence=base.evidence,
        lora_type=kinds.most_common(1)[0][0] if kinds else None,
        adapter_types=tuple(sorted(kinds_present)),
        dialect=match.dialect,
        rank=_most_common(module.rank for module in modules),
        alpha=_most_common(module.alpha for module in modules),
        block_layout=match.layout_id,
        block_count=layout.block_count if layout else 0,
        clip_contributor=encoder_tensors > 0,
        clip_tensor_count=encoder_tensors,
        tensor_count=len(header.tensors),
        unmatched_tensor_count=match.unmatched_tensor_count,
        warnings=(*header.warnings, *_problems(modules), *match.warnings, *base.warnings),
        metadata=dict(header.metadata),
        summary=summarise(header.metadata),
    )


def _measured(
    record: LoraRecord, modules: Sequence[ModuleAdapter], match: LayoutMatch, measurement: Measurement
) -> LoraRecord:
    """Add what the weights say: alphas, the content's hash, facts of every module, and one strength a block."""
    strengths = measurement.strengths
    named = [(f"{module.part} {module.module}", strength) for module, strength in zip(modules, strengths, strict=True)]
    warnings = [problem for _, strength in named for problem in strength.problems]
    record = replace(
        record,
        measured=True,
        content_hash=measurement.content_hash,
        alpha=_most_common(strength.alpha for strength in strengths),
        strength_kinds=tuple(sorted({strength.kind for strength in strengths if strength.finite})),
        warnings=(*record.warnings, *warnings),
    )
    broken = [name for name, strength in named if not strength.finite]
    if broken:
        sentence = f"{record.filename}: NaN or infinity in {_listed(broken)}; no strength of this file can be trusted"
        return replace(record, error=sentence, error_code="non_finite")
    counted, notes = _counted(modules, match, strengths)
    facts = module_facts.pack(module_facts.collect(modules, match, strengths, counted))
    # Of what is kept, so that whoever unpacks it comes to the same ranks.
    energy_ranks = module_facts.file_facts(module_facts.unpack(facts)).energy_ranks
    record = replace(record, module_facts=facts, energy_ranks=energy_ranks)
    if match.layout_id is None:
        return record
    blocks = _block_strengths(registry().layouts[match.layout_id], match, strengths, counted)
    if not any(block.present for block in blocks):
        return record
    if all(block.raw_strength == 0.0 for block in blocks):
        notes.append("all_zero: every measured weight of this file is zero")
    return replace(record, blocks=blocks, has_block_weights=True, warnings=(*record.warnings, *notes))


def _counted(
    modules: Sequence[ModuleAdapter], match: LayoutMatch, strengths: Sequence[ModuleStrength]
) -> tuple[list[bool], list[str]]:
    """Which modules take part in sums, and what to say of those in blocks that do not.

    A weight that is spelled twice counts once, and only one kind of strength is summed.
    """
    rows = list(zip(modules, match.placements, strengths, strict=True))
    measurable = [(place, strength) for module, place, strength in rows if not module.fatal]
    inside = [strength for place, strength in measurable if place.block_index is not None]
    kind = _summed_kind(inside or [strength for _, strength in measurable])
    names = [(place.block_index is not None, module.part, place.canonical) for module, place, _ in rows]
    spelled = set(names)
    seen: set[tuple[bool, str, str]] = set()
    counted = []
    twice = other_kind = 0
    for (module, _, strength), name in zip(rows, names, strict=True):
        in_block, part, canonical = name
        whole, _, row_slice = canonical.partition("#")
        again = name in seen or (bool(row_slice) and (in_block, part, whole) in spelled)
        if not module.fatal:
            twice += in_block and again
            other_kind += in_block and not again and strength.kind != kind
            seen.add(name)
        counted.append(not module.fatal and strength.measured and not again and strength.kind == kind)
    notes = []
    if twice:
        notes.append(f"spelled_twice: {twice} weights stand in this file under two names; each was counted once")
    if other_kind:
        notes.append(f"mixed_kinds: {other_kind} modules are not measured as {kind} and are left out of the blocks")
    return counted, notes


def _block_strengths(
    layout: Layout, match: LayoutMatch, strengths: Sequence[ModuleStrength], counted: Sequence[bool]
) -> tuple[BlockStrength, ...]:
    """Sum the modules of each block: ``raw_strength`` = sqrt(sum of squared norms), in the layout's order."""
    squares: dict[int, float] = {}
    for place, strength, takes_part in zip(match.placements, strengths, counted, strict=True):
        if place.block_index is not None:
            square = strength.norm**2 if takes_part else 0.0
            squares[place.block_index] = squares.get(place.block_index, 0.0) + square
    largest = math.sqrt(max(squares.values(), default=0.0))
    return tuple(
        BlockStrength(
            block_index=block.index,
            label=block.label,
            group=block.group,
            raw_strength=math.sqrt(squares.get(block.index, 0.0)),
            weight=round(math.sqrt(squares.get(block.index, 0.0)) / largest, WEIGHT_DECIMALS) if largest else 0.0,
            present=block.index in squares,
        )
        for block in layout.blocks
    )


def _summed_kind(strengths: Iterable[ModuleStrength]) -> StrengthKind:
    """The one kind that a file's blocks are summed in: kinds have no common unit, so they are never mixed."""
    counted = Counter(strength.kind for strength in strengths)
    return max(counted, key=lambda kind: (counted[kind], kind == "delta"), default="delta")


def _with_fallback(record: LoraRecord, reason: str | None) -> LoraRecord:
    """Give a row whose base model must have a layout its neutral, unmeasured one where nothing was measured.

    A record that waits for its measurement keeps the layout its keys already prove.
    """
    pending = not record.measured and record.error is None and record.block_layout is not None
    base = registry().base_models.get(record.base_model_code)
    if record.has_block_weights or pending or base is None or base.fallback_layout is None:
        return record
    if record.block_layout and record.model_family != base.family:
        return record  # another architecture in this folder keeps its own layout
    layout = registry().layouts[base.fallback_layout]
    return replace(
        record,
        block_layout=layout.id,
        block_count=layout.block_count,
        blocks=neutral_blocks(layout),
        fallback=True,
        fallback_reason=record.error or reason or "no block of this model was found among the file's tensors",
    )


def neutral_blocks(layout: Layout) -> tuple[BlockStrength, ...]:
    """Blocks for display where nothing was measured: weight 1.0, no raw strength."""
    return tuple(
        BlockStrength(block_index=block.index, label=block.label, group=block.group, weight=1.0, raw_strength=None)
        for block in layout.blocks
    )


def _rejected(blank: LoraRecord, fault: FileRejected, hint: FolderHint | None) -> LoraRecord:
    base = registry().base_models.get(hint.base_model_code) if hint and hint.base_model_code else None
    record = replace(
        blank,
        error=fault.message,
        error_code=fault.code,
        base_model_code=base.code if base else blank.base_model_code,
        base_model_name=base.name if base else None,
        base_model_evidence="folder" if base else None,
        model_family=base.family if base else None,
    )
    return _with_fallback(record, fault.message)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # the record's error says what is wrong with the file


def _problems(modules: Sequence[ModuleAdapter]) -> list[str]:
    return [problem for module in modules for problem in module.problems]


def _most_common(values: Iterable[T | None]) -> T | None:
    counted = Counter(value for value in values if value is not None)
    return counted.most_common(1)[0][0] if counted else None


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _condensed(warnings: Iterable[str]) -> tuple[str, ...]:
    """Each warning once, and only the first few of a kind: a damaged file repeats one fault a thousand times."""
    by_code: dict[str, list[str]] = {}
    for warning in dict.fromkeys(warnings):
        by_code.setdefault(warning.partition(":")[0], []).append(warning)
    kept: list[str] = []
    for code, alike in by_code.items():
        kept += alike[:MAX_LISTED]
        if len(alike) > MAX_LISTED:
            kept.append(f"{code}: {len(alike) - MAX_LISTED} more of the same")
    return tuple(kept)
