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
from typing import Final, NamedTuple

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.registry_model import Layout
from lora_weights_builder.inspector.template_index import (
    NO_NUMBER,
    Meaning,
    Shapes,
    Slot,
    encoder_index,
    is_matrix,
    matrices_by_sort,
    model_index,
    sort_of,
    split,
)
from lora_weights_builder.records import ModuleAdapter

MIN_COVERAGE: Final = 0.9
#: Where no model's shapes cover the file, its names may, if this share of the modules has the shapes, too.
MIN_SHAPED: Final = 0.5

# What a module costs an architecture that names it: nothing if it fits; half a point if only its kernel differs; else
# the point it would have given, and two more.
_FITS: Final = 0.0
_OTHER_KERNEL: Final = 0.5
_MISSHAPEN: Final = 3.0
_MANY_BLOCKS: Final = 8  # from here on, what is missing of a model says something


class Sighting(NamedTuple):
    """What the registry makes of one module's name: the number in it, and architecture -> meaning of the rest."""

    meanings: Mapping[str, Meaning]
    number: int

    def slot(self, architecture: str) -> Slot | None:
        """The weight that an architecture means by the name, whatever its shape; ``None`` where it means none."""
        meaning = self.meanings.get(architecture)
        return meaning.slot(self.number) if meaning else None


@dataclass(slots=True)
class Structure:
    """What names and shapes alone say of a file.

    ``candidates`` are the architectures they allow. ``sightings`` are aligned with the modules; those in a text
    encoder's part mean nothing there. ``encoder_slots`` has the text encoder and weight of those, ``None`` for the
    others and for the unknown. ``encoders`` are the (encoder, part) pairs found. ``closest`` is the architecture that
    names most modules, ``named`` and ``fitting`` the shares of them that it names, and that have its shapes, too.
    ``beyond`` has for each architecture a module whose number is past the model's last block; ``misshapen`` are those
    that name a module whose shape they do not have.
    """

    sightings: tuple[Sighting, ...]
    encoder_slots: tuple[tuple[str, Slot] | None, ...]
    encoders: tuple[tuple[str, str], ...]
    encoder_only: bool
    candidates: tuple[str, ...] = ()
    closest: str | None = None
    named: float = 0.0
    fitting: float = 0.0
    beyond: Mapping[str, str] = field(default_factory=dict)
    misshapen: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Tally:
    """Modules counted by architecture: ``score`` in half points, so that equals are equal."""

    named: Counter[str] = field(default_factory=Counter)
    fitting: Counter[str] = field(default_factory=Counter)
    score: Counter[str] = field(default_factory=Counter)
    beyond: dict[str, str] = field(default_factory=dict)


_NOWHERE: Final = Sighting({}, NO_NUMBER)
_CACHED: Final = 64
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
    sightings: list[Sighting] = []
    # Modules of one template and shape differ by their number only, so each architecture is asked once for all of them.
    alike: dict[tuple[str, int | None, int | None, tuple[int, ...]], list[tuple[ModuleAdapter, int]]] = {}
    for module in modules:
        if of_encoder(module):
            sightings.append(_NOWHERE)
            continue
        template, number = split(module.module)
        sightings.append(Sighting(index.meanings_of(template), number))
        key = (template, module.out_features, module.in_features, module.kernel)
        alike.setdefault(key, []).append((module, number))
    tally = _Tally()
    for key, numbered in alike.items():
        for owner, meaning in index.meanings_of(key[0]).items():
            _count(tally, owner, meaning, numbered)
    encoder_slots = tuple(_encoder_slot(module) if of_encoder(module) else None for module in modules)
    found = Structure(tuple(sightings), encoder_slots, _encoders(modules, encoder_slots), bool(modules) and not alike)
    found.beyond = tally.beyond
    found.misshapen = frozenset(one for one in tally.named if tally.fitting[one] < tally.named[one])
    if alike:
        _judge(found, modules, sum(map(len, alike.values())), tally)
    elif found.encoders:
        found.candidates = tuple(one for one in registry().architectures if _takes(one, found.encoders))
    return found


def _count(tally: _Tally, owner: str, meaning: Meaning, numbered: Sequence[tuple[ModuleAdapter, int]]) -> None:
    """Count like modules, each with its number, for one architecture that knows their template."""
    seen: dict[Shapes, int] = {}
    for module, number in numbered:
        shapes = meaning.shapes_at(number)
        if shapes is not None:
            seen[shapes] = seen.get(shapes, 0) + 1
        elif meaning.in_blocks and number != NO_NUMBER:
            tally.beyond.setdefault(owner, module.module)
    for shapes, count in seen.items():
        cost = _misfit(numbered[0][0], shapes)
        tally.named[owner] += count
        tally.score[owner] += count * round(2 * (1 - cost))
        if cost < _MISSHAPEN:
            tally.fitting[owner] += count


def _judge(found: Structure, modules: Sequence[ModuleAdapter], models: int, tally: _Tally) -> None:
    """Keep the architectures that fit best, and note which comes closest."""
    named, fitting = tally.named, tally.fitting
    if named:
        found.closest = _closest(found, tally)
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
    best = max((tally.score[one] for one in allowed), default=0)
    ties = tuple(one for one in allowed if tally.score[one] == best)
    for rule in (_fills_its_stacks, _is_whole, _has_its_encoders):
        if len(ties) > 1:
            ties = tuple(one for one in ties if rule(one, found, modules)) or ties
    found.candidates = ties


def _closest(found: Structure, tally: _Tally) -> str:
    """The architecture that most modules fit; of two models in one file, the likeliest with the same part of it."""
    named, fitting = tally.named, tally.fitting
    nearest = max(named, key=lambda one: (fitting[one], named[one], one not in tally.beyond))
    rivals = [one for one in named if fitting[one] == fitting[nearest]]
    if len(rivals) == 1:
        return nearest
    own = {one: [sighting.slot(one) is not None for sighting in found.sightings] for one in rivals}
    return registry().likeliest_first([one for one in rivals if own[one] == own[nearest]])[0]


def is_misshapen(module: ModuleAdapter, slot: Slot) -> bool:
    """Whether a module has the name of a weight and another shape."""
    return _misfit(module, slot.shapes) >= _MISSHAPEN


def _misfit(module: ModuleAdapter, shapes: Shapes) -> float:
    """What the difference between a module and a weight costs. What the factors leave open fits."""
    return min([_misfit_shape(module, shape) for shape in shapes], default=_FITS)


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
    slots = (sighting.slot(architecture) for sighting in found.sightings)
    present = {slot.block_index for slot in slots if slot is not None} - {None}
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
    for module, sighting in zip(modules, found.sightings, strict=True):
        slot = sighting.slot(architecture)
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
    for encoder, meaning in meanings.items():
        slot = meaning.slot(number)
        if slot is not None and not is_misshapen(module, slot):
            return encoder, slot
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
