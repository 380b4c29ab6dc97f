"""Which model a file belongs to: real key lists, ties, subsets, files that are no LoRAs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_weights_builder.inspector import structure
from lora_weights_builder.inspector.adapters import group_modules
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.layout_match import match_layout
from lora_weights_builder.records import LayoutMatch
from tests.inspector.key_lists import Keys, header_of, key_list, lora, matched

WAN_14B = ("wan_14b", "wan21_i2v_14b", "wan21_vace_14b")
FLUX_CHROMA = ("flux1", "chroma")
FLUX_LIKE = ("flux1", "chroma", "longcat_image", "bria_fibo")
MODULATED = ("flux1", "longcat_image", "bria_fibo")
WAN_1_3B = ("wan21_1.3b", "wan21_vace_1.3b")

# list, architecture, layout, blocks present, other candidates, modules in blocks, in text encoders
KNOWN = [
    ("gen_lycoris_flux1_loha", "flux1", "flux_unet_57", 57, (), 304, 72),
    ("gen_lycoris_flux1_lokr", "flux1", "flux_unet_57", 57, (), 304, 72),
    ("gen_lycoris_sd15_boft", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_diag_oft", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_full", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_glora", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_locon", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_locon_dora", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_locon_trainnorm", "sd15", "sd15_unet_25", 25, (), 387, 72),
    ("gen_lycoris_sd15_loha", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_loha_tucker", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_lokr", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_lokr_decompose_both_tucker", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sd15_lokr_full", "sd15", "sd15_unet_25", 25, (), 279, 72),
    ("gen_lycoris_sdxl_locon", "sdxl", "sdxl_unet_19", 18, (), 788, 264),
    ("gen_lycoris_sdxl_loha", "sdxl", "sdxl_unet_19", 18, (), 788, 264),
    ("gen_lycoris_sdxl_lokr", "sdxl", "sdxl_unet_19", 18, (), 788, 264),
    ("gen_musubi_flux1_kontext_lora", "flux1", "flux_unet_57", 57, FLUX_CHROMA, 228, 0),
    ("gen_musubi_wan21_t2v_1.3b_lora", "wan21_1.3b", "wan_transformer_30", 30, WAN_1_3B, 300, 0),
    ("gen_musubi_kandinsky5_pro_lora", "kandinsky5_pro", "kandinsky5_transformer_64", 64, (), 624, 0),
    ("gen_musubi_wan21_t2v_14b_LOHA_lora", "wan_14b", "wan_transformer_40", 40, WAN_14B, 400, 0),
    ("gen_musubi_wan21_t2v_14b_LOKR_lora", "wan_14b", "wan_transformer_40", 40, WAN_14B, 400, 0),
    ("gen_musubi_wan21_t2v_14b_lora", "wan_14b", "wan_transformer_40", 40, WAN_14B, 400, 0),
    ("gen_musubi_wan22_i2v_a14b_lora", "wan_14b", "wan_transformer_40", 40, WAN_14B, 400, 0),
    ("gen_musubi_wan22_t2v_a14b_lora", "wan_14b", "wan_transformer_40", 40, WAN_14B, 400, 0),
    ("gen_sdscripts_flux1_lora_alllayers", "flux1", "flux_unet_57", 57, (), 304, 72),
    ("gen_sdscripts_flux1_lora_te1", "flux1", "flux_unet_57", 57, (), 304, 72),
    ("gen_sdscripts_flux1_lora_te1_te3", "flux1", "flux_unet_57", 57, (), 304, 240),
    ("gen_sdscripts_flux1_oft", "flux1", "flux_double_19", 19, FLUX_CHROMA, 152, 0),
    ("gen_sdscripts_sd15_locon", "sd15", "sd15_unet_25", 24, (), 278, 72),
    ("gen_sdscripts_sd15_lora", "sd15", "sd15_unet_25", 16, (), 192, 72),
    ("gen_sdscripts_sd15_oft", "sd15", "sd15_unet_25", 16, ("sd15", "sd21"), 128, 0),
    ("gen_sdscripts_sd21_lora", "sd21", "sd21_unet_25", 16, (), 192, 138),
    ("gen_sdscripts_sd35_large_lora", "sd35_large", "sd35_transformer_38", 38, (), 377, 264),
    ("gen_sdscripts_sd35_large_lora_te3", "sd35_large", "sd35_transformer_38", 38, (), 377, 432),
    ("gen_sdscripts_sd35_medium_lora", "sd35_medium", "sd35_transformer_24", 24, (), 263, 264),
    ("gen_sdscripts_sdxl_locon", "sdxl", "sdxl_unet_19", 18, (), 788, 264),
    ("gen_sdscripts_sdxl_lora", "sdxl", "sdxl_unet_19", 11, (), 722, 264),
    ("published_flux_lora_aitoolkit_format", "flux1", "flux_unet_57", 57, FLUX_CHROMA, 228, 0),
    ("published_flux_lora_diffusers_base_model_format", "flux1", "flux_unet_57", 57, FLUX_LIKE, 380, 0),
    ("published_flux_lora_diffusers_dora_format", "flux1", "flux_unet_57", 57, FLUX_LIKE, 266, 0),
    ("published_flux_lora_diffusers_format", "flux1", "flux_unet_57", 57, MODULATED, 494, 0),
    ("published_flux_lora_kohya_format", "flux1", "flux_unet_57", 57, (), 304, 0),
    ("published_flux_lora_kohya_with_te1_format", "flux1", "flux_unet_57", 57, (), 304, 72),
    ("published_flux_lora_peft_base_model_adapter_stripped", "flux1", "flux_unet_57", 57, FLUX_LIKE, 380, 0),
    ("published_flux_lora_xlabs_format", "flux1", "flux_double_19", 3, (), 12, 0),
    ("gen_musubi_flux2_dev_lora", "flux2_dev", "flux2_transformer_56", 56, (), 160, 0),
    ("gen_musubi_flux2_klein_4b_lora", "flux2_klein_4b", "flux2_transformer_25", 25, (), 80, 0),
    ("gen_musubi_flux2_klein_9b_lora", "flux2_klein_9b", "flux2_transformer_32", 32, (), 112, 0),
    ("gen_musubi_hunyuan_video_1.5_lora", "hunyuan_video_1.5", "hunyuanvideo15_transformer_56", 54, (), 756, 0),
    ("gen_sdscripts_hunyuan_image_2.1_lora", "hunyuan_image_2.1", "hunyuanimage21_transformer_62", 60, (), 320, 0),
]


@pytest.mark.parametrize(
    ("name", "architecture", "layout", "present", "candidates", "in_blocks", "in_encoders"),
    KNOWN,
    ids=[row[0] for row in KNOWN],
)
def test_known_files_are_recognised_and_fully_placed(
    name: str,
    architecture: str,
    layout: str,
    present: int,
    candidates: tuple[str, ...],
    in_blocks: int,
    in_encoders: int,
) -> None:
    _, match = matched(key_list(name))
    assert (match.architecture, match.layout_id) == (architecture, layout)
    assert match.candidates == candidates
    assert match.evidence == ("prior" if candidates else "tensors")
    assert match.unmatched_tensor_count == 0
    assert match.warnings == ()
    kinds = [place.kind for place in match.placements]
    assert (kinds.count("block"), kinds.count("text_encoder")) == (in_blocks, in_encoders)
    assert len({place.block_index for place in match.placements} - {None}) == present


def double(numbers: range, leaf: str = "img_attn.proj") -> Keys:
    return lora([f"diffusion_model.double_blocks.{i}.{leaf}" for i in numbers], 3072, 3072)


def test_a_block_number_that_the_model_lacks_rules_it_out() -> None:
    assert matched(double(range(19)))[1].architecture == "flux1"
    assert matched(double(range(20)))[1].architecture == "hunyuan_video"
    assert matched(double(range(21)))[1].architecture is None


def test_nine_modules_in_ten_must_fit() -> None:
    strange = lora(["diffusion_model.double_blocks.0.strange"], 3072, 3072)
    enough = matched({**double(range(9)), **strange})[1]
    assert enough.architecture == "flux1"
    assert enough.unmatched_tensor_count == 2
    assert enough.warnings[0].startswith("unknown_modules: double_blocks_0_strange")
    assert matched({**double(range(8)), **strange})[1].architecture is None


def test_equal_names_of_another_width_do_not_fit() -> None:
    narrow = lora([f"diffusion_model.double_blocks.{i}.img_attn.proj" for i in range(19)], 1024, 1024)
    _, match = matched(narrow)
    assert match.architecture is None
    assert match.reason is not None
    assert "100% of the modules have its names, 0% its shapes" in match.reason


def test_globals_count_as_known_but_give_no_blocks() -> None:
    keys = {**lora(["transformer.x_embedder"], 3072, 64), **lora(["transformer.context_embedder"], 3072, 4096)}
    _, match = matched(keys)
    assert (match.architecture, match.layout_id) == ("flux1", None)
    assert [place.kind for place in match.placements] == ["global", "global"]
    assert match.unmatched_tensor_count == 0
    assert match.reason is not None
    assert "outside the model's blocks" in match.reason


@pytest.mark.parametrize("inputs", [64, 128, 384])
def test_control_and_fill_variants_keep_their_wider_input(inputs: int) -> None:
    keys = {**double(range(19)), **lora(["diffusion_model.img_in"], 3072, inputs)}
    assert matched(keys)[1].unmatched_tensor_count == 0


def test_norms_replaced_by_control_loras_belong_to_their_blocks() -> None:
    scales = {f"double_blocks.{i}.img_attn.norm.key_norm.scale": [128] for i in range(19)}
    _, match = matched({**lora([f"double_blocks.{i}.img_attn.proj" for i in range(19)], 3072, 3072), **scales})
    assert match.unmatched_tensor_count == 0
    assert {place.canonical for place in match.placements} >= {"double_blocks.7.img_attn.norm.key_norm"}


def wan(leaf: str = "self_attn.q", prefix: str = "diffusion_model.", blocks: int = 40, width: int = 5120) -> Keys:
    return lora([f"{prefix}blocks.{i}.{leaf}" for i in range(blocks)], width, width)


def test_norms_biases_and_modulations_as_distilled_wan_loras_have_them() -> None:
    keys = {**wan()}
    for i in range(40):
        keys[f"diffusion_model.blocks.{i}.self_attn.norm_q.diff"] = [5120]
        keys[f"diffusion_model.blocks.{i}.norm3.diff_b"] = [5120]
        keys[f"diffusion_model.blocks.{i}.self_attn.q.diff_b"] = [5120]
        keys[f"diffusion_model.blocks.{i}.diff_m"] = [1, 6, 5120]
    keys["diffusion_model.head.diff_m"] = [1, 2, 5120]
    keys["diffusion_model.head.head.diff"] = [64, 5120]
    keys["diffusion_model.patch_embedding.diff"] = [5120, 36, 1, 2, 2]
    _, match = matched(keys)
    assert match.unmatched_tensor_count == 0
    assert {"blocks.3.modulation", "blocks.3.norm3", "head.modulation"} <= {p.canonical for p in match.placements}


def test_image_attention_tells_image_to_video() -> None:
    assert matched({**wan(), **wan("cross_attn.k_img")})[1].architecture == "wan21_i2v_14b"


def test_vace_blocks_tell_vace() -> None:
    keys = {**wan(), **lora([f"diffusion_model.vace_blocks.{i}.self_attn.q" for i in range(8)], 5120, 5120)}
    _, match = matched(keys)
    assert (match.architecture, match.layout_id) == ("wan21_vace_14b", "wanvace_transformer_48")


def test_two_experts_in_one_file_are_one_model() -> None:
    keys = {**wan(prefix="diffusion_model.transformer_1."), **wan(prefix="diffusion_model.transformer_2.")}
    modules, match = matched(keys)
    assert match.layout_id == "wan_transformer_40"
    assert {module.part for module in modules} == {"model", "model_2"}
    assert match.warnings[0].startswith("two_experts:")


def test_two_spellings_of_one_weight_have_one_canonical_name() -> None:
    keys = {
        **double(range(19)),
        **lora([f"transformer.transformer_blocks.{i}.attn.to_out.0" for i in range(19)], 3072, 3072),
    }
    _, match = matched(keys)
    assert len(match.placements) == 38
    assert len({place.canonical for place in match.placements}) == 19


class TestTies:
    def test_metadata_go_before_folder_and_prior(self) -> None:
        claim = {"modelspec.architecture": "wan-2_1-image2video-14b/lora"}
        _, match = matched(wan(), claim, base="W22")
        assert (match.architecture, match.evidence) == ("wan21_i2v_14b", "metadata")
        assert match.candidates == WAN_14B

    def test_the_folder_goes_before_the_prior(self) -> None:
        _, match = matched(wan(), base="W22")
        assert (match.architecture, match.evidence, match.candidates) == ("wan_14b", "folder", WAN_14B)

    def test_metadata_that_name_no_candidate_decide_nothing(self) -> None:
        _, match = matched(wan(), {"ss_base_model_version": "flux1"}, base="FLX")
        assert (match.architecture, match.evidence) == ("wan_14b", "prior")

    def test_tensors_that_are_clear_are_not_argued_with(self) -> None:
        keys = {**double(range(19)), **lora(["diffusion_model.vector_in.in_layer"], 3072, 768)}
        _, match = matched(keys, {"ss_base_model_version": "sdxl_base_v1-0"}, base="SDX")
        assert (match.architecture, match.evidence, match.candidates) == ("flux1", "tensors", ())

    def test_an_open_tie_is_reported_with_all_candidates(self) -> None:
        keys = lora([f"text_encoder.text_model.encoder.layers.{i}.self_attn.q_proj" for i in range(12)], 768, 768)
        _, match = matched(keys)
        assert (match.architecture, match.layout_id, match.evidence) == (None, None, None)
        assert set(match.candidates) == {
            "flux1", "hidream_i1", "sd15", "sd3_medium", "sd35_medium", "sd35_large", "sdxl", "ssd_1b",
        }  # fmt: skip
        assert match.reason is not None
        assert "sd35_large, sdxl, ssd_1b alike" in match.reason


def test_text_encoders_beside_a_model_have_no_blocks_of_their_own() -> None:
    modules, match = matched(key_list("gen_sdscripts_flux1_lora_te1_te3"))
    places = [p for m, p in zip(modules, match.placements, strict=True) if m.part.startswith("te")]
    assert {place.block_index for place in places} == {None}
    assert {place.canonical.partition(":")[0] for place in places} == {"clip_l", "t5_xxl"}


def test_a_text_encoder_that_nothing_knows_is_still_one() -> None:
    keys = {**double(range(19)), **lora(["lora_te1_strange_layers_0_x"], 64, 64)}
    _, match = matched(keys)
    assert match.placements[-1].kind == "text_encoder"
    assert match.unmatched_tensor_count == 2


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (key_list("base_flux2_transformer_bfl_keys"), "is a checkpoint"),
        ({"model.diffusion_model.input_blocks.1.0.in_layers.0.weight": [320]}, "is a checkpoint"),
        ({"first_stage_model.encoder.down.0.block.0.conv1.weight": [128, 128, 3, 3]}, "is a VAE"),
        ({"emb_params": [8, 768]}, "textual inversion"),
        ({"clip_g": [8, 1280], "clip_l": [8, 768]}, "textual inversion"),
        ({"control_model.input_hint_block.0.weight": [16, 3, 3, 3]}, "ControlNet"),
        (lora(["base_model.model.model.layers.0.self_attn.q_proj"], 4096, 4096), "language model"),
        (lora(["nothing.like.it"], 8, 8), "No architecture"),
        ({"a": [1], "b": [2]}, "No tensor of the file"),
        ({}, "No tensor of the file"),
    ],
)
def test_what_is_no_lora_is_said_to_be_what_it_is(keys: Keys, words: str) -> None:
    _, match = matched(keys)
    assert (match.architecture, match.layout_id) == (None, None)
    assert match.reason is not None
    assert words in match.reason


BLOCK_WEIGHTS = {
    architecture.id: [
        (spelling.template.replace("{i}", str(i)), spelling.shapes[0])
        for spelling in architecture.spellings
        if spelling.dialect == "native" and spelling.kind == "block" and any(len(s) > 1 for s in spelling.shapes)
        for i in spelling.indices or (0,)
    ]
    for architecture in registry().architectures.values()
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_part_of_a_model_keeps_the_truth_among_the_candidates(data: st.DataObject) -> None:
    architecture = data.draw(st.sampled_from(sorted(BLOCK_WEIGHTS)))
    weights = BLOCK_WEIGHTS[architecture]
    chosen = data.draw(st.lists(st.sampled_from(range(len(weights))), min_size=1, max_size=12, unique=True))
    keys: dict[str, list[int]] = {}
    for name, shape in (weights[i] for i in chosen):
        keys[f"diffusion_model.{name}.lora_A.weight"] = [4, *shape[1:]]
        keys[f"diffusion_model.{name}.lora_B.weight"] = [shape[0], 4, *[1] * (len(shape) - 2)]
    _, match = matched(keys)
    assert architecture in (match.candidates or (match.architecture,))
    assert match.unmatched_tensor_count == 0 or match.layout_id is None


def test_an_architecture_need_not_be_named_in_code() -> None:
    """The registry alone makes the matcher know a model: every architecture is told from a single full block."""
    for architecture in registry().architectures.values():
        keys: dict[str, list[int]] = {}
        for spelling in architecture.spellings:
            if spelling.dialect == "native" and spelling.kind == "block" and spelling.shapes:
                shape = spelling.shapes[0]
                if len(shape) > 1 and 0 in (spelling.indices or (0,)):
                    name = f"diffusion_model.{spelling.template.replace('{i}', '0')}"
                    keys |= {f"{name}.lora_A.weight": [4, *shape[1:]], f"{name}.lora_B.weight": [shape[0], 4]}
        _, match = matched(keys)
        assert architecture.id in (match.architecture, *match.candidates)


def test_matching_the_same_names_again_is_remembered() -> None:
    header = header_of(key_list("gen_lycoris_sdxl_locon"))
    modules, unknown = group_modules(header)
    first = match_layout(modules, unknown_tensors=unknown)
    assert structure.structure_of(modules) is structure.structure_of(modules)
    assert match_layout(modules, unknown_tensors=unknown) == first


def test_a_header_of_many_thousand_tensors_is_matched_in_linear_time() -> None:
    def seconds(count: int) -> LayoutMatch:
        keys = {f"lora_unet_blocks_{i}_x.lora_{side}.weight": [4, 4] for i in range(count) for side in ("down", "up")}
        return matched(keys)[1]

    start = time.perf_counter()
    assert seconds(25_000).unmatched_tensor_count == 50_000
    assert time.perf_counter() - start < 5
