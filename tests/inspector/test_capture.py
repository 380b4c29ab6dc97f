"""Captures: names and shapes come back exactly, nothing private goes in, and a recognised file is a finished test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.capture import as_text, capture
from tests.inspector.key_lists import (
    KEYS,
    Keys,
    expand,
    header_of,
    key_list,
    layout_files,
    lora,
    matched,
    shown_metadata,
)

LISTS = sorted(path.name.removesuffix(".json.gz") for path in KEYS.glob("*.json.gz"))


def written(keys: Keys, metadata: dict[str, str] | None = None, layout_name: str | None = None) -> tuple[str, Any]:
    """A capture as text, and that text read back."""
    text = as_text(capture(header_of(keys, metadata), layout_name))
    return text, json.loads(text)


@pytest.mark.parametrize("name", LISTS)
def test_every_key_list_comes_back_exactly_and_fits_into_a_report(name: str) -> None:
    keys = key_list(name)
    text, case = written(keys)
    assert expand(case) == keys
    assert len(text) < 20_000


@pytest.mark.parametrize("name", LISTS)
def test_what_a_capture_expects_is_what_its_own_keys_give(name: str) -> None:
    _, case = written(key_list(name))
    if case["expected"] is None:
        assert case["architecture"] is None
        assert "as expected: evidence" in case["comment"]
        return
    _, match = matched(expand(case), shown_metadata(case))
    assert (match.architecture, match.layout_id) == (case["architecture"], case["layout"])
    assert (match.evidence, list(match.candidates)) == (case["expected"]["evidence"], case["expected"]["candidates"])
    assert match.dialect == case["expected"]["dialect"]
    assert match.unmatched_tensor_count == case["expected"].get("unmatched_tensor_count", 0)


@pytest.mark.parametrize("file", layout_files(), ids=lambda path: path.stem)
def test_a_layouts_data_file_is_told_again_by_its_capture(file: Path) -> None:
    case = json.loads(file.read_text("utf-8"))
    _, again = written(expand(case), shown_metadata(case))
    assert expand(again) == expand(case)
    if again["layout"] == case["layout"] and again["architecture"] == case["architecture"]:
        for field in ("block_count", "blocks_present", "dialect"):
            assert again["expected"][field] == case["expected"][field]


def test_a_recognised_file_is_a_finished_test() -> None:
    double = [
        f"diffusion_model.double_blocks.{i}.{name}" for i in (3, 7) for name in ("img_attn.proj", "txt_attn.proj")
    ]
    text, case = written(lora(double, 3072, 3072, rank=8))
    assert case["layout"] == "flux_double_19"
    assert case["expected"]["labels"] == ["D03", "D07"]
    assert (case["expected"]["blocks_present"], case["expected"]["block_count"]) == (2, 19)
    assert (case["rank"], case["factors"]) == (8, {"lora_A.weight": "down", "lora_B.weight": "up"})
    assert case["dtypes"] == {"F16": 8}
    assert case["modules"] == [
        {
            "key": "diffusion_model.double_blocks.{i}.{leaf}",
            "numbers": [3, 7],
            "leaves": ["img_attn.proj", "txt_attn.proj"],
            "shape": [3072, 3072],
            "label": "D",
        }
    ]
    assert text.endswith('"shape":[3072,3072],"label":"D"}\n ]\n}\n')


def test_an_unknown_file_is_left_to_be_filled_in() -> None:
    _, case = written(lora([f"net.tower.{i}.mix" for i in range(3)], 24, 16, rank=2), layout_name="tower_transformer_3")
    assert (case["layout"], case["architecture"], case["expected"]) == ("tower_transformer_3", None, None)
    assert case["comment"].startswith("No architecture of the registry has modules of these names")
    assert case["modules"] == [{"key": "net.tower.{i}.mix", "count": 3, "shape": [24, 16]}]


def test_equal_parts_of_several_blocks_are_one_row_with_each_blocks_label() -> None:
    heads = ("down_blocks_0_attentions_0", "down_blocks_0_attentions_1", "up_blocks_3_attentions_2")
    tails = ("attn1_to_q", "attn1_to_out_0")
    names = [f"lora_unet_{head}_transformer_blocks_0_{tail}" for head in heads for tail in tails]
    _, case = written(lora(names, 320, 320))
    assert case["modules"] == [
        {
            "key": "lora_unet_{at}_{leaf}",
            "leaves": ["transformer_blocks_0_attn1_to_q", "transformer_blocks_0_attn1_to_out_0"],
            "shape": [320, 320],
            "at": {
                "down_blocks_0_attentions_0": "IN01",
                "down_blocks_0_attentions_1": "IN02",
                "up_blocks_3_attentions_2": "OUT11",
            },
        }
    ]


def test_who_says_it_is_another_layout_gets_no_expectations() -> None:
    _, case = written(key_list("published_flux_lora_kohya_format"), layout_name="other_transformer_57")
    assert (case["layout"], case["architecture"], case["expected"]) == ("other_transformer_57", None, None)
    assert case["comment"].startswith("The inspector takes it for flux1 with flux_unet_57.")


def test_factors_and_ranks_that_differ_stand_in_the_row() -> None:
    keys: dict[str, list[int]] = {}
    for i, rank in enumerate((4, 4, 8)):
        keys |= lora([f"x.{i}.a"], 6, 5, rank)
    keys |= lora(["y"], 6, 5, 4)
    keys["y.alpha"] = []
    keys |= {"z.hada_w1_a": [6, 2], "z.hada_w1_b": [2, 5], "z.hada_w2_a": [6, 2], "z.hada_w2_b": [2, 5]}
    _, case = written(keys)
    assert expand(case) == keys
    assert case["rank"] == 4
    assert case["modules"] == [
        {"key": "x.{i}.a", "count": 3, "shape": [6, 5], "rank": [4, 4, 8]},
        {
            "key": "y",
            "shape": [6, 5],
            "factors": {"lora_A.weight": "down", "lora_B.weight": "up", "alpha": "scalar"},
        },
        {
            "key": "z",
            "tensors": {"hada_w1_a": [6, 2], "hada_w1_b": [2, 5], "hada_w2_a": [6, 2], "hada_w2_b": [2, 5]},
        },
    ]


PRIVATE = {
    "ss_tag_frequency": '{"10_sks alice": {"1girl, bedroom": 3}}',
    "ss_training_comment": "for alice",
    "ss_sd_model_name": "/home/alice/models/secret.safetensors",
    "ss_output_name": "alice_v3",
    "modelspec.title": "Alice",
    "ss_dataset_dirs": '{"/data/alice": {}}',
    "modelspec.architecture": "/home/alice/x/lora",
    "ss_network_module": "networks.lora_flux",
    "ss_base_model_version": "flux1",
    "ss_new_sd_model_hash": "0123456789abcdef",
    "a field that alice made up": "1",
}


def test_of_the_metadata_only_field_names_and_what_names_a_model_is_told() -> None:
    text, case = written(key_list("published_flux_lora_kohya_format"), PRIVATE)
    assert "alice" not in text.lower()
    assert "secret" not in text
    assert case["metadata"] == {
        "modelspec.architecture": None,
        "modelspec.title": None,
        "ss_base_model_version": "flux1",
        "ss_dataset_dirs": None,
        "ss_network_module": "networks.lora_flux",
        "ss_new_sd_model_hash": "0123456789abcdef",
        "ss_output_name": None,
        "ss_sd_model_name": None,
        "ss_tag_frequency": None,
        "ss_training_comment": None,
    }
    assert case["further_metadata_fields"] == 1


def test_every_value_that_the_registry_reads_a_model_from_is_told() -> None:
    for claim in registry().claims:
        for value in claim.values:
            field = claim.fields[0]
            assert shown_metadata(written({"a": [1]}, {field: value})[1]) == {field: value}


def test_a_thousand_metadata_fields_do_not_fill_the_page() -> None:
    text, case = written({"a": [1]}, {f"field_{i:04d}": "x" for i in range(1000)})
    assert len(text) < 20_000
    assert (len(case["metadata"]), case["further_metadata_fields"]) == (150, 850)


def test_the_same_file_is_always_told_the_same_way() -> None:
    keys = key_list("gen_sdscripts_sdxl_locon")
    assert written(keys)[0] == written(dict(keys))[0]


# Names near what the form itself uses: numbers, dots, braces, suffixes, nothing at all between the dots.
PIECES = st.sampled_from(
    ["a", "0", "1", "2", "07", "10", ".", ".", "_", "{i}", "{leaf}", "lora_unet_", "to_q_lora", "down", "alpha",
     ".lora_A.weight", ".lora_B.weight", ".down.weight", ".up.weight", ".oft_blocks.0", ".alpha", "é", '"', "\\"]
)  # fmt: skip
NAMES = st.lists(PIECES, min_size=1, max_size=7).map("".join)
SHAPES = st.lists(st.integers(0, 5), max_size=4)


@given(st.dictionaries(NAMES, SHAPES, min_size=1, max_size=30))
def test_any_names_and_shapes_come_back_exactly(keys: dict[str, list[int]]) -> None:
    assert expand(written(keys)[1]) == keys


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["x.{}.q", "x.{}.k", "net_{}_0_up", "{}"]), st.integers(0, 12)),
        st.tuples(st.sampled_from([(4, 6), (6, 4), (4, 6, 3, 3)]), st.integers(1, 3), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_any_pairs_come_back_exactly(modules: dict[tuple[str, int], tuple[tuple[int, ...], int, bool]]) -> None:
    keys: dict[str, list[int]] = {}
    for (template, number), (shape, rank, with_alpha) in modules.items():
        name = template.format(number)
        keys[f"{name}.lora_down.weight"] = [rank, *shape[1:]]
        keys[f"{name}.lora_up.weight"] = [shape[0], rank, *[1] * (len(shape) - 2)]
        if with_alpha:
            keys[f"{name}.alpha"] = []
    assert expand(written(keys)[1]) == keys
