"""Says which blocks of a layout a loader can address, and under which names: what a vector can and cannot do there.

Everything follows from the registry: a loader knows native stacks (``double_blocks``), an architecture has its weights
under native names, and where the two meet a block can be given a strength of its own. No model is named here.

What does not belong here: making vectors out of profiles, and how a loader reads the numbers in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lora_weights_builder.inspector.registry_model import Architecture, Layout, Loader, Registry
from lora_weights_builder.inspector.registry_spellings import NATIVE

Place = tuple[str, int]  # a native stack and a number in it: ("double_blocks", 7)

_ENTRY: Final = re.compile(r"(?P<letters>[A-Z]+)(?P<number>\d\d)\Z")


@dataclass(frozen=True, slots=True)
class Reach:
    """What a loader can address of a layout.

    ``entries`` has for each block that it reaches, by its index in the layout, the loader's own names of the block
    (several where it counts parts of one block singly). ``lengths`` are the lengths of a vector for a file that holds
    every block: all that the loader takes, the whole one first. Both are empty where it reaches nothing.
    """

    loader: Loader
    entries: Mapping[int, tuple[str, ...]]
    lengths: tuple[int, ...]


def reach_of(registry: Registry, loader: Loader, layout: Layout) -> Reach:
    """What ``loader`` can address of ``layout``; the layers of text encoders are out of every loader's reach."""
    whole = registry.layouts[layout.part_of] if layout.part_of else layout
    owner = next((one for one in registry.architectures.values() if one.layout_id == whole.id), None)
    if owner is None or layout.encoders or layout.legacy:
        return Reach(loader, {}, ())
    places = _places(owner)
    index_of = {(block.group, block.group_index): block.index for block in layout.blocks}
    here = {block.index: index_of.get((block.group, block.group_index)) for block in whole.blocks}
    if loader.addressing == "sections":
        inside = {
            block: [place for place in found if place[0] in loader.sections]
            for block, found in places.items()
            if here[block] is not None
        }
        named = {block: tuple(f"{stack}.{number}" for stack, number in found) for block, found in inside.items()}
        lengths: tuple[int, ...] = (1 + _steps(loader, [place for found in inside.values() for place in found]),)
    else:
        named, lengths = _by_entry(loader, places, whole)
    entries = {index: named[block] for block, index in here.items() if index is not None and named.get(block)}
    return Reach(loader, entries, lengths if entries else ())


def reached_base_models(registry: Registry, loader: Loader) -> frozenset[str]:
    """The codes of the base models of whose blocks the loader can address at least one."""
    layouts = {one.id: registry.layouts[one.layout_id] for one in registry.architectures.values()}
    reached = {one for one, layout in layouts.items() if reach_of(registry, loader, layout).entries}
    return frozenset(code for code, base in registry.base_models.items() if reached.intersection(base.architectures))


def _places(architecture: Architecture) -> dict[int, list[Place]]:
    """Block of the architecture's layout -> where its weights stand natively."""
    found: dict[int, set[Place]] = {}
    for spelling in architecture.spellings:
        if spelling.dialect != NATIVE or spelling.first_block is None:
            continue
        for i in spelling.indices or (0,):
            stack, _, rest = spelling.template.replace("{i}", str(i)).partition(".")
            number = rest.partition(".")[0]
            if number.isdigit():
                found.setdefault(spelling.first_block + i, set()).add((stack, int(number)))
    return {block: sorted(places) for block, places in sorted(found.items())}


def _steps(loader: Loader, places: list[Place]) -> int:
    """Entries that a positional loader consumes. It steps where the number changes, whichever section that is in, so
    that the last block of one section and the first of the next share an entry where their numbers are equal."""
    numbers = [number for _, number in sorted(places, key=lambda place: (loader.sections.index(place[0]), place[1]))]
    return sum(1 for before, number in zip([None, *numbers], numbers, strict=False) if number != before)


def _by_entry(
    loader: Loader, places: Mapping[int, list[Place]], whole: Layout
) -> tuple[dict[int, tuple[str, ...]], tuple[int, ...]]:
    """Names and lengths of a loader whose entries are names. A block is named by the first of its places."""
    firsts = {found[0]: block for block, found in places.items() if found}
    for form in loader.forms:
        named = {place: entry for entry in form.entries if (place := _place(loader, entry)) is not None}
        if form.within is None and len(firsts) == whole.block_count and named.keys() == firsts.keys():
            full = len(form.entries)
            short = tuple(len(other.entries) for other in loader.forms if other.within == full)
            return {firsts[place]: (entry,) for place, entry in named.items()}, (full, *short)
    return {}, ()


def _place(loader: Loader, entry: str) -> Place | None:
    """``IN04`` -> ("input_blocks", 4); ``None`` for an entry that stands for no block (``BASE``, ``T5``)."""
    match = _ENTRY.match(entry)
    return (loader.places[match["letters"]], int(match["number"])) if match else None
