"""The inspector as a whole: one file in, one record out."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lora_weights_builder.inspector.delta_inspector import inspect
from lora_weights_builder.inspector.module_facts import block_facts, unpack
from lora_weights_builder.records import FolderHint, LoraRecord
from tests.inspector.lora_files import write

Array = NDArray[Any]
FLUX_FOLDER = FolderHint(base_model_code="FLX", base_model_name="Flux", category_code="CLT")
WIDTH = 3072
RANK = 2


def factors(seed: int, rows: int, columns: int, rank: int = RANK) -> tuple[Array, Array]:
    """B [rows, rank] and A [rank, columns]."""
    random = np.random.default_rng(seed)
    return random.standard_normal((rows, rank)), random.standard_normal((rank, columns))


def kohya(module: str, up: Array, down: Array, alpha: float | None = None) -> dict[str, Array]:
    tensors: dict[str, Array] = {f"{module}.lora_up.weight": up, f"{module}.lora_down.weight": down}
    return tensors if alpha is None else tensors | {f"{module}.alpha": np.array(alpha)}


def flux_files(folder: Path) -> dict[str, Path]:
    """One change of two blocks, in four spellings; q, k and v share A, so they can be fused without loss."""
    up, down = factors(1, 3 * WIDTH, WIDTH)
    q, k, v = np.split(up, 3)
    proj_up, proj_down = factors(2, WIDTH, WIDTH)
    single_up, single_down = factors(3, WIDTH, 15360)

    def peft(prefix: str, suffix: str, parts: dict[str, tuple[Array, Array]]) -> dict[str, Array]:
        named: dict[str, Array] = {}
        for module, (b, a) in parts.items():
            named |= {f"{prefix}{module}.lora_A{suffix}.weight": a, f"{prefix}{module}.lora_B{suffix}.weight": b}
        return named

    split = {
        "transformer_blocks.3.attn.to_q": (q, down),
        "transformer_blocks.3.attn.to_k": (k, down),
        "transformer_blocks.3.attn.to_v": (v, down),
        "transformer_blocks.3.attn.to_out.0": (proj_up, proj_down),
        "single_transformer_blocks.20.proj_out": (single_up, single_down),
    }
    fused = {
        "double_blocks.3.img_attn.qkv": (up, down),
        "double_blocks.3.img_attn.proj": (proj_up, proj_down),
        "single_blocks.20.linear2": (single_up, single_down),
    }
    named = {
        "kohya": kohya("lora_unet_double_blocks_3_img_attn_qkv", up * 2, down, alpha=RANK / 2)
        | kohya("lora_unet_double_blocks_3_img_attn_proj", proj_up, proj_down, alpha=RANK)
        | kohya("lora_unet_single_blocks_20_linear2", single_up, single_down),
        "diffusers": peft("transformer.", "", split),
        "peft": peft("base_model.model.", ".default", split),
        "comfyui": peft("diffusion_model.", "", {name: (b / 8, a * 8) for name, (b, a) in fused.items()}),
    }
    return {name: write(folder / f"{name}.safetensors", tensors) for name, tensors in named.items()}


@pytest.mark.parametrize("dialect", ["kohya", "diffusers", "peft", "comfyui"])
def test_one_change_gives_the_same_blocks_in_every_spelling(tmp_path: Path, dialect: str) -> None:
    up, down = factors(1, 3 * WIDTH, WIDTH)
    proj_up, proj_down = factors(2, WIDTH, WIDTH)
    single_up, single_down = factors(3, WIDTH, 15360)
    double = np.hypot(np.linalg.norm(up @ down), np.linalg.norm(proj_up @ proj_down))
    single = np.linalg.norm(single_up @ single_down)

    record = inspect(flux_files(tmp_path)[dialect])

    assert (record.architecture, record.block_layout, record.block_count) == ("flux1", "flux_unet_57", 57)
    assert record.has_block_weights
    assert record.measured
    assert not record.fallback
    assert [block.label for block in record.blocks if block.present] == ["D03", "S20"]
    assert record.blocks[3].raw_strength == pytest.approx(double, rel=1e-6)
    assert record.blocks[39].raw_strength == pytest.approx(single, rel=1e-6)
    assert max(block.weight for block in record.blocks) == 1.0
    assert record.unmatched_tensor_count == 0
    assert record.rank == RANK


def test_absent_blocks_are_zero_and_say_so(tmp_path: Path) -> None:
    record = inspect(flux_files(tmp_path)["kohya"])
    absent = record.blocks[0]
    assert (absent.label, absent.group, absent.weight, absent.raw_strength) == ("D00", "double", 0.0, 0.0)
    assert not absent.present


def test_a_header_pass_knows_the_layout_and_no_strength(tmp_path: Path) -> None:
    record = inspect(flux_files(tmp_path)["diffusers"], measure=False, hint=FLUX_FOLDER)
    assert (record.block_layout, record.rank, record.measured) == ("flux_unet_57", RANK, False)
    assert (record.has_block_weights, record.fallback, record.blocks, record.content_hash) == (False, False, (), None)
    assert record.table_hash is not None


def test_metadata_is_no_part_of_the_content(tmp_path: Path) -> None:
    up, down = factors(1, WIDTH, WIDTH)
    tensors = kohya("lora_unet_double_blocks_0_img_attn_proj", up, down)
    plain = inspect(write(tmp_path / "a.safetensors", tensors))
    edited = inspect(write(tmp_path / "b.safetensors", tensors, metadata={"ss_output_name": "other"}))
    other = inspect(write(tmp_path / "c.safetensors", kohya("lora_unet_double_blocks_0_img_attn_proj", up, down * 2)))
    assert plain.content_hash == edited.content_hash
    assert plain.content_hash != other.content_hash
    assert plain.table_hash == other.table_hash


def test_a_module_in_two_spellings_counts_once(tmp_path: Path) -> None:
    up, down = factors(1, WIDTH, WIDTH)
    tensors = kohya("lora_unet_double_blocks_7_img_attn_proj", up, down)
    tensors |= {
        "transformer.transformer_blocks.7.attn.to_out.0.lora_A.weight": down,
        "transformer.transformer_blocks.7.attn.to_out.0.lora_B.weight": up,
    }
    record = inspect(write(tmp_path / "twice.safetensors", tensors))
    assert record.blocks[7].raw_strength == pytest.approx(np.linalg.norm(up @ down), rel=1e-6)
    assert any(warning.startswith("spelled_twice: 1 ") for warning in record.warnings)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_non_finite_factor_costs_the_file_its_strengths_but_not_its_name(tmp_path: Path, poison: float) -> None:
    up, down = factors(1, WIDTH, WIDTH)
    good = kohya("lora_unet_double_blocks_8_img_attn_proj", up, down)
    up = up.copy()
    up[5, 1] = poison
    path = write(
        tmp_path / "broken.safetensors",
        good | kohya("lora_unet_double_blocks_7_img_attn_proj", up, down),
        dtype="F16",
    )
    record = inspect(path)
    assert (record.architecture, record.error_code, record.has_block_weights) == ("flux1", "non_finite", False)
    assert "double_blocks_7_img_attn_proj" in (record.error or "")
    assert (record.block_layout, record.fallback, len(record.blocks)) == ("flux_fallback_16", True, 16)
    assert {block.weight for block in record.blocks} == {1.0}
    assert {block.raw_strength for block in record.blocks} == {None}


def test_an_all_zero_file_has_weights_of_zero_and_a_warning(tmp_path: Path) -> None:
    up, down = factors(1, WIDTH, WIDTH)
    tensors = kohya("lora_unet_double_blocks_7_img_attn_proj", up * 0, down)
    record = inspect(write(tmp_path / "zero.safetensors", tensors))
    assert record.has_block_weights
    assert {block.weight for block in record.blocks} == {0.0}
    assert any(warning.startswith("all_zero:") for warning in record.warnings)


def test_an_unreadable_file_in_a_flux_folder_is_a_fallback_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(b"\x80\x04cposix\nsystem")
    record = inspect(path, hint=FLUX_FOLDER)
    assert record.error is not None
    assert (record.base_model_code, record.model_family, record.block_layout) == ("FLX", "flux", "flux_fallback_16")
    assert record.fallback_reason == record.error
    assert inspect(path).block_layout is None


def test_only_text_encoder_layers_have_a_layout_of_their_own(tmp_path: Path) -> None:
    up, down = factors(1, 768, 768)
    module = "lora_te1_text_model_encoder_layers_4_self_attn_q_proj"
    record = inspect(write(tmp_path / "te.safetensors", kohya(module, up, down)), hint=FLUX_FOLDER)
    assert (record.block_layout, record.block_count, record.clip_contributor) == ("flux_te_12", 12, True)
    assert [block.block_index for block in record.blocks if block.present] == [4]


def test_weights_of_no_known_model_in_a_flux_folder_are_a_fallback(tmp_path: Path) -> None:
    up, down = factors(1, 512, 512)
    path = write(tmp_path / "other.safetensors", kohya("lora_unet_somewhere_else_7_proj", up, down))
    record = inspect(path, hint=FLUX_FOLDER)
    assert (record.architecture, record.block_layout, record.fallback) == (None, "flux_fallback_16", True)
    assert record.unmatched_tensor_count == 2
    assert record.fallback_reason


def test_another_model_in_a_flux_folder_keeps_its_layout_and_is_warned_of(tmp_path: Path) -> None:
    up, down = factors(1, 1536, 1536)
    path = write(tmp_path / "wan.safetensors", kohya("lora_unet_blocks_7_self_attn_q", up, down))
    record = inspect(path, hint=FLUX_FOLDER)
    assert (record.architecture, record.block_layout, record.fallback) == ("wan21_1.3b", "wan_transformer_30", False)
    assert record.base_model_code == "FLX"
    assert any("FLUX" in warning.upper() for warning in record.warnings)


def test_a_file_that_is_gone_is_a_record_with_its_reason(tmp_path: Path) -> None:
    record = inspect(tmp_path / "gone.safetensors")
    assert (record.error_code, record.has_block_weights) == ("not_found", False)
    assert "gone.safetensors" in (record.error or "")


def test_a_thousand_like_faults_are_told_briefly(tmp_path: Path) -> None:
    up, down = factors(1, 64, 64)
    tensors: dict[str, Array] = {}
    for i in range(1000):
        tensors |= kohya(f"lora_unet_blocks_{i}_self_attn_q", up, down[:1])
    record = inspect(write(tmp_path / "many.safetensors", tensors))
    assert 0 < len(record.warnings) < 40


def test_records_cross_process_boundaries(tmp_path: Path) -> None:
    record = inspect(flux_files(tmp_path)["kohya"])
    again: LoraRecord = pickle.loads(pickle.dumps(record))
    assert again == record


def test_the_facts_of_every_module_are_kept_with_their_place(tmp_path: Path) -> None:
    up, down = factors(1, WIDTH, WIDTH, 8)
    te_up, te_down = factors(2, 768, 768, 4)
    tensors = kohya("lora_unet_double_blocks_0_img_attn_proj", up, down, alpha=4.0)
    tensors |= kohya("lora_te1_text_model_encoder_layers_4_self_attn_q_proj", te_up, te_down)
    tensors |= {
        "transformer.transformer_blocks.0.attn.to_out.0.lora_A.weight": down,
        "transformer.transformer_blocks.0.attn.to_out.0.lora_B.weight": up,
        "lora_unet_final_layer_linear.diff_b": np.full(64, 0.5),
    }
    record = inspect(write(tmp_path / "a.safetensors", tensors))
    assert record.module_facts is not None
    block, encoder, again, bias = unpack(record.module_facts)

    assert (block.part, block.block_index, block.rank, block.alpha, block.counted) == ("model", 0, 8, 4.0, True)
    assert (block.parameters, block.elements) == (2 * 8 * WIDTH, WIDTH**2)
    assert block.norm == pytest.approx(np.linalg.norm(up @ down) / 2, rel=1e-6)
    assert block.singular_values == pytest.approx(np.linalg.svd(up @ down, compute_uv=False)[:8] / 2, rel=1e-4)
    assert block.complete
    assert (encoder.part, encoder.block_index, encoder.rank, encoder.counted) == ("te1", None, 4, True)
    assert (again.block_index, again.canonical, again.counted) == (0, block.canonical, False)
    assert (bias.block_index, bias.parameters, bias.elements, bias.singular_values) == (None, 64, 64, (4.0,))
    assert block_facts(unpack(record.module_facts), record.block_count)[0].norm == pytest.approx(
        record.blocks[0].raw_strength, rel=1e-6
    )


def test_a_rank_that_would_do_is_told(tmp_path: Path) -> None:
    """Trained at rank 32, but only six directions matter."""
    rng = np.random.default_rng(5)
    sizes = np.array([10, 9, 8, 7, 6, 5] + [0.05] * 26)
    tensors: dict[str, Array] = {}
    for i in range(3):
        left = np.linalg.qr(rng.standard_normal((WIDTH, 32)))[0]
        right = np.linalg.qr(rng.standard_normal((WIDTH, 32)))[0]
        tensors |= kohya(f"lora_unet_double_blocks_{i}_img_attn_proj", left * sizes, right.T)
    record = inspect(write(tmp_path / "a.safetensors", tensors, "F16"))
    assert (record.rank, record.energy_ranks) == (32, (5, 6, 6))


def test_rotations_are_kept_without_values(tmp_path: Path) -> None:
    blocks = np.random.default_rng(1).standard_normal((12, 256, 256)) * 1e-3
    record = inspect(
        write(tmp_path / "oft.safetensors", {"lora_unet_double_blocks_0_img_attn_proj.oft_blocks": blocks})
    )
    assert record.module_facts is not None
    (module,) = unpack(record.module_facts)
    assert (module.strength_kind, module.singular_values, module.complete) == ("rotation", (), False)
    assert record.energy_ranks == (None, None, None)


def test_a_file_with_bad_numbers_or_an_unread_one_keeps_no_facts(tmp_path: Path) -> None:
    up, down = factors(1, WIDTH, WIDTH)
    tensors = kohya("lora_unet_double_blocks_0_img_attn_proj", up, down)
    assert inspect(write(tmp_path / "a.safetensors", tensors), measure=False).module_facts is None
    up[5, 1] = np.nan
    broken = inspect(write(tmp_path / "b.safetensors", tensors))
    assert (broken.error_code, broken.module_facts, broken.energy_ranks) == ("non_finite", None, None)
