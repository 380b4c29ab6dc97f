"""Files that look like a LoRA of a known model and are none, or only half of one: named for what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lora_weights_builder.inspector.delta_inspector import inspect
from tests.inspector.key_lists import Keys, key_list, lora, matched
from tests.inspector.lora_files import write


def flux(blocks: range = range(19)) -> Keys:
    return lora([f"diffusion_model.double_blocks.{i}.img_attn.proj" for i in blocks], 3072, 3072)


def wan(blocks: range = range(40)) -> Keys:
    return lora([f"diffusion_model.blocks.{i}.self_attn.q" for i in blocks], 5120, 5120)


def test_two_models_in_one_file_are_both_named_and_neither_is_answered() -> None:
    _, match = matched({**flux(), **wan(range(19))})
    assert (match.architecture, match.layout_id) == (None, None)
    assert match.reason is not None
    assert match.reason == (
        "The file holds modules of two models: 50% are FLUX.1's, 50% WAN 2.1 T2V 14B and WAN 2.2 A14B's; "
        "no loader can apply both."
    )


def test_a_few_modules_of_another_model_are_named_beside_the_answer() -> None:
    _, match = matched({**wan(), **flux(range(1))})
    assert match.layout_id == "wan_transformer_40"
    assert match.unmatched_tensor_count == 2
    assert match.warnings == (
        "unknown_modules: double_blocks_0_img_attn_proj: of no place that the registry knows in this model",
    )


@pytest.mark.parametrize("number", [60, 99, 1234])
def test_a_block_past_the_models_last_one_is_named(number: int) -> None:
    _, match = matched({**flux(), **flux(range(number, number + 1))})
    assert (match.architecture, match.layout_id) == (None, None)
    assert match.reason is not None
    assert f"double_blocks_{number}_img_attn_proj stands past its last block" in match.reason


LANGUAGE_MODELS = [
    lora([f"base_model.model.model.layers.{i}.self_attn.q_proj" for i in range(24)], 2048, 2048),
    lora([f"model.layers.{i}.mlp.gate_proj" for i in range(28)], 3072, 1024),
    lora([f"base_model.model.language_model.model.layers.{i}.self_attn.o_proj" for i in range(40)], 5120, 5120),
    lora([f"base_model.model.model.language_model.layers.{i}.mlp.down_proj" for i in range(4)], 2048, 6144),
    lora([f"base_model.model.transformer.h.{i}.attn.c_attn" for i in range(12)], 2304, 768),
]


@pytest.mark.parametrize("keys", LANGUAGE_MODELS)
def test_a_language_models_lora_is_called_so_even_with_the_widths_of_a_diffusion_model(keys: Keys) -> None:
    _, match = matched(keys)
    assert (match.architecture, match.candidates, match.layout_id) == (None, (), None)
    assert match.reason == "The file adapts a language model, not a diffusion model."
    assert match.unmatched_tensor_count == len(keys)


VISION_TOWERS = [
    lora([f"base_model.model.vision_model.encoder.layers.{i}.self_attn.q_proj" for i in range(12)], 768, 768),
    lora([f"base_model.model.model.vision_tower.encoder.layers.{i}.mlp.fc1" for i in range(27)], 4304, 1152),
    lora([f"base_model.model.visual.blocks.{i}.attn.qkv" for i in range(32)], 3840, 1280),
]


@pytest.mark.parametrize("keys", VISION_TOWERS)
def test_a_vision_towers_lora_is_called_so(keys: Keys) -> None:
    _, match = matched(keys)
    assert (match.architecture, match.candidates, match.layout_id) == (None, (), None)
    assert match.reason == "The file adapts a vision tower (an image encoder), not a diffusion model."


def test_a_language_model_beside_a_diffusion_model_does_not_hide_it() -> None:
    _, match = matched({**flux(), **lora(["base_model.model.model.layers.0.self_attn.q_proj"], 4096, 4096)})
    assert match.layout_id == "flux_double_19"
    assert match.unmatched_tensor_count == 2


def test_right_names_with_some_wrong_shapes_are_answered_with_a_warning() -> None:
    odd = lora([f"diffusion_model.double_blocks.{i}.img_attn.qkv" for i in range(9)], 3072, 3072)
    _, match = matched({**flux(), **odd})
    assert match.layout_id == "flux_double_19"
    assert match.unmatched_tensor_count == 0
    assert match.warnings[0].startswith(
        "other_shapes: double_blocks_0_img_attn_qkv, double_blocks_1_img_attn_qkv, double_blocks_2_img_attn_qkv "
        "and 6 more: named as in FLUX"
    )


def test_right_names_with_mostly_wrong_shapes_are_another_model() -> None:
    odd = lora([f"diffusion_model.double_blocks.{i}.img_attn.qkv" for i in range(19)], 3072, 3072)
    odd |= lora([f"diffusion_model.double_blocks.{i}.txt_attn.qkv" for i in range(19)], 3072, 3072)
    _, match = matched({**flux(), **odd})
    assert (match.architecture, match.layout_id) == (None, None)


def test_embedded_inversions_and_notes_are_named_and_not_counted_as_unmatched() -> None:
    extra = {"bundle_emb.ohwx.clip_l": [4, 768], "bundle_emb.ohwx.t5": [4, 4096], "_aux.step": [1]}
    _, match = matched({**key_list("gen_sdscripts_flux1_lora_alllayers"), **extra})
    assert match.layout_id == "flux_unet_57"
    assert match.unmatched_tensor_count == 0
    assert match.warnings == (
        "bundled: 2 tensors are embedded textual inversions, which change no weight of the model",
        "bundled: 1 tensors are a trainer's own notes, which change no weight of the model",
    )


def test_half_a_pair_is_said_to_be_one_and_the_rest_is_measured(tmp_path: Path) -> None:
    path = write(
        tmp_path / "half.safetensors",
        {
            "diffusion_model.double_blocks.7.img_attn.proj.lora_A.weight": np.ones((2, 3072)),
            "diffusion_model.double_blocks.8.img_attn.proj.lora_A.weight": np.ones((2, 3072)),
            "diffusion_model.double_blocks.8.img_attn.proj.lora_B.weight": np.ones((3072, 2)),
        },
    )
    record = inspect(path)
    assert record.block_layout == "flux_double_19"
    assert any(warning.startswith("half_pair: lora_up is missing") for warning in record.warnings)
    assert record.blocks[8].raw_strength == pytest.approx(2 * 3072)


@pytest.mark.parametrize(
    "keys",
    [
        key_list("base_flux2_transformer_bfl_keys"),
        {"first_stage_model.decoder.up.0.block.0.conv1.weight": [128, 128, 3, 3]},
        {"emb_params": [8, 768]},
        *LANGUAGE_MODELS,
        *VISION_TOWERS,
        {**flux(), **wan(range(19))},
        flux(range(30)),
    ],
)
def test_nothing_of_the_kind_is_ever_given_a_flux_layout(keys: Keys) -> None:
    _, match = matched(keys, base=None)
    assert match.layout_id is None
    assert match.architecture is None
