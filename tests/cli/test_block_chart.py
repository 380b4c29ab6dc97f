"""The chart itself: bars, columns, what is told apart without colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.cli import block_chart
from lora_weights_builder.cli.block_chart import ASCII, UNICODE
from lora_weights_builder.records import BlockStrength


@pytest.mark.parametrize(
    ("weight", "drawn"),
    [(0.0, "    "), (0.001, "▏   "), (0.25, "█   "), (0.5, "██  "), (0.53, "██▏ "), (1.0, "████"), (7.0, "████")],
)
def test_bars_fill_in_eighths_and_never_lose_a_weight_above_zero(weight: float, drawn: str) -> None:
    assert block_chart.bar(weight, 4) == drawn


@given(st.floats(0, 1), st.integers(1, 40), st.sampled_from([UNICODE.steps, ASCII.steps]))
def test_a_bar_has_the_width_it_was_given(weight: float, width: int, steps: str) -> None:
    assert len(block_chart.bar(weight, width, steps)) == width


@given(st.integers(20, 200), st.integers(1, 60))
def test_every_block_is_drawn_once_whatever_the_width(width: int, count: int) -> None:
    blocks = [BlockStrength(i, f"B{i:02d}", "block", 0.5, 0.5) for i in range(count)]
    lines = [line.plain for line in block_chart.draw(blocks, None, width=width)]
    assert all(len(line) <= max(width, 20) for line in lines[1:])
    labels = [word for line in lines[1:] for word in line.split() if word.startswith("B")]
    assert sorted(labels) == [f"B{i:02d}" for i in range(count)]


def test_measured_unmeasured_and_absent_blocks_differ_without_colour() -> None:
    blocks = [
        BlockStrength(0, "B00", "block", 0.0, 0.0),
        BlockStrength(1, "B01", "block", 1.0, None),
        BlockStrength(2, "B02", "block", 0.0, 0.0, present=False),
    ]
    assert [line.plain for line in block_chart.draw(blocks, None, width=24, glyphs=ASCII)][1:] == [
        "  B00          0.00",
        "  B01 :::::::: 1.00",
        "  B02 .           -",
    ]


def test_a_group_the_file_leaves_out_says_so() -> None:
    blocks = [BlockStrength(i, f"B{i:02d}", "block", 0.0, 0.0, present=False) for i in range(3)]
    assert block_chart.draw(blocks, None, width=80)[0].plain == "  block  none of 3 blocks in this file"


def test_a_sparkline_shows_the_strongest_of_the_blocks_below_each_character() -> None:
    assert block_chart.sparkline([0.0, 0.5, 1.0, 0.25], 2, ASCII) == "=@"
    assert block_chart.sparkline([0.0, 1.0], 9) == " █"
    assert block_chart.sparkline([], 9) == ""
