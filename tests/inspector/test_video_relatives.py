"""What writers of video LoRAs put into files beyond the plain pairs: distilled and derived models, two experts at once.

Names and shapes are those of published files; the models' own tables are tested in ``test_layout_files``.
"""

from __future__ import annotations

import pytest

from tests.inspector.key_lists import Keys, lora, matched

LTX_TRIO = ("ltx2", "ltx2.3", "ltx_video_13b")
WAN_14B = ("wan_14b", "wan21_i2v_14b", "wan21_vace_14b")


def wan_attention(prefix: str, width: int, count: int, *leaves: str) -> dict[str, list[int]]:
    return lora([f"{prefix}blocks.{i}.{leaf}" for i in range(count) for leaf in leaves], width, width)


def distilled() -> Keys:
    """lightx2v: pairs for the matrices, differences for biases, norms and modulation tables, head and patches."""
    keys: dict[str, list[int]] = {}
    for i in range(40):
        block = f"diffusion_model.blocks.{i}"
        for leaf in ("self_attn.q", "self_attn.o", "cross_attn.k", "cross_attn.k_img", "cross_attn.v_img"):
            keys[f"{block}.{leaf}.lora_down.weight"] = [64, 5120]
            keys[f"{block}.{leaf}.lora_up.weight"] = [5120, 64]
            keys[f"{block}.{leaf}.diff_b"] = [5120]
        keys[f"{block}.self_attn.norm_q.diff"] = [5120]
        keys[f"{block}.cross_attn.norm_k_img.diff"] = [5120]
        keys[f"{block}.norm3.diff"] = [5120]
        keys[f"{block}.norm3.diff_b"] = [5120]
        keys[f"{block}.diff_m"] = [1, 6, 5120]
    keys["diffusion_model.head.diff_m"] = [1, 2, 5120]
    keys["diffusion_model.head.head.diff"] = [64, 5120]
    keys["diffusion_model.head.head.diff_b"] = [64]
    keys["diffusion_model.patch_embedding.diff"] = [5120, 36, 1, 2, 2]
    keys["diffusion_model.patch_embedding.diff_b"] = [5120]
    keys["diffusion_model.time_projection.1.diff_b"] = [30720]
    keys["diffusion_model.img_emb.proj.0.diff"] = [1280]
    keys["diffusion_model.img_emb.proj.0.diff_b"] = [1280]
    keys["diffusion_model.img_emb.proj.4.diff"] = [5120]
    return keys


def test_a_distilled_wan_file_is_placed_whole() -> None:
    modules, match = matched(distilled())
    assert (match.architecture, match.layout_id, match.candidates) == ("wan21_i2v_14b", "wan_transformer_40", ())
    assert match.unmatched_tensor_count == 0
    places = {module.module: place for module, place in zip(modules, match.placements, strict=True)}
    assert (places["blocks_7"].block_index, places["blocks_7"].canonical) == (7, "blocks.7.modulation")
    assert (places["head"].kind, places["head"].canonical) == ("global", "head.modulation")


def test_a_small_fun_model_with_image_attention_is_wan_1_3b() -> None:
    keys: dict[str, list[int]] = {}
    for i in range(30):
        for leaf in ("self_attn_q", "cross_attn_k_img", "cross_attn_v_img"):
            keys[f"lora_unet__blocks_{i}_{leaf}.lora_down.weight"] = [64, 1536]
            keys[f"lora_unet__blocks_{i}_{leaf}.lora_up.weight"] = [1536, 64]
    _, match = matched(keys)
    assert (match.architecture, match.candidates, match.dialect) == ("wan21_1.3b", (), "kohya")
    assert match.unmatched_tensor_count == 0


@pytest.mark.parametrize(
    ("key", "out_features", "canonical"),
    [
        ("diffusion_model.face_adapter.fuser_blocks.7.linear1_kv", 10240, "face_adapter.fuser_blocks.7.linear1_kv"),
        ("transformer.face_adapter.7.to_v", 5120, "face_adapter.fuser_blocks.7.linear1_kv#1"),
        ("transformer.face_adapter.0.to_out", 5120, "face_adapter.fuser_blocks.0.linear2"),
    ],
)
def test_animates_face_adapter_stands_outside_the_blocks(key: str, out_features: int, canonical: str) -> None:
    image = ("cross_attn.k_img",) if key.startswith("diffusion_model") else ("attn2.add_k_proj",)
    prefix = key.partition(".")[0] + "."
    _, match = matched({**wan_attention(prefix, 5120, 40, *image), **lora([key], out_features, 5120)})
    assert (match.architecture, match.layout_id) == ("wan21_i2v_14b", "wan_transformer_40")
    assert match.unmatched_tensor_count == 0
    assert (match.placements[-1].kind, match.placements[-1].canonical) == ("global", canonical)


def test_a_file_for_both_experts_places_each_half_and_says_so() -> None:
    high = wan_attention("diffusion_model.transformer_1.", 5120, 40, "self_attn.q", "cross_attn.v")
    low = wan_attention("diffusion_model.transformer_2.", 5120, 40, "self_attn.q", "cross_attn.v")
    _, match = matched({**high, **low}, {"ss_base_model_version": "wan_2.2_14b"})
    assert (match.architecture, match.evidence, match.candidates) == ("wan_14b", "metadata", WAN_14B)
    assert match.unmatched_tensor_count == 0
    assert [warning.partition(":")[0] for warning in match.warnings] == ["two_experts"]


def video_only() -> Keys:
    leaves = ("attn1.to_q", "attn1.to_out.0", "attn2.to_k")
    return lora([f"diffusion_model.transformer_blocks.{i}.{leaf}" for i in range(48) for leaf in leaves], 4096, 4096)


@pytest.mark.parametrize(
    ("metadata", "base", "architecture", "evidence", "layout"),
    [
        ({}, None, "ltx2", "prior", "ltx2_transformer_48"),
        ({"ss_base_model_version": "ltx2"}, None, "ltx2", "prior", "ltx2_transformer_48"),
        ({}, "LTV", "ltx_video_13b", "folder", "ltxvideo_transformer_48"),
        (
            {"modelspec.architecture": "lightricks-ltx-video/lora"},
            None,
            "ltx_video_13b",
            "metadata",
            "ltxvideo_transformer_48",
        ),
    ],
)
def test_a_video_only_ltx_file_fits_three_models(
    metadata: dict[str, str], base: str | None, architecture: str, evidence: str, layout: str
) -> None:
    _, match = matched(video_only(), metadata, base)
    assert (match.architecture, match.evidence, match.layout_id) == (architecture, evidence, layout)
    assert match.candidates == LTX_TRIO


def test_a_gate_tells_ltx_2_3() -> None:
    gates = lora([f"diffusion_model.transformer_blocks.{i}.attn1.to_gate_logits" for i in range(48)], 32, 4096)
    _, match = matched({**video_only(), **gates})
    assert (match.architecture, match.evidence, match.candidates) == ("ltx2.3", "tensors", ())


def test_sound_alone_fits_ltx_2_and_2_3() -> None:
    keys = lora([f"transformer.transformer_blocks.{i}.audio_attn1.to_q" for i in range(48)], 2048, 2048)
    _, match = matched(keys)
    assert (match.architecture, match.evidence, match.candidates) == ("ltx2", "prior", ("ltx2", "ltx2.3"))


def test_attention_of_equal_width_is_told_by_where_the_blocks_end() -> None:
    def attention(count: int) -> Keys:
        return lora([f"transformer.transformer_blocks.{i}.attn1.to_q" for i in range(count)], 3072, 3072)

    assert matched(attention(42))[1].architecture == "cogvideox_5b"
    assert matched(attention(48))[1].architecture == "mochi"
