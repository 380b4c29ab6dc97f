"""The whole way with nothing stood in for: files as trainers write them, the real inspector, worker processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lora_weights_builder.inspector.delta_inspector import inspect
from lora_weights_builder.library import smoke_check
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.workers import ProcessPool, SerialExecutor
from lora_weights_builder.records import SearchQuery
from tests.library.library_files import dump, ids_by_path

FLUX = {"double_blocks_0_img_attn_proj": (3072, 3072), "double_blocks_18_txt_mlp_2": (12288, 3072)}
SDXL = {
    "input_blocks_4_1_transformer_blocks_0_attn2_to_k": (2048, 640),
    "output_blocks_0_1_transformer_blocks_9_attn1_to_q": (1280, 1280),
}
TIMES = ("at", "added_at", "created_at", "updated_at")


def write(path: Path, modules: dict[str, tuple[int, int]], seed: int, metadata: dict[str, str] | None = None) -> None:
    random = np.random.default_rng(seed)
    tensors = {}
    for name, (inputs, outputs) in modules.items():
        tensors[f"lora_unet_{name}.lora_down.weight"] = random.standard_normal((2, inputs)).astype(np.float16)
        tensors[f"lora_unet_{name}.lora_up.weight"] = random.standard_normal((outputs, 2)).astype(np.float16)
        tensors[f"lora_unet_{name}.alpha"] = np.array(1.0, np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=metadata)


@pytest.fixture
def mixed(library: Path) -> Path:
    write(library / "FLUX/08 - Clothing/coat.safetensors", FLUX, 1, {"ss_output_name": "coat", "x": "\ud7ff <b>"})
    write(library / "Flux Krea/02 - Styles/ink.safetensors", FLUX, 2)
    write(library / "SDXL/02 - Styles/oil.safetensors", SDXL, 3)
    write(library / "PONY/06 - Characters/she.safetensors", SDXL, 4)
    write(library / "unsorted.safetensors", SDXL, 5)
    write(library / "FLUX/08 - Clothing/zz unknown.safetensors", {"mystery_module": (7, 9)}, 6)
    (library / "FLUX/08 - Clothing/cut.safetensors").write_bytes(b"\x10")
    return library


@pytest.mark.parametrize("measure_at_once", [0, 1 << 30])
def test_a_mixed_library_is_catalogued_as_its_files_and_folders_say(
    mixed: Path, catalog: Catalog, measure_at_once: int
) -> None:
    options = IndexOptions(measure_at_once=measure_at_once)
    with ProcessPool(2) as pool:
        summary = index(catalog, [mixed], executor=pool, options=options)
    assert (summary.discovered, summary.added, summary.failed) == (7, 6, 1)
    rows = {row.filename.removesuffix(".safetensors"): row for row in catalog.iterate(SearchQuery())}
    assert {name: (row.stable_id, row.architecture, row.block_layout) for name, row in rows.items()} == {
        "coat": ("FLX-CLT-001", "flux1", "flux_double_19"),
        "cut": ("FLX-CLT-002", None, "flux_fallback_16"),
        "zz unknown": ("FLX-CLT-003", None, "flux_fallback_16"),
        "ink": ("FLK-STL-001", "flux1", "flux_double_19"),
        "oil": ("SDX-STL-001", "sdxl", rows["oil"].block_layout),
        "she": ("PNY-CHT-001", "sdxl", rows["oil"].block_layout),
        "unsorted": ("SDX-UNC-001", "sdxl", rows["oil"].block_layout),
    }
    assert [row.filename for row in catalog.search(SearchQuery(state="fallback")).rows] == [
        "cut.safetensors", "zz unknown.safetensors"
    ]  # fmt: skip
    detail = catalog.detail("FLX-CLT-001")
    assert detail is not None
    direct = inspect(mixed / "FLUX/08 - Clothing/coat.safetensors")
    assert detail.blocks == direct.blocks
    assert detail.metadata == direct.metadata
    assert detail.summary == direct.summary
    assert (detail.row.rank, detail.row.alpha, detail.row.content_hash) == (2, 1.0, direct.content_hash)
    assert [result.title for result in smoke_check.run(catalog) if not result.passed] == []
    before = dump(catalog)
    assert index(catalog, [mixed], options=options).unchanged == 6
    assert dump(catalog) == before


def test_one_pass_or_two_and_any_workers_give_the_same_rows(mixed: Path, tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "one.db") as one, Catalog.open(tmp_path / "two.db") as two:
        index(one, [mixed], executor=SerialExecutor(), options=IndexOptions(measure_at_once=0))
        with ProcessPool(2) as pool:
            index(two, [mixed], executor=pool, options=IndexOptions(measure_at_once=1 << 30))
        assert dump(one, without=TIMES) == dump(two, without=TIMES)
        assert ids_by_path(one) == ids_by_path(two)
