"""The measured blocks of an entry as CSV. Numbers only: what a spreadsheet could take for a formula is not in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class MeasuredBlock(Protocol):
    """What a line is made of."""

    @property
    def block_index(self) -> int: ...
    @property
    def weight(self) -> float: ...
    @property
    def raw_strength(self) -> float | None: ...


def blocks_csv(blocks: Iterable[MeasuredBlock]) -> str:
    """``block_index,weight,raw_strength`` and a line a block, 6 decimals; the last empty where nothing was measured."""
    lines = ["block_index,weight,raw_strength"]
    for block in blocks:
        raw = "" if block.raw_strength is None else f"{block.raw_strength:.6f}"
        lines.append(f"{block.block_index},{block.weight:.6f},{raw}")
    return "\n".join(lines) + "\n"
