"""Tensor names taken apart: prefixes, suffixes, spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.inspector.key_grammar import parse_key
from tests.inspector.key_lists import KEYS, key_list

PREFIXES = [
    ("lora_unet_double_blocks_0_img_attn_qkv", "model", "double_blocks_0_img_attn_qkv", "kohya"),
    ("lora_unet__blocks_3_ffn_0", "model", "blocks_3_ffn_0", "kohya"),
    ("oft_unet_double_blocks_0_img_attn_qkv", "model", "double_blocks_0_img_attn_qkv", "kohya"),
    ("lora_prior_unet_down_blocks_0_1_attention", "model", "down_blocks_0_1_attention", "kohya"),
    ("lora_te_text_model_encoder_layers_0_mlp_fc1", "te", "text_model_encoder_layers_0_mlp_fc1", "kohya"),
    ("lora_te1_text_model_encoder_layers_0_mlp_fc1", "te1", "text_model_encoder_layers_0_mlp_fc1", "kohya"),
    ("lora_te2_encoder_block_3_layer_0_SelfAttention_q", "te2", "encoder_block_3_layer_0_SelfAttention_q", "kohya"),
    ("lora_te3_encoder_block_3_layer_0_SelfAttention_q", "te3", "encoder_block_3_layer_0_SelfAttention_q", "kohya"),
    ("lora_transformer_transformer_blocks_0_attn_to_q", "model", "transformer_blocks_0_attn_to_q", "onetrainer"),
    ("lycoris_transformer_blocks_0_attn_to_q", "model", "transformer_blocks_0_attn_to_q", "lycoris"),
    ("transformer.transformer_blocks.0.attn.to_q", "model", "transformer_blocks_0_attn_to_q", "diffusers"),
    ("transformer_2.blocks.0.attn1.to_q", "model_2", "blocks_0_attn1_to_q", "diffusers"),
    ("diffusion_model.blocks.0.ffn.0", "model", "blocks_0_ffn_0", "comfyui"),
    ("diffusion_model.transformer_1.blocks.0.ffn.0", "model", "blocks_0_ffn_0", "comfyui"),
    ("diffusion_model.transformer_2.blocks.0.ffn.0", "model_2", "blocks_0_ffn_0", "comfyui"),
    ("base_model.model.blocks.0.ffn.0", "model", "blocks_0_ffn_0", "peft"),
    ("base_model.model.diffusion_model.blocks.0.ffn.0", "model", "blocks_0_ffn_0", "comfyui"),
    ("base_model.model.unet.mid_block.attentions.0.proj_in", "model", "mid_block_attentions_0_proj_in", "diffusers"),
    ("unet.base_model.model.mid_block.attentions.0.proj_in", "model", "mid_block_attentions_0_proj_in", "diffusers"),
    ("model.diffusion_model.input_blocks.4.1.proj_in", "model", "input_blocks_4_1_proj_in", "original"),
    ("net.blocks.0.mlp.layer1", "model", "blocks_0_mlp_layer1", "original"),
    ("pipe.dit.blocks.0.ffn.0", "model", "blocks_0_ffn_0", "original"),
    ("text_encoder.text_model.encoder.layers.0.mlp.fc1", "te1", "text_model_encoder_layers_0_mlp_fc1", "diffusers"),
    ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1", "te2", "text_model_encoder_layers_0_mlp_fc1", "diffusers"),
    ("text_encoder.base_model.model.layers.0.mlp.up_proj", "te1", "layers_0_mlp_up_proj", "diffusers"),
    ("text_encoders.clip_l.transformer.text_model.a", "te1", "text_model_a", "comfyui"),
    ("text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q", "te3",
     "encoder_block_0_layer_0_SelfAttention_q", "comfyui"),
    ("double_blocks.0.img_attn.qkv", "model", "double_blocks_0_img_attn_qkv", "bare"),
    # Underscores in a dotted name, as some writers of ComfyUI's dialect have them.
    ("diffusion_model.double_blocks.0.img_attn_qkv", "model", "double_blocks_0_img_attn_qkv", "comfyui"),
]  # fmt: skip


@pytest.mark.parametrize(("stem", "part", "module", "dialect"), PREFIXES)
def test_prefixes_are_taken_off_and_name_part_and_dialect(stem: str, part: str, module: str, dialect: str) -> None:
    key = parse_key(f"{stem}.alpha")
    assert key is not None
    assert (key.part, key.module, key.role, key.dialect) == (part, module, "alpha", dialect)
    assert stem.startswith(key.root)


SUFFIXES = [
    ("lora_down.weight", "lora_down"),
    ("lora_up.weight", "lora_up"),
    ("lora_mid.weight", "lora_mid"),
    ("lora_A.weight", "lora_down"),
    ("lora_B.weight", "lora_up"),
    ("lora_A.default.weight", "lora_down"),
    ("lora_B.my-adapter_1.weight", "lora_up"),
    ("lora_A", "lora_down"),
    ("lora_B", "lora_up"),
    ("lora_B.bias", "lora_bias"),
    ("lora.down.weight", "lora_down"),
    ("lora.up.weight", "lora_up"),
    ("lora_linear_layer.up.weight", "lora_up"),
    ("alpha", "alpha"),
    ("dora_scale", "dora_scale"),
    ("lora_magnitude_vector", "dora_scale"),
    ("lora_magnitude_vector.weight", "dora_scale"),
    ("lora_magnitude_vector.default.weight", "dora_scale"),
    ("magnitude", "dora_scale"),
    ("hada_w1_a", "hada_w1_a"),
    ("hada_w2_b", "hada_w2_b"),
    ("hada_t1", "hada_t1"),
    ("lokr_w1", "lokr_w1"),
    ("lokr_w2_b", "lokr_w2_b"),
    ("lokr_t2", "lokr_t2"),
    ("oft_blocks", "oft_blocks"),
    ("oft_R.weight", "oft_r"),
    ("oft_R.default.weight", "oft_r"),
    ("rescale", "rescale"),
    ("a1.weight", "glora_a1"),
    ("b2.weight", "glora_b2"),
    ("on_input", "on_input"),
    ("diff", "diff"),
    ("diff_b", "diff_b"),
    ("diff_m", "diff_m"),
    ("set_weight", "set_weight"),
    ("reshape_weight", "reshape_weight"),
    ("w_norm", "w_norm"),
    ("b_norm", "b_norm"),
]


@pytest.mark.parametrize(("suffix", "role"), SUFFIXES)
def test_suffixes_name_the_role(suffix: str, role: str) -> None:
    key = parse_key(f"diffusion_model.blocks.0.ffn.0.{suffix}")
    assert key is not None
    assert (key.module, key.role) == ("blocks_0_ffn_0", role)


def test_processors_of_2023_lose_only_the_suffix() -> None:
    key = parse_key("unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight")
    assert key is not None
    assert key.module == "mid_block_attentions_0_transformer_blocks_0_attn1_processor_to_q"
    assert key.role == "lora_down"


def test_the_image_and_text_streams_of_xlabs_stay_apart() -> None:
    image = parse_key("double_blocks.7.processor.qkv_lora1.up.weight")
    text = parse_key("double_blocks.7.processor.qkv_lora2.up.weight")
    single = parse_key("single_blocks.7.processor.qkv_lora.up.weight")
    assert image is not None
    assert text is not None
    assert single is not None
    assert (image.module, text.module) == ("double_blocks_7_processor_qkv_lora1", "double_blocks_7_processor_qkv_lora2")
    assert single.module == "single_blocks_7_processor_qkv"


def test_rotations_of_row_slices_are_modules_of_their_own() -> None:
    key = parse_key("oft_unet_double_blocks_0_img_attn_qkv.oft_blocks.2")
    assert key is not None
    assert (key.module, key.role) == ("double_blocks_0_img_attn_qkv_2", "oft_blocks")


@pytest.mark.parametrize(
    "raw", ["", ".", ".alpha", "alpha", "double_blocks.0.img_attn.qkv.weight", "a.bias", "emb_params", "lora_A.weight."]
)
def test_names_without_a_role_are_not_keys(raw: str) -> None:
    assert parse_key(raw) is None


def test_a_prefix_alone_is_a_module_and_not_an_empty_name() -> None:
    key = parse_key("diffusion_model.lora_A.weight")
    assert key is not None
    assert key.module == "diffusion_model"


@given(st.text(max_size=80))
def test_any_name_can_be_parsed(raw: str) -> None:
    key = parse_key(raw)
    assert key is None or (key.raw == raw and key.module)


@pytest.mark.parametrize("name", sorted(path.name.removesuffix(".json.gz") for path in KEYS.glob("*.gz")))
def test_every_tensor_of_the_known_loras_has_a_role(name: str) -> None:
    without = [key for key in key_list(name) if parse_key(key) is None]
    assert bool(without) == name.startswith("base_")
