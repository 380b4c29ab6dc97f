"""Training metadata: what is read, what is survived, and what it says of the base model."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.inspector.training_metadata import (
    base_model_hint,
    peft_scaling,
    resolve_base_model,
    summarise,
)
from lora_weights_builder.records import FolderHint, LayoutMatch, MetadataSummary


def test_sd_scripts_metadata_are_summarised() -> None:
    summary = summarise(
        {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_sd_model_name": "ponyDiffusionV6XL.safetensors",
            "ss_output_name": "knight",
            "ss_network_module": "networks.lora",
            "ss_network_dim": "32",
            "ss_network_alpha": "16.0",
            "ss_resolution": "(1024, 768)",
            "ss_steps": "2400",
            "ss_epoch": "10",
            "ss_training_started_at": "1700000000.5",
            "ss_tag_frequency": json.dumps({"10_sks knight": {"armor": 20, "1girl": 5}, "2_reg": {"1girl": 7}}),
        }
    )
    assert summary == MetadataSummary(
        base_model="sdxl_base_v1-0",
        base_checkpoint="ponyDiffusionV6XL.safetensors",
        title="knight",
        trigger_words=("sks knight", "reg"),
        tags=(("armor", 20), ("1girl", 12)),
        declared_rank=32,
        declared_alpha=16.0,
        resolution=(1024, 768),
        date="2023-11-14T22:13:20+00:00",
        trainer="sd-scripts",
        steps=2400,
        epochs=10,
    )


def test_modelspec_goes_before_the_trainers_own_fields() -> None:
    summary = summarise(
        {
            "modelspec.title": "Knight",
            "modelspec.author": "someone",
            "modelspec.date": "2025-01-02T03:04:05",
            "modelspec.resolution": "1024x1024",
            "modelspec.trigger_phrase": "sks knight, armor",
            "modelspec.license": "cc0",
            "modelspec.description": "A knight.",
            "ss_output_name": "knight-000010",
            "ss_tag_frequency": json.dumps({"10_other": {"a": 1}}),
        }
    )
    assert (summary.title, summary.author, summary.license) == ("Knight", "someone", "cc0")
    assert summary.date == "2025-01-02T03:04:05"
    assert summary.resolution == (1024, 1024)
    assert summary.trigger_words == ("sks knight", "armor")
    assert summary.description == "A knight."


def test_ai_toolkit_and_onetrainer_are_known() -> None:
    ai_toolkit = summarise(
        {
            "software": json.dumps({"name": "ai-toolkit", "version": "0.1"}),
            "training_info": json.dumps({"step": 2000, "epoch": 39}),
            "name": "my_lora",
            "format": "pt",
        }
    )
    assert (ai_toolkit.trainer, ai_toolkit.steps, ai_toolkit.epochs) == ("ai-toolkit", 2000, 39)
    assert ai_toolkit.title == "my_lora"
    one_trainer = summarise({"ot_branch": "master", "ot_config": json.dumps({"lora_rank": 16, "lora_alpha": 1.0})})
    assert (one_trainer.trainer, one_trainer.declared_rank, one_trainer.declared_alpha) == ("OneTrainer", 16, 1.0)


TRAINERS = [
    ({"ss_network_module": "networks.lora_wan"}, "musubi-tuner"),
    ({"ss_network_module": "lycoris.kohya"}, "sd-scripts with LyCORIS"),
    ({"lora_adapter_metadata": "{}"}, "diffusers"),
    ({}, None),
]


@pytest.mark.parametrize(("metadata", "trainer"), TRAINERS)
def test_trainers_are_told_by_their_fields(metadata: dict[str, str], trainer: str | None) -> None:
    assert summarise(metadata).trainer == trainer


def test_only_the_most_frequent_tags_are_kept() -> None:
    tags = {f"tag{i:04d}": i for i in range(1, 1000)}
    kept = summarise({"ss_tag_frequency": json.dumps({"1_x": tags})}).tags
    assert len(kept) == 200
    assert kept[0] == ("tag0999", 999)


HOSTILE = [
    "[" * 200_000,
    '{"a":' * 100_000,
    "x" * 9_000_000,
    "null",
    '"text"',
    "[1, 2]",
    '{"1_a": [1], "2_b": null, "3_c": {"t": "many", "u": -1, "v": 1e400, "w": true}}',
    "NaN",
    "\ud800",
    "1e999",
    "9" * 5000,
    "",
    "None",
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_are_survived_in_every_field(value: str) -> None:
    fields = ["ss_tag_frequency", "ss_dataset_dirs", "software", "training_info", "ot_config", "ss_network_dim",
              "ss_network_alpha", "ss_resolution", "ss_steps", "ss_training_started_at", "modelspec.date",
              "modelspec.resolution", "ss_base_model_version", "lora_adapter_metadata",
              "modelspec.trigger_phrase"]  # fmt: skip
    metadata = dict.fromkeys(fields, value)
    summary = summarise(metadata)
    assert summary.tags == ()
    assert summary.declared_alpha is None or summary.declared_alpha < float("inf")
    assert base_model_hint(metadata, value[:100]).architectures == ()
    peft_scaling(metadata)


@given(st.dictionaries(st.sampled_from(["ss_resolution", "ss_steps", "modelspec.date", "ss_tag_frequency"]), st.text()))
def test_any_text_is_survived(metadata: dict[str, str]) -> None:
    summarise(metadata)


RESOLUTIONS = [
    ("1024x768", (1024, 768)),
    ("(512, 640)", (512, 640)),
    ("512,640", (512, 640)),
    ("768", (768, 768)),
    ("", None),
    ("0x0", None),
    ("big", None),
    ("1x2x3", None),
]


@pytest.mark.parametrize(("text", "size"), RESOLUTIONS)
def test_resolutions_in_every_notation(text: str, size: tuple[int, int] | None) -> None:
    assert summarise({"ss_resolution": text}).resolution == size


class TestPeftScaling:
    def test_each_part_has_its_own_configuration(self) -> None:
        scaling = peft_scaling(
            {"lora_adapter_metadata": json.dumps({"transformer.lora_alpha": 8, "text_encoder.lora_alpha": 4})}
        )
        assert scaling is not None
        model, encoder = scaling.of("model", "a_b"), scaling.of("te1", "a_b")
        assert model is not None
        assert encoder is not None
        assert (model.alpha, encoder.alpha) == (8.0, 4.0)
        assert scaling.of("te2", "a_b") is None

    def test_the_longest_pattern_wins_and_only_whole_words_count(self) -> None:
        patterns = {"to_q": 1, "attn.to_q": 2, "o_q": 3}
        scaling = peft_scaling({"lora_adapter_metadata": json.dumps({"lora_alpha": 9, "alpha_pattern": patterns})})
        assert scaling is not None
        alphas = [scaling.of("model", name) for name in ("blocks_0_attn_to_q", "blocks_0_to_q", "blocks_0_xo_q")]
        assert [one and one.alpha for one in alphas] == [2.0, 1.0, 9.0]


def match_of(architecture: str | None, candidates: tuple[str, ...] = ()) -> LayoutMatch:
    return LayoutMatch(architecture, candidates, None, None, (), 0)


class TestBaseModel:
    def test_a_recognised_folder_names_the_base_model(self) -> None:
        base = resolve_base_model(match_of("sdxl"), {}, FolderHint(base_model_code="PNY"))
        assert (base.code, base.name, base.family, base.variant) == ("PNY", "Pony", "sdxl", "pony")
        assert base.warnings == ()

    def test_then_the_metadata(self) -> None:
        metadata = {"ss_base_model_version": "sdxl_base_v1-0", "ss_sd_model_name": "ponyDiffusionV6XL_v6.safetensors"}
        base = resolve_base_model(match_of("sdxl"), metadata, None)
        assert (base.code, base.variant) == ("PNY", "pony")

    def test_then_the_architecture(self) -> None:
        assert resolve_base_model(match_of("sdxl"), {}, None).code == "SDX"
        assert resolve_base_model(match_of("wan22_5b"), {}, None).code == "W22"

    def test_else_it_is_unknown(self) -> None:
        base = resolve_base_model(match_of(None), {}, None)
        assert (base.code, base.family, base.variant) == ("UNK", None, None)

    def test_an_open_tie_keeps_the_family_that_all_candidates_share(self) -> None:
        assert resolve_base_model(match_of(None, ("wan_14b", "wan21_1.3b")), {}, None).family == "wan"
        assert resolve_base_model(match_of(None, ("wan_14b", "sdxl")), {}, None).family is None

    def test_a_folder_that_contradicts_the_tensors_is_kept_and_reported(self) -> None:
        base = resolve_base_model(match_of("sdxl"), {}, FolderHint(base_model_code="FLX"))
        assert (base.code, base.family) == ("FLX", "sdxl")
        assert base.warnings == ("folder_contradiction: the folder says Flux, the tensors say Stable Diffusion XL",)

    def test_metadata_that_contradict_the_tensors_are_not_believed(self) -> None:
        base = resolve_base_model(match_of("flux1"), {"modelspec.architecture": "stable-diffusion-v1/lora"}, None)
        assert base.code == "FLX"
        assert base.warnings[0].startswith("metadata_contradiction:")

    @pytest.mark.parametrize(
        ("metadata", "code", "variant"),
        [
            ({"ss_new_sd_model_hash": "67AB2FD8EC439A89B3FEDB15CC65F54336AF163C7EB5E4F2"}, "PNY", "pony"),
            ({"ss_sd_model_name": "Illustrious-XL-v0.1.safetensors"}, "ILL", "illustrious"),
            ({"ss_sd_model_name": "noobaiXLNAIXL_vPred10.safetensors"}, "ILL", "noobai"),
            ({"modelspec.title": "made for sdxl"}, "SDX", None),
            ({"ss_tag_frequency": '{"1_pony": {"pony": 9}}', "ss_datasets": "pony"}, "SDX", None),
        ],
    )  # fmt: skip
    def test_checkpoints_of_the_sdxl_family(self, metadata: dict[str, str], code: str, variant: str | None) -> None:
        base = resolve_base_model(match_of("sdxl"), metadata, None)
        assert (base.code, base.variant) == (code, variant)

    @pytest.mark.parametrize(
        ("metadata", "filename", "code", "variant"),
        [
            ({"ss_base_model_version": "flux_kontext"}, None, "FLX", "kontext"),
            ({"ss_base_model_version": "flux1", "ss_sd_model_name": "flux1-krea-dev.safetensors"}, None, "FLK", "krea"),
            ({}, "portrait_krea.safetensors", "FLX", "krea"),
            ({}, "krealistic.safetensors", "FLX", None),
            ({"modelspec.architecture": "flux-1-schnell/lora"}, None, "FLX", "schnell"),
        ],
    )
    def test_variants_of_flux(
        self, metadata: dict[str, str], filename: str | None, code: str, variant: str | None
    ) -> None:
        base = resolve_base_model(match_of("flux1"), metadata, None, filename)
        assert (base.code, base.variant) == (code, variant)

    @pytest.mark.parametrize(
        ("metadata", "hint", "filename", "code", "variant"),
        [
            ({"ss_base_model_version": "wan_2.2_14b"}, None, "x_high_noise.safetensors", "W22", "2.2 high-noise"),
            ({"ss_base_model_version": "wan"}, None, "wan2.2_i2v_low_noise_x.safetensors", "W21", "2.2 low-noise i2v"),
            ({}, FolderHint(base_model_code="W22", mode="T2V"), "a_HighNoise.safetensors", "W22", "2.2 high-noise t2v"),
            ({}, FolderHint(base_model_code="W21", mode="I2V"), "a.safetensors", "W21", "2.1 i2v"),
            ({}, None, "plain.safetensors", "W21", None),
        ],
    )
    def test_variants_of_wan(
        self, metadata: dict[str, str], hint: FolderHint | None, filename: str, code: str, variant: str | None
    ) -> None:
        base = resolve_base_model(match_of("wan_14b"), metadata, hint, filename)
        assert (base.code, base.variant) == (code, variant)
