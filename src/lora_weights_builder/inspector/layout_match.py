"""Says which model a file's modules belong to, and where in it each of them sits.

Names and shapes decide; only what they leave open is narrowed by metadata, then by the folder, then by what is
commonest. The answer then lists every architecture that the tensors allow, so that nobody takes a guess for a fact.
No architecture is named here: all that is known of models comes from the registry.

The rules, in their order (those from 1 to 4 stand in ``structure``):

0. What is wrapped like a language model or a vision tower is none of ours, whatever its modules look like.
1. Every module is looked up whole. An architecture that names it, but has no block of that number, is out.
2. At least ``MIN_COVERAGE`` of the modules outside text encoders must fit by name and shape; where no architecture gets
   so far, by name, if the shapes of at least ``MIN_SHAPED`` fit, with a warning.
3. The best score stays: fitting modules, minus twice the misshapen ones, minus half the ones whose kernel differs.
4. Among equals, one that has just the blocks which the file has; then one of whose weights none of a sort is missing;
   then one that has the file's text encoders.
5. One that is written in the file's prefix and spelling.
6. Metadata, folder, and the order of likelihood that the registry declares, unless it says that all must be reported.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.inspector.key_grammar import parse_key, split_stem
from lora_weights_builder.inspector.model_hints import base_model_hint
from lora_weights_builder.inspector.structure import MIN_COVERAGE, Structure, is_misshapen, of_encoder, structure_of
from lora_weights_builder.inspector.template_index import model_index
from lora_weights_builder.records import Evidence, FolderHint, LayoutMatch, ModuleAdapter, Placement

_MIN_CHECKPOINT_WEIGHTS: Final = 8  # base weights by name that make a file a checkpoint rather than an oddity
_LISTED: Final = 3
_VOTERS: Final = 64  # modules asked for the dialect; a file is written by one writer
# Prefixes that several writers use; there the spelling of a module can tell more.
_SHARED_DIALECTS: Final = frozenset({"bare", "diffusers"})
_SHARED_SPELLINGS: Final = frozenset({"native", "diffusers"})


class _Decision(NamedTuple):
    """The architecture chosen among the candidates, ``None`` where all are to be reported."""

    architecture: str | None
    evidence: Evidence | None


def match_layout(
    modules: Sequence[ModuleAdapter],
    *,
    unknown_tensors: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    hint: FolderHint | None = None,
) -> LayoutMatch:
    """Match a file's modules against the registry.

    Args:
        modules: what ``adapters.group_modules`` made of the file.
        unknown_tensors: the names that belong to no module; counted, and used to say what else the file may be.
        metadata: the file's metadata, read only where the tensors leave a tie.
        hint: what the folder says, the same.

    Returns:
        Placements aligned with ``modules``. A placement has a ``block_index`` in the layout that is answered: blocks of
        the denoiser, or encoder layers (kind ``text_encoder``) where the file holds nothing else. An open tie is an
        answer, too: ``architecture`` ``None`` with the ``candidates``.
    """
    known = _known(modules, unknown_tensors)
    if known.foreign:
        return _no_match(modules, unknown_tensors, known.foreign)
    candidates, structure = known.candidates, known.structure
    decision = _decide(candidates, metadata or {}, hint)
    architecture = decision.architecture
    layout = _layout_of((architecture,) if architecture else candidates, structure)
    # Of an open tie the layout is only known where all candidates share it; any of them then gives the places.
    placing = architecture or (candidates[0] if candidates and layout else None)
    answer = (placing, layout.id if layout else None)
    if answer not in known.placed:
        known.placed[answer] = _placed(known, placing, layout)
    placed = known.placed[answer]
    return LayoutMatch(
        architecture=architecture,
        candidates=candidates if len(candidates) > 1 else (),
        evidence=decision.evidence,
        layout_id=layout.id if layout else None,
        placements=placed.placements,
        unmatched_tensor_count=placed.unmatched,
        dialect=placed.dialect,
        reason=None if layout else _reason(modules, unknown_tensors, structure, architecture, candidates),
        warnings=placed.warnings,
    )


class _Placed(NamedTuple):
    """What is said of a file's modules once a model and layout are chosen for them."""

    placements: tuple[Placement, ...]
    unmatched: int
    dialect: str | None
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Known:
    """All that follows from a file's modules and strange tensors, before metadata and folder are asked."""

    modules: Sequence[ModuleAdapter]
    unknown: Sequence[str]
    foreign: str | None
    structure: Structure
    candidates: tuple[str, ...]
    placed: dict[tuple[str | None, str | None], _Placed] = field(default_factory=dict)


_REMEMBERED: Final = 64
_recent: OrderedDict[tuple[int, int], _Known] = OrderedDict()


def _known(modules: Sequence[ModuleAdapter], unknown: Sequence[str]) -> _Known:
    """Look a file's modules up, or remember it: files of one trainer share the very objects that grouping made."""
    key = id(modules), id(unknown)  # the entry holds both, so no other object can have their ids
    found = _recent.get(key)
    if found is not None:
        _recent.move_to_end(key)
        return found
    structure = structure_of(modules)
    candidates = registry().likeliest_first(_as_written(modules, structure))
    found = _Known(modules, unknown, _foreign(modules), structure, candidates)
    if isinstance(modules, tuple) and isinstance(unknown, tuple):  # nobody can change them behind our back
        _recent[key] = found
        if len(_recent) > _REMEMBERED:
            _recent.popitem(last=False)
    return found


def _placed(known: _Known, architecture: str | None, layout: Layout | None) -> _Placed:
    modules = known.modules
    placements = tuple(_places(modules, known.structure, architecture, layout))
    strange = sum(_bundle_of(name) is None for name in known.unknown)
    places = zip(modules, placements, strict=True)
    return _Placed(
        placements,
        strange + sum(len(module.tensors) for module, place in places if _is_unknown(module, place)),
        _dialect(modules, architecture),
        tuple(_warnings(modules, placements, known.unknown, known.structure, architecture)),
    )


def _foreign(modules: Sequence[ModuleAdapter]) -> str | None:
    """Why a file that looks like a LoRA is none of a diffusion model's: nearly all its names are another kind's."""
    for kind in registry().not_loras if modules else ():
        if kind.decides and kind.names.match(_first_name(modules[0])):
            alike = sum(kind.names.match(_first_name(module)) is not None for module in modules)
            if alike >= MIN_COVERAGE * len(modules):
                return kind.reason
    return None


def _no_match(modules: Sequence[ModuleAdapter], unknown: Sequence[str], reason: str) -> LayoutMatch:
    return LayoutMatch(
        architecture=None,
        candidates=(),
        evidence=None,
        layout_id=None,
        placements=tuple(Placement("unknown", None, module.module) for module in modules),
        unmatched_tensor_count=len(unknown) + sum(len(module.tensors) for module in modules),
        reason=reason,
    )


def _first_name(module: ModuleAdapter) -> str:
    return next(iter(module.tensors.values())).name


def _bundle_of(name: str) -> str | None:
    """What a tensor is that belongs to no adapter and to no model either, if it is of a known kind."""
    return next((kind.what for kind in registry().bundled if kind.names.match(name)), None)


# --- Ties


def _as_written(modules: Sequence[ModuleAdapter], structure: Structure) -> tuple[str, ...]:
    """The candidates without those that no writer spells as this file is spelled."""
    candidates = structure.candidates
    if len(candidates) < 2 or not any(registry().architectures[one].not_written_as for one in candidates):
        return candidates
    written: dict[str, set[tuple[str, str]]] = {one: set() for one in candidates}
    for module in modules[:_VOTERS]:
        key = parse_key(_first_name(module))
        meanings, _ = model_index().look_up(module.module)
        for one in candidates if key else ():
            if key and one in meanings:
                written[one].add((key.dialect, meanings[one].dialect))
    return tuple(one for one in candidates if not written[one] & registry().architectures[one].not_written_as) or (
        candidates
    )


def _decide(candidates: tuple[str, ...], metadata: Mapping[str, str], hint: FolderHint | None) -> _Decision:
    if not candidates:
        return _Decision(None, None)
    if len(candidates) == 1:
        return _Decision(candidates[0], "tensors")
    claimed = base_model_hint(metadata).architectures
    left = tuple(one for one in candidates if one in claimed) or candidates
    if len(left) == 1:
        return _Decision(left[0], "metadata")
    base = registry().base_models.get(hint.base_model_code) if hint and hint.base_model_code else None
    if base is not None:
        left = tuple(one for one in left if one in base.architectures) or left
        if len(left) == 1:
            return _Decision(left[0], "folder")
    return _by_prior(left)


def _by_prior(candidates: tuple[str, ...]) -> _Decision:
    """The likeliest of the declared group that holds all candidates; without such a group none is."""
    group = registry().ambiguity_of(candidates)
    if group is None or group.report_all:
        return _Decision(None, None)
    likeliest = registry().likeliest_first(candidates)[0]
    return _Decision(likeliest, "prior") if likeliest in group.prior_rank else _Decision(None, None)


# --- Layout and places


def _layout_of(owners: Sequence[str], structure: Structure) -> Layout | None:
    """The layout of the answer; of an open tie, the one that all candidates share."""
    layouts = {_layout_for(one, structure) for one in owners}
    layout_id = layouts.pop() if len(layouts) == 1 else None
    return registry().layouts[layout_id] if layout_id else None


def _layout_for(architecture: str, structure: Structure) -> str | None:
    """The smallest layout of an architecture that has every group (or text encoder) the file touches."""
    known = registry().architectures[architecture]
    layouts = [registry().layouts[one] for one in known.layouts]
    if structure.encoder_only:
        touched = {encoder for encoder, _ in structure.encoders}
        fitting = [layout for layout in layouts if layout.encoders and touched.issubset(layout.encoders)]
    else:
        owners = _groups_by_block(registry().layouts[known.layout_id])
        slots = (sighting.slot(architecture) for sighting in structure.sightings)
        touched = {owners[slot.block_index] for slot in slots if slot and slot.block_index is not None}
        groups = ((layout, {group.key for group in layout.groups}) for layout in layouts if not layout.encoders)
        fitting = [layout for layout, keys in groups if touched <= keys]
    return min(fitting, key=lambda layout: layout.block_count).id if touched and fitting else None


def _groups_by_block(layout: Layout) -> list[str]:
    return [group.key for group in layout.groups for _ in range(group.count)]


def _places(
    modules: Sequence[ModuleAdapter], structure: Structure, architecture: str | None, layout: Layout | None
) -> Iterator[Placement]:
    shift = _shift(
        layout, registry().layouts[registry().architectures[architecture].layout_id] if architecture else None
    )
    encoder_starts = {group.key: group.start for group in layout.groups} if layout and layout.encoders else {}
    for module, sighting, encoder in zip(modules, structure.sightings, structure.encoder_slots, strict=True):
        if encoder is not None:
            name, layer = encoder
            start = encoder_starts.get(name)
            block = None if start is None or layer.block_index is None else start + layer.block_index
            yield Placement("text_encoder", block, f"{name}:{layer.canonical}")
        elif of_encoder(module):
            yield Placement("text_encoder", None, f"{module.part}:{module.module}")
        elif architecture is None or (slot := sighting.slot(architecture)) is None:
            yield Placement("unknown", None, module.module)
        else:
            block = None if slot.block_index is None else shift.get(slot.block_index)
            yield Placement(slot.kind, block, slot.canonical)


def _shift(layout: Layout | None, whole: Layout | None) -> dict[int, int | None]:
    """Block index in the layout of the whole stack -> block index in the layout that is answered."""
    if layout is None or whole is None:
        return {}
    starts = {group.key: group.start for group in layout.groups}
    return {
        group.start + i: starts[group.key] + i if group.key in starts else None
        for group in whole.groups
        for i in range(group.count)
    }


def _is_unknown(module: ModuleAdapter, place: Placement) -> bool:
    return place.kind == "unknown" or (place.kind == "text_encoder" and place.canonical.startswith(f"{module.part}:"))


def _dialect(modules: Sequence[ModuleAdapter], architecture: str | None) -> str | None:
    """The writer's convention of most modules: by the prefix, or by a spelling that only one writer has."""
    votes: Counter[str] = Counter()
    for module in modules[:_VOTERS]:
        key = parse_key(_first_name(module))
        dialect = key.dialect if key else "bare"
        if dialect in _SHARED_DIALECTS:
            meanings, _ = model_index().look_up(module.module)
            meaning = meanings.get(architecture or "")
            spelled = meaning.dialect if meaning else dialect
            dialect = dialect if spelled in _SHARED_SPELLINGS else spelled
        votes[dialect] += 1
    return votes.most_common(1)[0][0] if votes else None


# --- What to say


def _reason(
    modules: Sequence[ModuleAdapter],
    unknown: Sequence[str],
    structure: Structure,
    architecture: str | None,
    candidates: Sequence[str],
) -> str:
    """Why there is no layout, in one sentence."""
    if architecture is None and candidates:
        alike = ", ".join(candidates)
        return f"The tensors fit {alike} alike, and neither metadata nor folder decides between them."
    if candidates:
        return "The file changes only weights outside the model's blocks, so there is nothing to give block by block."
    names = [*unknown, *(tensor.name for module in modules for tensor in module.tensors.values())]
    for kind in registry().not_loras:
        if any(kind.names.match(name) for name in names):
            return kind.reason
    if not modules:
        return _reason_without_adapters(unknown)
    if structure.encoder_only:
        return "The file holds only text encoder modules, which fit no text encoder that the registry knows."
    return _near_miss(modules, structure)


def _near_miss(modules: Sequence[ModuleAdapter], structure: Structure) -> str:
    """Which architecture comes closest, and what keeps the file from being its."""
    closest = structure.closest
    some = ", ".join(module.module for module in modules[:_LISTED])
    if closest is None:
        return f"No architecture of the registry has modules of these names ({some} ...)."
    name = registry().architectures[closest].name
    if structure.fitting >= MIN_COVERAGE and closest in structure.beyond:
        past = structure.beyond[closest]
        return f"The modules are those of {name}, but {past} stands past its last block, so another model is meant."
    if second := _second_model(modules, structure, closest):
        other, share = second
        other_name = registry().architectures[other].name
        return (
            f"The file holds modules of two models: {structure.fitting:.0%} are {name}'s, {share:.0%} {other_name}'s; "
            "no loader can apply both."
        )
    shares = f"{structure.named:.0%} of the modules have its names, {structure.fitting:.0%} its shapes, too"
    return f"No architecture fits; {closest} comes closest: {shares} ({some} ...)."


def _second_model(modules: Sequence[ModuleAdapter], structure: Structure, first: str) -> tuple[str, float] | None:
    """The architecture that takes the modules which the closest one leaves, and their share, if together they do."""
    fits = [
        {one for one in sighting.meanings if (slot := sighting.slot(one)) and not is_misshapen(module, slot)}
        for module, sighting in zip(modules, structure.sightings, strict=True)
    ]
    models = sum(encoder is None for encoder in structure.encoder_slots)
    left = Counter(owner for owners in fits if first not in owners for owner in owners)
    if not left:
        return None
    count = max(left.values())
    other = registry().likeliest_first([one for one, times in left.items() if times == count])[0]
    both = sum(first in owners for owners in fits) + count
    return (other, count / models) if both >= MIN_COVERAGE * models else None


def _reason_without_adapters(unknown: Sequence[str]) -> str:
    # By name alone: another model of the same names and other widths is a checkpoint just as well.
    base_weights = 0
    for name in unknown:
        stem, _, last = name.rpartition(".")
        if last in ("weight", "bias", "scale"):
            meanings, number = model_index().look_up(split_stem(stem).module)
            base_weights += any(meaning.slot(number) for meaning in meanings.values())
    if base_weights >= _MIN_CHECKPOINT_WEIGHTS:
        return "The file is a checkpoint: it holds a model's own weights, not a change of them."
    listed = ", ".join(unknown[:_LISTED])
    return f"No tensor of the file belongs to a LoRA or another adapter ({listed} ...)."


def _warnings(
    modules: Sequence[ModuleAdapter],
    placements: Sequence[Placement],
    unknown_tensors: Sequence[str],
    structure: Structure,
    architecture: str | None,
) -> Iterator[str]:
    if any(module.part == "model_2" for module in modules) and any(module.part == "model" for module in modules):
        yield "two_experts: the file holds LoRAs for two experts of the model; each block's strength is that of both"
    bundled = Counter(what for what in map(_bundle_of, unknown_tensors) if what)
    for what, count in bundled.items():
        yield f"bundled: {count} tensors are {what}, which change no weight of the model"
    if architecture is None:
        return
    name = registry().architectures[architecture].name
    if architecture in structure.misshapen:
        strange = [
            module.module
            for module, sighting in zip(modules, structure.sightings, strict=True)
            if (slot := sighting.slot(architecture)) and is_misshapen(module, slot)
        ]
        yield f"other_shapes: {_some(strange)}: named as in {name}, but of another shape there"
    unknown = [m.module for m, place in zip(modules, placements, strict=True) if _is_unknown(m, place)]
    if unknown and any(place.kind in ("block", "global") for place in placements):
        yield f"unknown_modules: {_some(unknown)}: of no place that the registry knows in this model"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
