"""What was planted in the demo library is what the inspector and the catalogue find in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_weights_builder.demo import PlannedFile, plan
from lora_weights_builder.inspector.delta_inspector import inspect
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.conventions import load_conventions
from lora_weights_builder.library.indexer import index
from lora_weights_builder.records import BlockStrength, SearchQuery

MEASURABLE = [file for file in plan() if file.planted]
STRENGTH_TOLERANCE = 1e-3  # rounding to fp16 and bf16


def _check_blocks(file: PlannedFile, blocks: tuple[BlockStrength, ...]) -> None:
    assert file.planted is not None
    found = {block.block_index: block.raw_strength for block in blocks if block.present}
    assert found == pytest.approx(dict(file.planted.strengths), rel=STRENGTH_TOLERANCE)
    strongest = max(file.planted.strengths.values())
    for block in blocks:
        assert block.weight == pytest.approx(
            file.planted.strengths.get(block.block_index, 0.0) / strongest, abs=STRENGTH_TOLERANCE
        )


@pytest.mark.parametrize("file", MEASURABLE, ids=lambda file: file.path)
def test_the_inspector_finds_what_was_planted(file: PlannedFile, root: Path) -> None:
    assert file.planted is not None
    record = inspect(root / file.path, hint=load_conventions().hint(file.path))
    assert record.error is None
    assert record.warnings == ()
    assert record.architecture == file.architecture
    assert record.base_model_code == file.base_code
    assert record.block_layout == file.planted.layout
    assert record.adapter_types == file.planted.adapter_types
    assert record.rank == file.planted.rank
    assert record.strength_kinds == (file.planted.strength_kind,)
    assert (record.has_block_weights, record.fallback, record.unmatched_tensor_count) == (True, False, 0)
    assert record.clip_contributor == (file.planted.encoder_modules > 0)
    _check_blocks(file, record.blocks)


@pytest.mark.parametrize("path", ["FLUX/11 - Nature/basalt_coast_mist.safetensors"])
def test_trigger_words_and_date_are_found(path: str, root: Path) -> None:
    summary = inspect(root / path).summary
    assert summary.trigger_words == ("basalt coast",)
    assert summary.trainer == "OneTrainer"


def test_the_catalogue_holds_what_was_planted(root: Path, tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "lora_master.db") as catalog:
        summary = index(catalog, [root])
        assert (summary.discovered, summary.failed, summary.duplicates) == (65, 1, 2)
        rows = {row.rel_path: row for row in catalog.iterate(SearchQuery(state="any"))}
        assert rows.keys() == {file.path for file in plan()}
        for file in plan():
            row = rows[file.path]
            assert (row.base_model_code, row.category_code) == (file.base_code, file.category_code)
            assert row.fallback == (file.planted is None)
            assert (row.error is not None) == (file.kind == "truncated")
            if file.planted is None:
                assert row.block_layout == "flux_fallback_16"
                continue
            detail = catalog.detail(row.stable_id)
            assert detail is not None
            _check_blocks(file, detail.blocks)
        for file in plan():
            if file.copy_of is not None:
                pair = {file.path: rows[file.path], file.copy_of: rows[file.copy_of]}
                first, second = sorted(pair.values(), key=lambda row: row.id)
                assert (first.duplicate_of, second.duplicate_of) == (None, first.stable_id)
