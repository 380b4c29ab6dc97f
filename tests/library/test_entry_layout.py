"""Whose blocks stand for an entry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.entry_layout import shown_layout
from tests.library.library_files import RunIndex, write_lora


@pytest.mark.parametrize(
    ("changes", "has_blocks", "expected"),
    [
        ({}, True, "flux_transformer_38"),
        ({"block_layout": " FLUX_Transformer_38 "}, True, "flux_transformer_38"),
        ({"block_layout": "unheard_of_3"}, True, None),
        ({}, False, "flux_fallback_16"),
        ({"block_layout": None, "model_family": None}, False, "flux_fallback_16"),
        ({"block_layout": "sdxl_unet_26", "model_family": "sdxl"}, False, None),
        ({"pending": True}, False, "flux_transformer_38"),
        ({"base_model_code": "SDX", "block_layout": None}, False, None),
        ({"base_model_code": "UNK", "block_layout": None}, False, None),
    ],
)
def test_an_entry_shows_its_own_layout_or_the_fallback_of_its_base(
    catalog: Catalog, library: Path, run: RunIndex, changes: dict[str, object], has_blocks: bool, expected: str | None
) -> None:
    write_lora(library / "FLUX/08 - Clothing/coat.safetensors", "coat")
    run()
    row = catalog.get("FLX-CLT-001")
    assert row is not None
    layout = shown_layout(replace(row, **changes), has_blocks=has_blocks)  # type: ignore[arg-type]
    assert (layout.id if layout else None) == expected
