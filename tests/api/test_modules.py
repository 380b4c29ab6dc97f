"""What the modules of an entry are like, over HTTP: of the file, of its blocks, one by one."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from lora_weights_builder.api.answers import blocks_answer, lora_detail, modules_json
from lora_weights_builder.api.block_schemas import ModulesAnswer
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.delta_inspector import neutral_blocks
from lora_weights_builder.inspector.module_facts import pack
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import index
from lora_weights_builder.records import LoraDetail, ModuleFacts
from tests.api.support import flux_single_lora

COAT, TORN, INK, ADA = "FLX-CLT-001", "FLX-CLT-002", "FLX-STL-001", "SDX-PPL-001"
ONES = {"90": 1, "95": 1, "99": 1}


def a_module(**changes: Any) -> ModuleFacts:
    values: dict[str, Any] = {
        "part": "model", "module": "single_blocks_0_linear2", "canonical": "single_blocks.0.linear2", "block_index": 0,
        "kind": "lora", "strength_kind": "delta", "norm": 5.0, "rank": 2, "alpha": 2.0, "parameters": 12,
        "elements": 100, "singular_values": (4.0, 3.0), "complete": True, "counted": True,
    }  # fmt: skip
    return ModuleFacts(**values | changes)


@pytest.fixture
def coat(tmp_path: Path) -> LoraDetail:
    """The catalogue's view of a real Flux file of three single blocks."""
    flux_single_lora(tmp_path / "loras" / "coat.safetensors")
    with Catalog.open(tmp_path / "lora_master.db") as catalog:
        index(catalog, [tmp_path / "loras"])
        detail = catalog.detail("FLX-UNC-001")
    assert detail is not None
    return detail


def modules_of(detail: LoraDetail, block_index: int | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(modules_json(detail, block_index))
    return answer


def test_an_entry_tells_which_rank_would_do_and_what_is_stored(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{COAT}").json()
    assert body["energy_rank"] == ONES
    assert body["parameters"] == 3 * (15360 + 3072)


def test_each_block_has_the_numbers_of_its_modules(client: httpx2.Client) -> None:
    blocks = client.get(f"/api/lora/{COAT}/blocks").json()["blocks"]
    numbers = {name: blocks[2][name] for name in ("rank", "alpha", "parameters", "energy_rank", "modules")}
    assert numbers == {"rank": 1, "alpha": 1.0, "parameters": 18432, "energy_rank": ONES, "modules": 1}
    assert blocks[2]["stable_rank"] == pytest.approx(1.0, rel=1e-6)
    assert blocks[2]["singular_values"] == pytest.approx([3.0], rel=1e-6)
    assert blocks[2]["rms_change"] == pytest.approx(3.0 / math.sqrt(3072 * 15360), rel=1e-6)
    assert {name: blocks[3][name] for name in ("modules", "parameters", "energy_rank", "singular_values")} == {
        "modules": 0, "parameters": 0, "energy_rank": None, "singular_values": [],
    }  # fmt: skip


def test_what_was_not_measured_is_null_and_not_zero(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{TORN}").json()
    assert (body["energy_rank"], body["parameters"]) == (None, None)
    assert {(block["modules"], block["parameters"], block["singular_values"]) for block in body["blocks"]} == {
        (None, None, None)
    }
    answer = client.get(f"/api/lora/{TORN}/modules").json()
    assert answer == {
        "stable_id": TORN, "block_layout": "flux_fallback_16", "measured": False, "modules": [], "count": 0,
        "validation_warnings": [],
    }  # fmt: skip


def test_the_modules_of_an_entry_text_encoders_included(client: httpx2.Client) -> None:
    answer = client.get(f"/api/lora/{INK}/modules").json()
    assert (answer["measured"], answer["count"], answer["block_layout"]) == (True, 3, "flux_double_19")
    assert [(module["part"], module["block_index"], module["label"]) for module in answer["modules"]] == [
        ("model", 3, "D03"), ("model", 4, "D04"), ("te1", None, None),
    ]  # fmt: skip
    first = answer["modules"][0]
    assert (first["module"], first["canonical"]) == ("double_blocks_3_img_attn_proj", "double_blocks.3.img_attn.proj")
    assert (first["kind"], first["strength_kind"], first["rank"], first["alpha"]) == ("lora", "delta", 1, None)
    assert (first["parameters"], first["complete"], first["counted"]) == (6144, True, True)
    assert first["norm"] == pytest.approx(0.3072, rel=1e-6)
    assert first["singular_values"] == pytest.approx([0.3072], rel=1e-5)
    assert first["rms_change"] == pytest.approx(0.0001, rel=1e-5)
    assert (first["energy_rank"], round(first["stable_rank"], 4)) == (ONES, 1.0)


def test_the_modules_of_one_block(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{ADA}/blocks").json()
    [fullest] = [block["block_index"] for block in body["blocks"] if block["modules"] == 2]
    answer = client.get(f"/api/lora/{ADA}/modules", params={"block_index": fullest}).json()
    assert {module["block_index"] for module in answer["modules"]} == {fullest}
    assert answer["count"] == 2
    assert client.get(f"/api/lora/{COAT}/modules", params={"block_index": 37}).json()["modules"] == []


@pytest.mark.parametrize(
    ("given", "code", "subject"),
    [
        ("38", "usage", "block_index"),
        ("-1", "invalid_request", "query.block_index"),
        ("D07", "invalid_request", "query.block_index"),
        ("9" * 30, "invalid_request", "query.block_index"),
    ],
)
def test_a_block_that_the_layout_does_not_have_is_refused(
    client: httpx2.Client, given: str, code: str, subject: str
) -> None:
    answer = client.get(f"/api/lora/{COAT}/modules", params={"block_index": given})
    assert (answer.status_code, answer.json()["code"], answer.json()["subject"]) == (422, code, subject)
    if code == "usage":
        assert answer.json()["detail"] == "block_index is 38, but FLX-CLT-001 has the blocks 0 to 37."


def test_the_json_of_modules_fits_its_model_exactly(coat: LoraDetail) -> None:
    odd = a_module(block_index=None, norm=None, rank=None, alpha=None, elements=None, singular_values=(), counted=False)
    text = modules_json(replace(coat, module_facts=pack((a_module(), odd))), None)
    answer = ModulesAnswer.model_validate_json(text)
    assert orjson.loads(answer.model_dump_json(by_alias=True)) == orjson.loads(text)
    assert (answer.modules[0].stable_rank, answer.modules[1].stable_rank) == (1.5625, None)
    assert [module.counted for module in answer.modules] == [True, False]


def test_a_module_left_out_of_its_block_still_has_numbers_of_its_own(coat: LoraDetail) -> None:
    twice = replace(coat, module_facts=pack((a_module(), a_module(counted=False))))
    assert [module["stable_rank"] for module in modules_of(twice)["modules"]] == [1.5625, 1.5625]
    assert blocks_answer(twice).blocks[0].modules == 1
    assert lora_detail(twice).parameters == 12


def test_no_number_beyond_json_reaches_an_answer(coat: LoraDetail) -> None:
    huge = a_module(norm=math.inf, alpha=math.nan, singular_values=(), complete=False)
    odd = replace(coat, module_facts=pack((huge,)))
    [module] = modules_of(odd)["modules"]
    assert (module["norm"], module["alpha"], module["singular_values"]) == (None, None, [])
    shown = orjson.loads(lora_detail(odd).model_dump_json())["blocks"][0]
    assert (shown["alpha"], shown["rms_change"]) == (None, None)


def test_a_block_lists_its_sixteen_largest_singular_values(coat: LoraDetail) -> None:
    steps = tuple(float(value) for value in range(40, 0, -1))
    wide = a_module(rank=40, norm=math.sqrt(sum(value * value for value in steps)), singular_values=steps)
    shown = blocks_answer(replace(coat, module_facts=pack((wide,)))).blocks[0]
    assert shown.singular_values == pytest.approx(list(steps[:16]), rel=1e-4)
    assert len(modules_of(replace(coat, module_facts=pack((wide,))))["modules"][0]["singular_values"]) == 40


def test_damaged_facts_cost_the_facts_and_not_the_entry(coat: LoraDetail) -> None:
    damaged = replace(coat, module_facts=b"not what was packed")
    shown = lora_detail(damaged)
    assert (shown.parameters, shown.blocks[0].modules, shown.blocks[0].weight) == (None, None, 0.333333)
    assert [warning.partition(":")[0] for warning in shown.validation_warnings] == ["module_facts_unreadable"]
    answer = modules_of(damaged)
    assert (answer["measured"], answer["modules"]) == (False, [])
    assert [warning.partition(":")[0] for warning in answer["validation_warnings"]] == ["module_facts_unreadable"]


def test_neutral_blocks_have_no_numbers_although_modules_outside_blocks_do(coat: LoraDetail) -> None:
    layout = registry().layouts["flux_fallback_16"]
    fallback = replace(
        coat,
        row=replace(coat.row, fallback=True, has_block_weights=False, block_layout=layout.id, block_count=16),
        blocks=neutral_blocks(layout),
        module_facts=pack((a_module(block_index=None),)),
    )
    assert {block.modules for block in blocks_answer(fallback).blocks} == {None}
    assert lora_detail(fallback).parameters == 12
    assert modules_of(fallback)["count"] == 1


def test_facts_of_blocks_that_the_layout_no_longer_has_are_left_out(coat: LoraDetail) -> None:
    stray = replace(coat, module_facts=pack((a_module(block_index=50), a_module())))
    shown = blocks_answer(stray)
    assert (len(shown.blocks), shown.blocks[0].modules) == (38, 1)
    assert [module["label"] for module in modules_of(stray)["modules"]] == ["S00", None]
