"""Which blocks an answer shows, whatever an older catalogue stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from lora_weights_builder.api.answers import NOT_MEASURED, blocks_answer, lora_detail, search_json
from lora_weights_builder.api.schemas import SearchAnswer
from lora_weights_builder.records import (
    BlockStrength,
    FacetValue,
    FileHashes,
    LoraDetail,
    LoraRow,
    MetadataSummary,
    SearchPage,
)

ROW = LoraRow(
    id=1, stable_id="FLX-CLT-001", file_path="/loras/a.safetensors", rel_path="a.safetensors",
    lora_name="a.safetensors", filename="a.safetensors", root_id=1, base_model_code="FLX", base_model_name="FLUX",
    category_code="CLT", category_name="Clothing", role="clothing", model_family="flux", architecture="flux1",
    ambiguous_architectures=(), architecture_evidence="tensors", variant=None, lora_type="lora",
    adapter_types=("lora",), dialect="kohya", rank=4, alpha=4.0, block_layout="flux_double_19", block_count=19,
    has_block_weights=True, pending=False, fallback=False, fallback_reason=None, clip_contributor=False,
    clip_tensor_count=0, tensor_count=10, unmatched_tensor_count=0, strength_kinds=("delta",), strength=1.0,
    weights=None, size_bytes=10, content_hash=None, hashes=FileHashes(), state="present", stale=False,
    stale_reason=None, duplicate_of=None, pair_id=None, error=None, error_code=None, warnings=(), title=None,
    trigger_words=(),
    revision=1, last_modified="2026-05-05T08:00:00Z", created_at="2026-05-05T08:00:00Z",
    updated_at="2026-05-05T08:00:00Z",
)  # fmt: skip


def blocks(count: int, *, start: int = 0) -> tuple[BlockStrength, ...]:
    return tuple(BlockStrength(start + i, f"X{i}", "x", weight=0.5, raw_strength=2.0) for i in range(count))


def detail(stored: tuple[BlockStrength, ...], **changes: Any) -> LoraDetail:
    return LoraDetail(replace(ROW, **changes), stored, {}, MetadataSummary(), (), ())


def listed(row: LoraRow) -> Any:
    """The row as a search answers it."""
    return SearchAnswer.model_validate_json(search_json(SearchPage((row,), 1, True, 50, 0, None), None)).results[0]


def test_labels_and_groups_are_the_layout_s_own() -> None:
    answer = blocks_answer(detail(blocks(19)))
    assert (answer.block_layout, answer.block_count, answer.validation_warnings) == ("flux_double_19", 19, [])
    assert [block.label for block in answer.blocks][:2] == ["D00", "D01"]
    assert {block.group for block in answer.blocks} == {"double"}


def test_an_older_spelling_of_the_layout_is_normalised_with_a_warning() -> None:
    answer = blocks_answer(detail(blocks(57), block_layout=" UNET_57 "))
    assert (answer.block_layout, answer.block_count) == ("flux_unet_57", 57)
    assert [warning.partition(":")[0] for warning in answer.validation_warnings] == ["layout_renamed"]


@pytest.mark.parametrize("stored", ["pixel_art_9", "flux_unet_5x"])
def test_an_unknown_layout_becomes_null_with_a_warning_and_the_blocks_stay(stored: str) -> None:
    answer = blocks_answer(detail(blocks(9), block_layout=stored))
    assert (answer.block_layout, answer.block_count, len(answer.blocks)) == (None, 9, 9)
    assert [warning.partition(":")[0] for warning in answer.validation_warnings] == ["unknown_layout"]


def test_too_few_stored_blocks_are_filled_in_as_absent_with_a_warning() -> None:
    answer = blocks_answer(detail(blocks(17)))
    assert len(answer.blocks) == 19
    assert [(block.weight, block.raw_strength, block.present) for block in answer.blocks[16:]] == [
        (0.5, 2.0, True),
        (0.0, 0.0, False),
        (0.0, 0.0, False),
    ]
    assert answer.validation_warnings == ["block_count_mismatch: flux_double_19 has 19 blocks, 17 are stored"]


def test_stored_blocks_beyond_the_layout_are_kept_at_the_end_without_a_label() -> None:
    answer = blocks_answer(detail(blocks(21)))
    assert [(block.block_index, block.label) for block in answer.blocks[18:]] == [(18, "D18"), (19, None), (20, None)]
    assert answer.validation_warnings == ["block_count_mismatch: flux_double_19 has 19 blocks, 21 are stored"]


@pytest.mark.parametrize("code", ["FLX", "FLK"])
def test_a_flux_row_without_blocks_shows_the_neutral_fallback(code: str) -> None:
    answer = blocks_answer(detail((), base_model_code=code, block_layout=None, has_block_weights=False))
    assert (answer.block_layout, answer.block_count, answer.fallback) == ("flux_fallback_16", 16, True)
    assert answer.fallback_reason == NOT_MEASURED
    assert [(block.weight, block.raw_strength) for block in answer.blocks] == [(1.0, None)] * 16


def test_the_stored_reason_of_a_fallback_is_told() -> None:
    torn = detail((), block_layout=None, has_block_weights=False, error="Torn.", fallback_reason=None)
    assert blocks_answer(torn).fallback_reason == "Torn."


def test_other_base_models_have_no_fallback() -> None:
    sdxl = detail((), base_model_code="SDX", model_family="sdxl", block_layout=None, has_block_weights=False)
    answer = blocks_answer(sdxl)
    assert (answer.block_layout, answer.fallback, answer.blocks) == (None, False, [])


def test_another_architecture_in_a_flux_folder_keeps_its_own_layout() -> None:
    stray = detail((), model_family="sdxl", block_layout="sdxl_unet_19", has_block_weights=False)
    answer = blocks_answer(stray)
    assert (answer.block_layout, answer.fallback) == ("sdxl_unet_19", False)


def test_an_entry_that_awaits_its_measurement_shows_its_layout_and_no_blocks_yet() -> None:
    answer = blocks_answer(detail((), pending=True, has_block_weights=False))
    assert (answer.block_layout, answer.has_block_weights, answer.blocks) == ("flux_double_19", False, [])


def test_rows_and_details_agree_with_the_blocks() -> None:
    older = detail(blocks(57), block_layout="unet_57")
    assert listed(older.row).block_layout == "flux_unet_57"
    shown = lora_detail(older)
    assert (shown.block_layout, shown.block_count) == ("flux_unet_57", 57)
    assert shown.blocks == blocks_answer(older).blocks
    assert shown.validation_warnings == blocks_answer(older).validation_warnings
    assert listed(replace(ROW, block_layout="nonsense")).block_layout is None


def test_the_json_of_a_search_fits_its_model_exactly() -> None:
    page = SearchPage((replace(ROW, weights=(0.5, 1.0), warnings=("é\u2028",)), ROW), 2, True, 50, 0, None)
    text = search_json(page, {"base": [FacetValue("FLX", "FLUX", 2), FacetValue(None, "", 0)]})
    answer = SearchAnswer.model_validate_json(text)
    assert orjson.loads(answer.model_dump_json()) == orjson.loads(text)
    assert answer.results[0].weights == [0.5, 1.0]
    assert answer.facets is not None
    assert [value.count for value in answer.facets["base"]] == [2, 0]
