"""Which blocks of several layouts are the same place of one model, and how alike two profiles over them are.

Pure: layouts and numbers in, positions and numbers out. Whether files may be compared at all, and what of them is
shown, is the caller's part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lora_weights_builder.inspector.registry_model import Block, Layout


@dataclass(frozen=True, slots=True)
class Alignment:
    """The places that any of the layouts has, group by group.

    ``groups`` holds (key, title, abbreviation, places) in the order of ``places``. ``columns`` has one tuple a layout,
    in the order given: for each place the block_index of that layout, ``None`` where it has no such block.
    """

    places: tuple[Block, ...]
    groups: tuple[tuple[str, str, str, int], ...]
    columns: tuple[tuple[int | None, ...], ...]


def align(frame: Layout, layouts: Sequence[Layout]) -> Alignment:
    """Match blocks by (group, index within it), so that part of a stack finds its place within the whole.

    Args:
        frame: the layout of the architecture's whole stack. Its groups come first and in its order; a group that it
            lacks (the layers of a text encoder) follows in the order of ``layouts``.
        layouts: one an entry; repeats are welcome.
    """
    found = [{(block.group, block.group_index): block.index for block in layout.blocks} for layout in layouts]
    places: dict[tuple[str, int], Block] = {}
    groups: list[tuple[str, str, str, int]] = []
    for source in (frame, *layouts):
        for group in source.groups:
            if any(group.key == key for key, *_ in groups):
                continue
            own = [block for block in _blocks_of(group.key, (frame, *layouts)) if _is_held(block, found)]
            if own:
                groups.append((group.key, group.title, group.abbreviation, len(own)))
                places.update({(block.group, block.group_index): block for block in own})
    columns = tuple(tuple(positions.get(place) for place in places) for positions in found)
    return Alignment(tuple(places.values()), tuple(groups), columns)


def _blocks_of(group: str, layouts: Sequence[Layout]) -> list[Block]:
    """Every block of a group, by index: layouts may differ in how many of them they show."""
    blocks: dict[int, Block] = {}
    for layout in layouts:
        for block in layout.blocks:
            if block.group == group:
                blocks.setdefault(block.group_index, block)
    return [blocks[index] for index in sorted(blocks)]


def _is_held(block: Block, found: Sequence[dict[tuple[str, int], int]]) -> bool:
    return any((block.group, block.group_index) in positions for positions in found)


def cosine(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Cosine of two profiles of the same length, from 0 to 1 for strengths; ``None`` where one of them is all zero.

    It says that two files put their changes into the same blocks, not that the changes are alike.
    """
    lengths = math.hypot(*one), math.hypot(*other)
    if 0.0 in lengths:
        return None
    # Each by its own length first: the product of two tiny lengths would vanish.
    return min(math.fsum(a / lengths[0] * (b / lengths[1]) for a, b in zip(one, other, strict=True)), 1.0)
