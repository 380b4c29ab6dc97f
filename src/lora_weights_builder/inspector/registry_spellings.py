"""Expands the registry's components into the names and shapes of an architecture's weights.

A component tells its weights once; a stack says where blocks made of it stand. This room multiplies the two out. The
format is described in ``registry_loader``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lora_weights_builder.errors import RegistryError
from lora_weights_builder.inspector.registry_model import Spelling
from lora_weights_builder.records import PlaceKind

Table = Mapping[str, Any]
Sizes = Mapping[str, int]

NATIVE: Final = "native"
_SIZE: Final = re.compile(r"(?:(?P<times>\d+)\*)?(?P<name>[a-z_]+)\Z")
_DEPTH: Final = "{d}"
# What "only_blocks" may say of a stack of any length, beside listing numbers.
_ONLY_BLOCKS: Final = {"last": slice(-1, None), "all_but_last": slice(None, -1)}
# Keys of a weight or a stack that are no dialect.
_WEIGHT_WORDS: Final = frozenset(
    {"name", "shape", "also_shapes", "rows", "only_blocks", "only_dialects", "unless_equal"}
)
_STACK_WORDS: Final = frozenset({"group", "count", "components", "blocks", "sizes", "use"})


def spell_blocks(
    stack: Table,
    count: int,
    start: int | None,
    components: Mapping[str, Table],
    sizes: Sizes,
    kind: PlaceKind = "block",
) -> Iterator[Spelling]:
    """Every weight of a stack of ``count`` blocks, the first of which is block ``start`` of the layout.

    ``start`` is ``None`` for a stack outside the layout's blocks.
    """
    if "blocks" not in stack:
        places = _places(stack)
        for component in stack["components"]:
            yield from _spell(components[component], places, sizes, kind, tuple(range(count)), start)
        return
    if len(stack["blocks"]) != count:
        raise RegistryError(f"{len(stack['blocks'])} blocks are listed where the layout has {count}.")
    for number, parts in enumerate(stack["blocks"]):
        for part in parts:
            here = {**sizes, **{key: value for key, value in part.items() if isinstance(value, int)}}
            block = None if start is None else start + number
            yield from _spell(components[part["use"]], _places(part), here, kind, (), block)


def spell_single(
    names: list[str], components: Mapping[str, Table], sizes: Sizes, kind: PlaceKind = "global"
) -> Iterator[Spelling]:
    """Every weight that stands outside the blocks."""
    for name in names:
        component = components[name]
        spelled = {dialect for weight in component["weights"] for dialect in weight}
        dialects = [NATIVE, *sorted(spelled - _WEIGHT_WORDS - {NATIVE} - set(component.get("also", {})))]
        yield from _spell(component, dict.fromkeys(dialects, ""), sizes, kind, (), None)


def _places(table: Table) -> dict[str, str]:
    """dialect -> where the component's weights stand in it."""
    return {key: value for key, value in table.items() if key not in _STACK_WORDS and isinstance(value, str)}


def _spell(
    component: Table,
    places: Mapping[str, str],
    sizes: Sizes,
    kind: PlaceKind,
    indices: tuple[int, ...],
    first_block: int | None,
) -> Iterator[Spelling]:
    for weight in component["weights"]:
        unequal = weight.get("unless_equal")
        if unequal and len({_size(size, sizes) for size in unequal}) == 1:
            continue
        depth = sizes["depth"] if _DEPTH in weight["name"] else 1
        for level in range(depth):
            yield from _spell_weight(weight, component, places, sizes, level, kind, indices, first_block)


def _spell_weight(
    weight: Table,
    component: Table,
    places: Mapping[str, str],
    sizes: Sizes,
    level: int,
    kind: PlaceKind,
    indices: tuple[int, ...],
    first_block: int | None,
) -> Iterator[Spelling]:
    if "only_blocks" in weight:
        only = weight["only_blocks"]
        indices = indices[_ONLY_BLOCKS[only]] if isinstance(only, str) else tuple(only)
    shapes = [weight["shape"], *weight.get("also_shapes", ())] if "shape" in weight else []
    bases = tuple(tuple(_size(size, sizes) for size in shape) for shape in shapes)
    whole = _join(places[NATIVE], weight["name"]).replace(_DEPTH, str(level))
    seen: set[str] = set()
    also: Mapping[str, str] = component.get("also", {})
    for dialect, place in [*places.items(), *((writer, places.get(lender)) for writer, lender in also.items())]:
        names = weight.get(dialect, None if dialect in also else weight["name"])
        if names is None or place is None or dialect not in weight.get("only_dialects", (dialect,)):
            continue
        slices = [names] if isinstance(names, str) else names
        for number, name in enumerate(slices):
            template = _join(place, name).replace(_DEPTH, str(level))
            if template in seen:
                continue
            seen.add(template)
            split = len(slices) > 1
            yield Spelling(
                dialect=dialect,
                template=template,
                canonical=f"{whole}#{number}" if split else whole,
                shapes=tuple(_slice(weight, base, len(slices), number, sizes) for base in bases) if split else bases,
                kind=kind,
                indices=indices,
                first_block=first_block,
            )


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place and name else place or name


def _size(size: int | str, sizes: Sizes) -> int:
    """``1280``, ``"width"`` or ``"4*width"``."""
    if isinstance(size, int):
        return size
    match = _SIZE.match(size)
    if match is None or match["name"] not in sizes:
        raise RegistryError(f"The registry uses the size {size!r}, which is not given here.", subject=size)
    return int(match["times"] or 1) * sizes[match["name"]]


def _slice(weight: Table, base: tuple[int, ...], parts: int, number: int, sizes: Sizes) -> tuple[int, ...]:
    """The shape of one of the row slices that a dialect splits a fused weight into."""
    rows = [_size(size, sizes) for size in weight.get("rows", ())] or [base[0] // parts] * parts
    if len(rows) != parts or sum(rows) != base[0]:
        raise RegistryError(f"The rows {rows} of {weight['name']!r} do not make up its {base[0]} outputs.")
    return (rows[number], *base[1:])
