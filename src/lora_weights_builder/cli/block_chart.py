"""Draws the blocks of one LoRA: a bar and a number a block, in columns, grouped as the layout groups them.

A Flux file's 57 blocks take 19 lines of 80 columns. Three states are told apart without colour: measured (solid bar),
not measured (hollow bar: the neutral weights of a fallback) and absent (a dot and a dash).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from rich.text import Text

from lora_weights_builder.records import BlockStrength

if TYPE_CHECKING:
    from lora_weights_builder.inspector.block_layouts import Layout

BAR_WIDTH: Final = 8  # characters; with label and number a cell is 18 wide, so that four fit into 80 columns
_INDENT: Final = "  "
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a chart. ``steps`` are the fillings of one cell from empty to full."""

    steps: str
    hollow: str
    absent: str
    norm: str


UNICODE: Final = Glyphs(steps=" ▏▎▍▌▋▊▉█", hollow="░", absent="·", norm="‖ΔW‖")
ASCII: Final = Glyphs(steps=" #", hollow=":", absent=".", norm="||dW||")


def draw(blocks: Sequence[BlockStrength], layout: Layout | None, *, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The chart as lines of at most ``width`` characters (never less than one column).

    Args:
        blocks: all blocks of the layout, in its order.
        layout: names the groups; without it they go by their keys.
        width: characters of the terminal.
        glyphs: :data:`UNICODE` or :data:`ASCII`.
    """
    titles = {group.key: group.title for group in layout.groups} if layout else {}
    label_width = max((len(block.label) for block in blocks), default=0)
    lines: list[Text] = []
    for key, members in groupby(blocks, key=lambda block: block.group):
        group = tuple(members)
        lines.append(_heading(titles.get(key, key), group, glyphs))
        lines += _columns([_cell(block, label_width, glyphs) for block in group], width)
    return lines


def _heading(title: str, group: Sequence[BlockStrength], glyphs: Glyphs) -> Text:
    present = [block for block in group if block.present]
    measured = [block for block in present if block.raw_strength is not None]
    heading = Text(_INDENT + title, style="bold")
    if not present:
        return heading.append(f"  none of {len(group)} blocks in this file", style="not bold dim")
    if not measured:
        return heading.append(f"  {len(group)} neutral blocks, not measured", style="not bold yellow")
    norm = math.sqrt(sum((block.raw_strength or 0.0) ** 2 for block in measured))
    strongest = max(measured, key=lambda block: block.raw_strength or 0.0)
    heading.append(f"  {len(present)} of {len(group)} blocks", style="not bold")
    return heading.append(f"   {glyphs.norm} {norm:.4g}   strongest {strongest.label}", style="not bold dim")


def _cell(block: BlockStrength, label_width: int, glyphs: Glyphs) -> Text:
    cell = Text(f"{block.label:<{label_width}} ")
    if not block.present:
        return cell.append(f"{glyphs.absent:<{BAR_WIDTH}} {'-':>4}", style="dim")
    if block.raw_strength is None:
        return cell.append(f"{glyphs.hollow * BAR_WIDTH} {block.weight:4.2f}", style="yellow")
    cell.append(f"{bar(block.weight, BAR_WIDTH, glyphs.steps)} ", style="cyan")
    return cell.append(f"{block.weight:4.2f}")


def bar(weight: float, width: int, steps: str = UNICODE.steps) -> str:
    """``weight`` (0..1) as a bar of ``width`` characters; any weight above 0 shows at least the smallest step."""
    fine = len(steps) - 1
    filled = round(min(max(weight, 0.0), 1.0) * width * fine)
    if weight > 0 and filled == 0:
        filled = 1
    full, rest = divmod(filled, fine)
    return (steps[-1] * full + (steps[rest] if rest else "")).ljust(width)


def _columns(cells: Sequence[Text], width: int) -> Iterable[Text]:
    """Cells in columns read downwards, as many columns as fit."""
    cell_width = len(cells[0]) + len(_GAP)
    fitting = max(1, (width - len(_INDENT) + len(_GAP)) // cell_width)
    rows = math.ceil(len(cells) / fitting)
    for row in range(rows):
        line = Text(_INDENT)
        for number, cell in enumerate(cells[row::rows]):
            line.append(_GAP if number else "").append_text(cell)
        yield line


def sparkline(weights: Sequence[float], width: int, glyphs: Glyphs = UNICODE) -> str:
    """A whole profile on ``width`` characters: each stands for the strongest of the blocks below it."""
    levels = " ▁▂▃▄▅▆▇█" if glyphs is UNICODE else " .:-=+*#@"
    if not weights:
        return ""
    width = min(width, len(weights))
    peaks = [
        max(weights[len(weights) * column // width : max(1, len(weights) * (column + 1) // width)])
        for column in range(width)
    ]
    return "".join(levels[math.ceil(min(max(peak, 0.0), 1.0) * (len(levels) - 1))] for peak in peaks)
