"""Files of the newer image models that hold less, or more, than a whole model's matrices once."""

from __future__ import annotations

import pytest

from tests.inspector.key_lists import Keys, key_list, lora, matched

TRAINERS = [
    ("gen_musubi_krea2_lora", "krea2", 32),
    ("gen_musubi_qwen_image_LOKR_lora", "qwen_image", 60),
    ("gen_musubi_qwen_image_lora", "qwen_image", 60),
    ("gen_musubi_z_image_lora", "z_image", 30),
    ("gen_sdscripts_anima_lora", "anima", 28),
    ("gen_sdscripts_anima_lora_llm_adapter", "anima", 34),
    ("gen_sdscripts_lumina2_lora", "lumina2", 30),
]


@pytest.mark.parametrize(("name", "architecture", "blocks"), TRAINERS)
def test_what_a_trainer_writes_is_known_by_its_tensors_to_the_last_one(
    name: str, architecture: str, blocks: int
) -> None:
    _, match = matched(key_list(name))
    assert (match.architecture, match.candidates, match.evidence) == (architecture, (), "tensors")
    assert match.dialect == "kohya"
    assert match.unmatched_tensor_count == 0
    assert len({place.block_index for place in match.placements} - {None}) == blocks


def anima_queries() -> Keys:
    return lora([f"lora_unet_blocks_{i}_self_attn_q_proj" for i in range(28)], 2048, 2048)


def test_anima_without_its_adapter_may_be_cosmos_and_is_taken_for_anima() -> None:
    _, match = matched(anima_queries())
    assert (match.architecture, match.evidence) == ("anima", "prior")
    assert match.candidates == ("anima", "cosmos2_2b")
    assert match.placements[0].block_index == 6


def test_a_cosmos_folder_settles_what_anima_and_cosmos_share() -> None:
    _, match = matched(anima_queries(), base="CS2")
    assert (match.architecture, match.evidence) == ("cosmos2_2b", "folder")
    assert match.layout_id == "cosmos2_transformer_28"


def test_anima_is_believed_over_a_field_that_says_stable_diffusion() -> None:
    _, match = matched(anima_queries(), {"modelspec.architecture": "stable-diffusion-v1/lora"})
    assert match.architecture == "anima"
    _, match = matched(
        anima_queries(), {"modelspec.architecture": "stable-diffusion-v1/lora", "ss_base_model_version": "anima"}
    )
    assert (match.architecture, match.evidence) == ("anima", "metadata")


def test_the_text_encoder_of_anima_tells_it_from_cosmos() -> None:
    encoder = lora(
        [f"text_encoders.qwen3_06b.transformer.model.layers.{i}.self_attn.q_proj" for i in range(28)], 2048, 1024
    )
    _, match = matched({**anima_queries(), **encoder})
    assert (match.architecture, match.candidates) == ("anima", ())
    assert match.unmatched_tensor_count == 0


def test_a_cosmos_model_that_takes_video_along_has_a_wider_input() -> None:
    patches = lora(["lora_unet_x_embedder_proj_1"], 2048, 72)
    _, match = matched({**anima_queries(), **patches})
    assert (match.architecture, match.candidates) == ("cosmos2_2b", ())


KREA2_ALONE = [
    lora(["diffusion_model.txtfusion.projector"], 1, 12, rank=1),
    {"diffusion_model.txtfusion.projector.diff": [1, 12]},
    {"transformer.text_fusion.projector.diff": [1, 12]},
]


@pytest.mark.parametrize("keys", KREA2_ALONE)
def test_krea_2_is_known_by_its_projector_alone_but_has_no_block_to_show(keys: Keys) -> None:
    _, match = matched(keys)
    assert match.architecture == "krea2"
    assert match.layout_id is None
    assert match.unmatched_tensor_count == 0
    assert [place.canonical for place in match.placements] == ["txtfusion.projector"]


def test_a_z_image_weight_spelled_fused_and_split_is_one_weight() -> None:
    fused = lora(["diffusion_model.layers.7.attention.qkv"], 11520, 3840)
    split = lora([f"diffusion_model.layers.7.attention.to_{row}" for row in "qkv"], 3840, 3840)
    _, match = matched({**fused, **split})
    assert match.architecture == "z_image"
    assert {place.block_index for place in match.placements} == {11}
    assert [place.canonical for place in match.placements] == [
        "layers.7.attention.qkv",
        "layers.7.attention.qkv#0",
        "layers.7.attention.qkv#1",
        "layers.7.attention.qkv#2",
    ]


def test_the_rows_of_a_grouped_query_are_unequal() -> None:
    query = lora(["transformer.layers.0.attn.to_q"], 2304, 2304)
    key = lora(["transformer.layers.0.attn.to_k"], 768, 2304)
    _, match = matched({**query, **key})
    assert match.architecture == "lumina2"
    assert [place.canonical for place in match.placements] == ["layers.0.attention.qkv#0", "layers.0.attention.qkv#1"]


def test_parts_of_the_released_ernie_image_are_told_from_the_small_one_by_width() -> None:
    _, match = matched(lora(["lora_unet_layers_3_self_attention_to_q"], 4096, 4096))
    assert (match.architecture, match.layout_id) == ("ernie_image_8b", "ernieimage_transformer_36")
    _, match = matched(lora(["lora_unet_layers_3_self_attention_to_q"], 3072, 3072))
    assert (match.architecture, match.layout_id) == ("ernie_image", "ernieimage_transformer_24")


def test_a_pruned_minimax_h3_has_narrow_modulation() -> None:
    _, match = matched(lora([f"blocks.{i}.adaln_proj.linear" for i in range(50)], 96768, 8))
    assert match.architecture == "minimax_h3"
    assert match.unmatched_tensor_count == 0


def test_norms_and_tables_of_the_new_models_have_their_place() -> None:
    keys = {
        "diffusion_model.blocks.0.mod.lin.diff": [36864],
        "diffusion_model.blocks.0.prenorm.diff": [6144],
        "diffusion_model.blocks.0.attn.qknorm.qnorm.diff": [128],
        **lora(["diffusion_model.blocks.0.attn.wk"], 1536, 6144),
    }
    _, match = matched(keys)
    assert match.architecture == "krea2"
    assert match.unmatched_tensor_count == 0
    assert {place.block_index for place in match.placements} == {4}
