"""Reads a file's names and shapes against the registry: which architectures they allow, and which weights they are.

This is the part of matching that depends on nothing but module names and shapes, so it is done once for each distinct
set of them; the files of a library come from a few trainers. What metadata, folder or habit add stands in
``layout_match``.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.registry_model import Layout
from lora_weights_builder.inspector.template_index import (
    NO_NUMBER,
    Slot,
    encoder_index,
    is_matrix,
    matrices_by_sort,
    model_index,
    sort_of,
)
from lora_weights_builder.records import ModuleAdapter, Placement

MIN_COVERAGE: Final = 0.9
#: Where no model's shapes cover the file, its names may, if this share of the modules has the shapes, too.
MIN_SHAPED: Final = 0.5

# What a module costs an architecture that names it: nothing if it fits; half a point if only its kernel differs; else
# the point it would have given, and two more.
_FITS: Final = 0.0
_OTHER_KERNEL: Final = 0.5
_MISSHAPEN: Final = 3.0
_MANY_BLOCKS: Final = 8  # from here on, what is missing of a model says something
_NONE: Final[frozenset[str]] = frozenset()


@dataclass(slots=True)
class Structure:
    """What names and shapes alone say of a file.

    ``candidates`` are the architectures they allow. ``slots`` has for each module the weight that each architecture
    means by its name, ``misshapen`` those among them whose weight has another shape. ``encoder_slots`` has the text
    encoder and weight of modules in a text encoder's part, ``None`` for the others and for the unknown. ``encoders``
    are the (encoder, part) pairs found. ``closest`` is the architecture that names most modules, ``named`` and
    ``fitting`` the shares of them that it names, and that have its shapes, too. ``beyond`` has for each architecture
    the first module whose number is past the model's last block.
    """

    slots: tuple[Mapping[str, Slot], ...]
    misshapen: tuple[frozenset[str], ...]
    encoder_slots: tuple[tuple[str, Slot] | None, ...]
    encoders: tuple[tuple[str, str], ...]
    encoder_only: bool
    candidates: tuple[str, ...] = ()
    closest: str | None = None
    named: float = 0.0
    fitting: float = 0.0
    beyond: Mapping[str, str] = field(default_factory=dict)
    placements: dict[tuple[str | None, str | None], tuple[Placement, ...]] = field(default_factory=dict)


_CACHED: Final = 32
_CACHED_MODULES: Final = 4096  # larger files are rare and would fill the memory
_structures: OrderedDict[tuple[object, ...], Structure] = OrderedDict()


def structure_of(modules: Sequence[ModuleAdapter]) -> Structure:
    """Read the modules, or remember having read the same names and shapes before."""
    key = tuple((m.part, m.module, m.out_features, m.in_features, m.kernel) for m in modules)
    found = _structures.get(key)
    if found is not None:
        _structures.move_to_end(key)
        return found
    found = _read(modules)
    if len(modules) <= _CACHED_MODULES:
        _structures[key] = found
        if len(_structures) > _CACHED:
            _structures.popitem(last=False)
    return found


def of_encoder(module: ModuleAdapter) -> bool:
    """Whether the module's prefix puts it into a text encoder."""
    return module.part.startswith("te")


def _read(modules: Sequence[ModuleAdapter]) -> Structure:
    index = model_index()
    slots: list[Mapping[str, Slot]] = []
    misshapen: list[frozenset[str]] = []
    score: Counter[str] = Counter()
    beyond: dict[str, str] = {}
    models = 0
    for module in modules:
        named: dict[str, Slot] = {}
        slots.append(named)
        other_shape: list[str] = []
        if not of_encoder(module):
            models += 1
            meanings, number = index.look_up(module.module)
            for meaning in meanings:
                slot = meaning.slot(number)
                if slot is None:
                    if meaning.in_blocks and number != NO_NUMBER:
                        beyond.setdefault(meaning.owner, module.module)
                    continue
                named[meaning.owner] = slot
                cost = _misfit(module, slot)
                score[meaning.owner] += round(2 * (1 - cost))  # in halves: whole numbers, so that equals are equal
                if cost >= _MISSHAPEN:
                    other_shape.append(meaning.owner)
        misshapen.append(frozenset(other_shape) if other_shape else _NONE)
    encoder_slots = tuple(_encoder_slot(module) if of_encoder(module) else None for module in modules)
    found = Structure(
        tuple(slots),
        tuple(misshapen),
        encoder_slots,
        _encoders(modules, encoder_slots),
        encoder_only=bool(modules) and not models,
        beyond=beyond,
    )
    if models:
        _judge(found, modules, models, score)
    elif found.encoders:
        found.candidates = tuple(one for one in registry().architectures if _takes(one, found.encoders))
    return found


def _judge(found: Structure, modules: Sequence[ModuleAdapter], models: int, score: Counter[str]) -> None:
    """Keep the architectures that fit best, and note which comes closest."""
    named = Counter(owner for owners in found.slots for owner in owners)
    wrong = Counter(owner for owners in found.misshapen for owner in owners)
    fitting = {owner: count - wrong[owner] for owner, count in named.items()}
    if named:
        nearest = max(named, key=lambda one: (fitting[one], named[one], one not in found.beyond))
        # Of two models in one file, the likeliest among those that have the same part of it.
        rivals = [one for one in named if fitting[one] == fitting[nearest]]
        alike = [one for one in rivals if all((one in own) == (nearest in own) for own in found.slots)]
        found.closest = registry().likeliest_first(alike)[0]
        found.named = named[found.closest] / models
        found.fitting = fitting[found.closest] / models
    possible = [one for one in registry().architectures if one in named and one not in found.beyond]
    allowed = [one for one in possible if fitting[one] >= MIN_COVERAGE * models]
    if not allowed:  # a variant of a model, or a file whose writer got some shapes wrong
        allowed = [
            one
            for one in possible
            if named[one] >= MIN_COVERAGE * models and fitting[one] >= max(MIN_SHAPED * models, 1)
        ]
    best = max((score[one] for one in allowed), default=0)
    ties = tuple(one for one in allowed if score[one] == best)
    for rule in (_fills_its_stacks, _is_whole, _has_its_encoders):
        if len(ties) > 1:
            ties = tuple(one for one in ties if rule(one, found, modules)) or ties
    found.candidates = ties


def _misfit(module: ModuleAdapter, slot: Slot) -> float:
    """What the difference between a module and a weight costs. What the factors leave open fits."""
    return min([_misfit_shape(module, shape) for shape in slot.shapes], default=_FITS)


def _misfit_shape(module: ModuleAdapter, shape: tuple[int, ...]) -> float:
    out_features, rest = shape[0], shape[1:]
    if module.out_features is not None and module.out_features != out_features:
        return _MISSHAPEN
    if module.in_features is None or not rest:
        return _FITS
    in_features, kernel = rest[0], rest[1:]
    if module.kernel:
        if module.in_features != in_features:
            return _MISSHAPEN
        if module.kernel == kernel:
            return _FITS
        return _OTHER_KERNEL if math.prod(module.kernel) == math.prod(kernel) else _MISSHAPEN
    if module.in_features == in_features * math.prod(kernel):
        # Factors of a convolution may come flattened; only a 1x1 one looks just like a linear layer's.
        return _OTHER_KERNEL if kernel and module.in_features == in_features else _FITS
    return _MISSHAPEN


def _fills_its_stacks(architecture: str, found: Structure, _: Sequence[ModuleAdapter]) -> bool:
    """Whether the file has all blocks of every stack that it touches: the model's own number of them.

    A few blocks prove nothing: one module in Flux's last block may as well be one in the middle of a longer model.
    """
    present = {own[architecture].block_index for own in found.slots if architecture in own} - {None}
    layout: Layout = registry().layouts[registry().architectures[architecture].layout_id]
    stacks = [range(group.start, group.start + group.count) for group in layout.groups]
    return len(present) >= _MANY_BLOCKS and all(present.issuperset(s) or present.isdisjoint(s) for s in stacks)


def _is_whole(architecture: str, found: Structure, modules: Sequence[ModuleAdapter]) -> bool:
    """Whether the file holds every weight of each sort that it holds one of: no model can be meant more exactly.

    This tells a model from a larger one that has all its names (SSD-1B from SDXL). Sorts are names without their
    numbers, in the file's own spelling, so that all architectures are held to the same.
    """
    present: dict[str, set[str]] = {}
    blocks: set[int] = set()
    for module, own in zip(modules, found.slots, strict=True):
        slot = own.get(architecture)
        if slot is not None and slot.block_index is not None and is_matrix(slot.shapes):
            blocks.add(slot.block_index)
            present.setdefault(sort_of(module.module), set()).add(module.module)
    sorts = matrices_by_sort(architecture)
    return len(blocks) >= _MANY_BLOCKS and all(len(names) == sorts[sort] for sort, names in present.items())


def _has_its_encoders(architecture: str, found: Structure, _: Sequence[ModuleAdapter]) -> bool:
    return _takes(architecture, found.encoders)


def _encoder_slot(module: ModuleAdapter) -> tuple[str, Slot] | None:
    """The text encoder that a module fits by name and shape; parts are no evidence, writers number them differently."""
    meanings, number = encoder_index().look_up(module.module)
    for meaning in meanings:
        slot = meaning.slot(number)
        if slot is not None and _misfit(module, slot) < _MISSHAPEN:
            return meaning.owner, slot
    return None


def _encoders(
    modules: Sequence[ModuleAdapter], encoder_slots: Sequence[tuple[str, Slot] | None]
) -> tuple[tuple[str, str], ...]:
    """The (encoder, part) pairs of a file: for each part the encoder that most of its modules fit."""
    votes: dict[str, Counter[str]] = {}
    for module, found in zip(modules, encoder_slots, strict=True):
        if found is not None:
            votes.setdefault(module.part, Counter())[found[0]] += 1
    return tuple((counted.most_common(1)[0][0], part) for part, counted in votes.items())


def _takes(architecture: str, encoders: Sequence[tuple[str, str]]) -> bool:
    known = registry().architectures[architecture].encoders
    return all(part in known.get(encoder, ()) for encoder, part in encoders)
