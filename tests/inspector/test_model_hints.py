"""What metadata, folders and names say of the base model and its variant, told by what real trainers write."""

from __future__ import annotations

import json

import pytest

from lora_weights_builder.inspector.model_hints import base_model_hint, resolve_base_model
from lora_weights_builder.records import FolderHint, LayoutMatch

SD_SCRIPTS_SDXL = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
    "ss_network_module": "networks.lora",
    "ss_v2": "False",
    "modelspec.title": "inks",
}
AI_TOOLKIT_WAN = {
    "ss_base_model_version": "wan_2.2_14b",
    "ss_output_name": "orbit",
    "name": "orbit",
    "software": '{"name": "ai-toolkit", "repo": "https://github.com/ostris/ai-toolkit", "version": "0.5.2"}',
    "training_info": '{"step": 2000, "epoch": 12}',
    "format": "pt",
}
MUSUBI_WAN = {
    "ss_base_model_version": "wan",
    "modelspec.architecture": "wan2.1/lora",
    "ss_network_module": "networks.lora_wan",
    "modelspec.implementation": "https://github.com/kohya-ss/musubi-tuner",
}
NOT_THE_MODEL = {
    "ss_tag_frequency": '{"1_pony": {"pony": 9, "krea": 2, "high noise": 1}}',
    "ss_datasets": '[{"image_dir": "illustrious"}]',
    "ss_dataset_dirs": '{"10_noobai": {"n_repeats": 10}}',
    "ss_training_comment": "looks like animagine",
}


def match_of(architecture: str | None, candidates: tuple[str, ...] = ()) -> LayoutMatch:
    return LayoutMatch(architecture, candidates, None, None, (), 0)


@pytest.mark.parametrize(
    ("metadata", "code", "variant"),
    [
        ({"ss_sd_model_name": "ponyDiffusionV6XL_v6StartWithThisOne.safetensors"}, "PNY", "pony"),
        ({"ss_sd_model_name": "cyberrealisticPony_v85.safetensors"}, "PNY", "pony"),
        ({"ss_sd_model_name": "290640.safetensors", "ss_sd_model_hash": "e577480d"}, "PNY", "pony"),
        ({"ss_sd_model_name": "urn:air:sdxl:checkpoint:civitai:257749@290640"}, "PNY", "pony"),
        ({"ss_sd_model_name": "889818.safetensors"}, "ILL", "illustrious"),
        ({"ss_sd_model_name": "waiNSFWIllustrious_v140.safetensors"}, "ILL", "illustrious"),
        ({"ss_sd_model_name": "NoobAI-XL-Vpred-v1.0.safetensors"}, "ILL", "noobai"),
        ({"ss_new_sd_model_hash": "6681e8e4b134c81f16533acedb0d406d7e5e366e1624b4105178c64d00b05d51"}, "ILL", "noobai"),
        ({"ss_sd_model_name": "animagine-xl-3.1.safetensors"}, "SDX", "animagine"),
        ({"ss_new_sd_model_hash": "e3c47aedb06418c6c331443cd89f2b3b3b34b7ed2102a3d4c4408a8d35aad6b0"}, "SDX",
         "animagine"),
        ({"modelspec.title": "A pony for Illustrious", "ss_sd_model_name": "illustriousXL_v01.safetensors"}, "ILL",
         "illustrious"),
        ({"modelspec.title": "inks, made for Pony"}, "PNY", "pony"),
    ],
)  # fmt: skip
def test_the_checkpoint_tells_the_descendants_of_sdxl(metadata: dict[str, str], code: str, variant: str) -> None:
    base = resolve_base_model(match_of("sdxl"), {**SD_SCRIPTS_SDXL, **metadata}, None)
    assert (base.code, base.variant, base.evidence, base.warnings) == (code, variant, "metadata", ())


@pytest.mark.parametrize(
    "plain",
    [
        {"ss_sd_model_name": "sd_xl_base_1.0.safetensors"},
        {"ss_sd_model_name": "128078.safetensors"},
        {"ss_new_sd_model_hash": "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b"},
    ],
)
def test_a_title_that_names_a_pony_is_not_believed_against_the_plain_checkpoint(plain: dict[str, str]) -> None:
    base = resolve_base_model(match_of("sdxl"), {**SD_SCRIPTS_SDXL, **plain, "modelspec.title": "Little Pony"}, None)
    assert (base.code, base.variant) == ("SDX", None)


def test_a_folder_of_descendants_keeps_a_file_trained_on_the_plain_checkpoint() -> None:
    metadata = {**SD_SCRIPTS_SDXL, "ss_sd_model_name": "sd_xl_base_1.0.safetensors"}
    base = resolve_base_model(match_of("sdxl"), metadata, FolderHint(base_model_code="PNY"))
    assert (base.code, base.variant, base.warnings) == ("PNY", "pony", ())


@pytest.mark.parametrize(("architecture", "code"), [("sdxl", "SDX"), ("flux1", "FLX"), ("wan_14b", "W21")])
def test_what_was_painted_says_nothing_of_the_model(architecture: str, code: str) -> None:
    base = resolve_base_model(match_of(architecture), NOT_THE_MODEL, None)
    assert (base.code, base.variant, base.evidence) == (code, None, "tensors")


@pytest.mark.parametrize(
    ("metadata", "code", "variant"),
    [
        ({"ss_base_model_version": "flux1", "ss_sd_model_name": "flux1-krea-dev_fp8.safetensors"}, "FLK", "krea"),
        ({"ss_base_model_version": "flux1", "ss_sd_model_name": "flux1-dev-kontext_fp8.safetensors"}, "FLX", "kontext"),
        ({"ss_base_model_version": "flux1", "ss_sd_model_name": "flux1-dev.safetensors", "name": "krea look"}, "FLX",
         None),
        ({"ss_base_model_version": "flux.1_kontext", "name": "krea to kontext"}, "FLX", "kontext"),
        ({"modelspec.architecture": "Flux.1-dev/lora", "ot_config": '{"model_type": "FLUX_FILL_DEV_1"}'}, "FLX",
         "fill"),
        ({"ot_config": json.dumps({"base_model_name": "black-forest-labs/FLUX.1-Krea-dev"})}, "FLK", "krea"),
        ({"modelspec.architecture": "flux-1-schnell/lora"}, "FLX", "schnell"),
    ],
)  # fmt: skip
def test_variants_of_flux_by_metadata(metadata: dict[str, str], code: str, variant: str | None) -> None:
    base = resolve_base_model(match_of("flux1"), metadata, None)
    assert (base.code, base.variant, base.evidence) == (code, variant, "metadata")


@pytest.mark.parametrize(
    ("metadata", "hint", "name", "code", "variant"),
    [
        (AI_TOOLKIT_WAN, None, "orbit_high_noise.safetensors", "W22", "2.2 high-noise"),
        ({**MUSUBI_WAN, "ss_output_name": "wan22_i2v_orbit_low_noise"}, None, "orbit.safetensors", "W22",
         "2.2 low-noise i2v"),
        (MUSUBI_WAN, FolderHint(base_model_code="W22", mode="IMG2VID"), "a-HN.safetensors", "W22",
         "2.2 high-noise i2v"),
        (MUSUBI_WAN, FolderHint(base_model_code="W22"), "WAN2.2/low_noise/t2v/a.safetensors", "W22",
         "2.2 low-noise t2v"),
        ({"ss_base_model_version": "wan2.2", "modelspec.title": "Orbit, high noise"}, None, "a.safetensors", "W22",
         "2.2 high-noise"),
        ({}, FolderHint(base_model_code="W22"), "轨道_低噪.safetensors", "W22", "2.2 low-noise"),
    ],
)  # fmt: skip
def test_modes_and_noise_of_wan(
    metadata: dict[str, str], hint: FolderHint | None, name: str, code: str, variant: str
) -> None:
    base = resolve_base_model(match_of("wan_14b"), metadata, hint, name)
    assert (base.code, base.variant, base.warnings) == (code, variant, ())


CONTRADICTIONS = [
    ("flux1", {"ss_base_model_version": "flux_kontext"}, FolderHint(base_model_code="FLK"), "a.safetensors",
     "kontext", "folder_contradiction: the folder says krea, the metadata say kontext"),
    ("flux1", {}, FolderHint(base_model_code="FLK"), "a_kontext.safetensors",
     "krea", "name_contradiction: the file name says kontext, the folder says krea"),
    ("wan_14b", {"ss_base_model_version": "wan_2.2_14b"}, FolderHint(base_model_code="W21"), "a.safetensors",
     "2.2", "folder_contradiction: the folder says 2.1, the metadata say 2.2"),
    ("wan_14b", {}, FolderHint(base_model_code="W22", mode="I2V"), "wan22_t2v_a.safetensors",
     "2.2 i2v", "name_contradiction: the file name says t2v, the folder says i2v"),
    ("wan_14b", {"ss_output_name": "a_high_noise"}, FolderHint(base_model_code="W22"), "a_low_noise.safetensors",
     "2.2 high-noise", "name_contradiction: the file name says low-noise, the metadata say high-noise"),
    ("wan_14b", {}, FolderHint(base_model_code="W21"), "a_high_noise.safetensors",
     "2.1 high-noise", "name_contradiction: the file name says high-noise (of 2.2), the folder says 2.1"),
    ("wan_14b", {}, FolderHint(base_model_code="W22"), "WAN2.2/high_noise/a_low_noise.safetensors",
     "2.2 low-noise", "folder_contradiction: a folder's name says high-noise, the file name says low-noise"),
    ("sdxl", {"ss_sd_model_name": "illustriousXL_v01.safetensors"}, FolderHint(base_model_code="PNY"), "a.safetensors",
     "illustrious", "folder_contradiction: the folder says pony, the metadata say illustrious"),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "metadata", "hint", "name", "variant", "warning"), CONTRADICTIONS)
def test_who_says_something_else_is_reported(
    architecture: str, metadata: dict[str, str], hint: FolderHint, name: str, variant: str, warning: str
) -> None:
    base = resolve_base_model(match_of(architecture), metadata, hint, name)
    assert (base.code, base.variant, base.warnings) == (hint.base_model_code, variant, (warning,))


@pytest.mark.parametrize(
    ("architecture", "metadata", "code", "name"),
    [
        ("sdxl", {"ss_sd_model_name": "NoobAI-XL-v1.1.safetensors"}, "ILL", "a.safetensors"),
        ("sdxl", {"ss_sd_model_name": "ponyDiffusionV6XL.safetensors"}, "SDX", "a.safetensors"),
        ("sdxl", {"ss_sd_model_name": "ponyDiffusionV6XL.safetensors"}, "PNY", "pony_and_illustrious.safetensors"),
        ("flux1", {"ss_base_model_version": "flux1"}, "FLK", "krea_fill_light.safetensors"),
        ("wan_14b", MUSUBI_WAN, "W22", "wan2.2_a_high_noise.safetensors"),
    ],
)
def test_what_can_both_be_true_is_not_reported(
    architecture: str, metadata: dict[str, str], code: str, name: str
) -> None:
    base = resolve_base_model(match_of(architecture), metadata, FolderHint(base_model_code=code), name)
    assert (base.code, base.evidence, base.warnings) == (code, "folder", ())


def test_the_first_known_field_is_believed_and_later_ones_only_narrow_it() -> None:
    hint = base_model_hint({"ss_base_model_version": "wan", "modelspec.architecture": "wan-2_2-ti2v-5b/lora"})
    assert (hint.architectures, hint.base_code, hint.variants) == (("wan22_5b",), "W22", (("version", "2.2"),))
    hint = base_model_hint({"ss_base_model_version": "flux1", "modelspec.architecture": "stable-diffusion-v1/lora"})
    assert (hint.architectures, hint.base_code) == (("flux1",), "FLX")


def test_metadata_of_another_version_than_the_tensors_allow_is_not_believed() -> None:
    base = resolve_base_model(match_of("wan22_5b"), {"ss_base_model_version": "wan_2.1"}, None)
    assert (base.code, base.variant, base.evidence) == ("W22", None, "tensors")
    assert base.warnings[0].startswith("metadata_contradiction: the metadata say WAN 2.1")


def test_an_unknown_model_has_no_evidence() -> None:
    base = resolve_base_model(match_of(None), {}, None)
    assert (base.code, base.evidence) == ("UNK", None)


@pytest.mark.parametrize("value", ["[" * 100_000, '{"model_type": 3}', '"text"', "null", ""])
def test_settings_that_are_no_settings_say_nothing(value: str) -> None:
    assert resolve_base_model(match_of("flux1"), {"ot_config": value}, None).code == "FLX"
