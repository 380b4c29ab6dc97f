"""The measured blocks as CSV."""

from __future__ import annotations

from lora_weights_builder.builder.measured_csv import blocks_csv
from lora_weights_builder.records import BlockStrength


def test_a_line_a_block_with_six_decimals() -> None:
    blocks = [BlockStrength(0, "D00", "double", 0.5, 1.23456789), BlockStrength(1, "D01", "double", 1.0, None)]
    assert blocks_csv(blocks) == "block_index,weight,raw_strength\n0,0.500000,1.234568\n1,1.000000,\n"
