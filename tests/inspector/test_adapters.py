"""Tensors grouped into adapters: kind, rank, derived shape, and what is said of damaged ones."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest

from lora_weights_builder.inspector.adapters import _Memory, group_modules
from lora_weights_builder.records import Header, ModuleAdapter
from tests.inspector.key_lists import Keys, header_of, key_list, lora

CONV = "lora_unet_down_blocks_0_resnets_0_conv1"


def only(keys: Keys, dtype: str = "F16") -> ModuleAdapter:
    modules, unknown = group_modules(header_of(keys, dtype=dtype))
    assert len(modules) == 1
    assert unknown == ()
    return modules[0]


KINDS = [
    ("published_flux_lora_kohya_format", {("lora", 16): 304}),
    ("published_flux_lora_diffusers_dora_format", {("lora", 4): 266}),
    ("published_flux_lora_xlabs_format", {("lora", 16): 12}),
    ("gen_lycoris_flux1_loha", {("loha", 16): 376}),
    ("gen_lycoris_flux1_lokr", {("lokr", 16): 376}),
    ("gen_lycoris_sd15_locon", {("lora", 16): 302, ("locon", 8): 52}),
    ("gen_lycoris_sd15_locon_trainnorm", {("lora", 16): 302, ("locon", 16): 52, ("norm", None): 108}),
    ("gen_lycoris_sd15_full", {("full", None): 354}),
    ("gen_lycoris_sd15_glora", {("glora", 16): 354}),
    ("gen_lycoris_sd15_diag_oft", {("oft", None): 354}),
    ("gen_lycoris_sd15_boft", {("boft", None): 354}),
    ("gen_lycoris_sd15_lokr_full", {("lokr", None): 354}),
    ("gen_lycoris_sd15_loha_tucker", {("loha", 16): 302, ("loha", 4): 52}),
    ("gen_sdscripts_flux1_oft", {("oft", None): 152}),
    ("gen_sdscripts_sd15_oft", {("oft", None): 128}),
]


@pytest.mark.parametrize(("name", "counted"), KINDS, ids=[name for name, _ in KINDS])
def test_kinds_and_ranks_of_known_files(name: str, counted: dict[tuple[str, int | None], int]) -> None:
    modules, unknown = group_modules(header_of(key_list(name)))
    assert Counter((module.kind, module.rank) for module in modules) == counted
    assert unknown == ()
    assert [module.problems for module in modules if module.problems] == []
    assert not any(module.fatal for module in modules)


SHAPES = [
    ({"m.x.lora_A.weight": [4, 64], "m.x.lora_B.weight": [96, 4]}, "lora", (96, 64), (), 4),
    ({"m.x.lora_A.weight": [4, 64, 1, 1], "m.x.lora_B.weight": [96, 4, 1, 1]}, "lora", (96, 64), (1, 1), 4),
    ({"m.x.lora_A.weight": [4, 64, 3, 3], "m.x.lora_B.weight": [96, 4, 1, 1]}, "locon", (96, 64), (3, 3), 4),
    ({"m.x.lora_down.weight": [4, 64, 1, 1], "m.x.lora_mid.weight": [4, 4, 3, 3], "m.x.lora_up.weight": [96, 4, 1, 1]},
     "locon", (96, 64), (3, 3), 4),
    ({"m.x.hada_w1_a": [96, 4], "m.x.hada_w1_b": [4, 576], "m.x.hada_w2_a": [96, 4], "m.x.hada_w2_b": [4, 576]},
     "loha", (96, 576), (), 4),
    ({"m.x.hada_t1": [4, 4, 3, 3], "m.x.hada_w1_a": [4, 96], "m.x.hada_w1_b": [4, 64],
      "m.x.hada_t2": [4, 4, 3, 3], "m.x.hada_w2_a": [4, 96], "m.x.hada_w2_b": [4, 64]}, "loha", (96, 64), (3, 3), 4),
    ({"m.x.lokr_w1": [8, 4], "m.x.lokr_w2": [12, 16]}, "lokr", (96, 64), (), None),
    ({"m.x.lokr_w1": [8, 4], "m.x.lokr_w2_a": [12, 2], "m.x.lokr_w2_b": [2, 16]}, "lokr", (96, 64), (), 2),
    ({"m.x.lokr_w1_a": [8, 2], "m.x.lokr_w1_b": [2, 4], "m.x.lokr_w2": [12, 16, 3, 3]}, "lokr", (96, 64), (3, 3), 2),
    ({"m.x.lokr_w1": [8, 4], "m.x.lokr_t2": [2, 2, 3, 3], "m.x.lokr_w2_a": [2, 12], "m.x.lokr_w2_b": [2, 16]},
     "lokr", (96, 64), (3, 3), 2),
    ({"m.x.oft_blocks": [8, 12, 12]}, "oft", (96, None), (), None),
    ({"m.x.oft_blocks": [3, 8, 12, 12]}, "boft", (96, None), (), None),
    ({"m.x.oft_R.weight": [16, 6]}, "oft", (None, 64), (), None),
    ({"m.x.a1.weight": [64, 4], "m.x.a2.weight": [4, 64], "m.x.b1.weight": [96, 4], "m.x.b2.weight": [4, 64]},
     "glora", (96, 64), (), 4),
    ({"m.x.diff": [96, 64], "m.x.diff_b": [96]}, "full", (96, 64), (), None),
    ({"m.x.diff": [96, 64, 3, 3]}, "full", (96, 64), (3, 3), None),
    ({"m.x.diff_b": [96]}, "full", (96, None), (), None),
    ({"m.norm.diff": [96]}, "norm", (96, None), (), None),
    ({"m.norm.w_norm": [96], "m.norm.b_norm": [96]}, "norm", (96, None), (), None),
    ({"m.x.weight": [1, 64], "m.x.on_input": []}, "ia3", (None, 64), (), None),
    ({"m.x.weight": [96, 1], "m.x.on_input": []}, "ia3", (96, None), (), None),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "kind", "features", "kernel", "rank"), SHAPES)
def test_the_base_shape_is_derived_from_the_factors(
    keys: Keys, kind: str, features: tuple[int | None, int | None], kernel: tuple[int, ...], rank: int | None
) -> None:
    module = only(keys)
    assert module.kind == kind or (kind == "full" and module.kind == "norm" and "diff_b" in module.tensors)
    assert (module.out_features, module.in_features) == features
    assert module.kernel == kernel
    assert module.rank == rank
    assert module.problems == ()


FAULTS = [
    ({"m.x.lora_A.weight": [4, 64]}, "half_pair"),
    ({"m.x.lora_B.weight": [96, 4]}, "half_pair"),
    ({"m.x.hada_w1_a": [96, 4], "m.x.hada_w1_b": [4, 64]}, "half_pair"),
    ({"m.x.lokr_w1": [8, 4]}, "half_pair"),
    ({"m.x.lora_A.weight": [4, 64], "m.x.lora_B.weight": [96, 8]}, "rank_mismatch"),
    ({"m.x.lokr_w1": [8, 4], "m.x.lokr_w2_a": [12, 2], "m.x.lokr_w2_b": [3, 16]}, "rank_mismatch"),
    ({"m.x.lora_A.weight": [0, 64], "m.x.lora_B.weight": [96, 0]}, "rank_zero"),
    ({"m.x.diff": [0, 64]}, "empty_tensor"),
    ({"m.x.lora_A.weight": [64], "m.x.lora_B.weight": [96, 1]}, "bad_shape"),
    ({"m.x.oft_blocks": [8, 12, 11]}, "bad_shape"),
    ({"m.x.oft_R.weight": [16, 7]}, "bad_shape"),
    ({"m.x.lora_A.weight": [4, 64], "m.x.lora_B.weight": [96, 4], "m.x.alpha": [3]}, "alpha_not_scalar"),
]


@pytest.mark.parametrize(("keys", "code"), FAULTS, ids=[code for _, code in FAULTS])
def test_a_fault_is_named_and_leaves_the_module_unmeasured(keys: Keys, code: str) -> None:
    module = only(keys)
    assert module.fatal
    assert [problem.partition(":")[0] for problem in module.problems] == [code]
    assert module.problems[0].endswith("in m_x")


def test_integer_weights_are_a_fault_but_an_integer_alpha_is_not() -> None:
    pair = {"m.x.lora_A.weight": [4, 64], "m.x.lora_B.weight": [96, 4]}
    assert only(pair, dtype="I8").problems[0].startswith("integer_weights:")
    header = header_of({**pair, "m.x.alpha": []})
    mixed = tuple(t if t.name != "m.x.alpha" else type(t)(t.name, "I64", (), 0, 0) for t in header.tensors)
    modules, _ = group_modules(type(header)(mixed, {}, 0, 0, 0, ""))
    assert modules[0].problems == ()


def test_one_damaged_module_leaves_the_others_alone() -> None:
    modules, _ = group_modules(
        header_of({"m.x.lora_A.weight": [4, 64], "m.y.lora_A.weight": [4, 64], "m.y.lora_B.weight": [96, 4]})
    )
    assert [module.fatal for module in modules] == [True, False]


def test_a_huge_product_is_described_and_never_formed() -> None:
    module = only({"m.x.lora_A.weight": [1, 40_000], "m.x.lora_B.weight": [40_000, 1]})
    assert (module.out_features, module.in_features) == (40_000, 40_000)


def test_a_magnitude_vector_marks_dora() -> None:
    assert only(
        {f"{CONV}.lora_down.weight": [4, 8], f"{CONV}.lora_up.weight": [8, 4], f"{CONV}.dora_scale": [8, 1]}
    ).dora


def test_two_adapters_on_one_module_are_reported() -> None:
    module = only(
        {"m.x.lokr_w1": [8, 4], "m.x.lokr_w2": [12, 16], "m.x.lora_A.weight": [4, 64], "m.x.lora_B.weight": [96, 4]}
    )
    assert module.kind == "lokr"
    assert module.problems[0].startswith("mixed_adapters: lora_down, lora_up")
    assert not module.fatal


def test_slices_of_a_fused_rotation_share_its_alpha() -> None:
    stem = "oft_unet_double_blocks_0_img_attn_qkv"
    modules, unknown = group_modules(
        header_of({f"{stem}.alpha": [], f"{stem}.oft_blocks.0": [4, 8, 8], f"{stem}.oft_blocks.1": [4, 8, 8]})
    )
    assert unknown == ()
    assert [module.module for module in modules] == ["double_blocks_0_img_attn_qkv_0", "double_blocks_0_img_attn_qkv_1"]
    assert all("alpha" in module.tensors for module in modules)


def test_two_prefixes_keep_two_modules_of_one_name() -> None:
    keys = {
        "lora_unet_a_b.lora_down.weight": [4, 8],
        "lora_unet_a_b.lora_up.weight": [8, 4],
        "diffusion_model.a.b.lora_A.weight": [4, 8],
        "diffusion_model.a.b.lora_B.weight": [8, 4],
    }
    modules, unknown = group_modules(header_of(keys))
    assert [module.module for module in modules] == ["a_b", "a_b"]
    assert unknown == ()


def test_what_belongs_to_no_adapter_is_listed() -> None:
    keys = {"m.x.lora_A.weight": [4, 8], "m.x.lora_B.weight": [8, 4], "bundle_emb.me": [1], "m.y.alpha": []}
    modules, unknown = group_modules(header_of(keys))
    assert len(modules) == 1
    assert unknown == ("bundle_emb.me", "m.y.alpha")


def test_a_checkpoint_has_no_adapters() -> None:
    modules, unknown = group_modules(header_of(key_list("base_flux2_transformer_bfl_keys")))
    assert modules == ()
    assert len(unknown) == 25


def test_peft_metadata_give_alpha_where_no_tensor_does() -> None:
    config = {
        "transformer.r": 16,
        "transformer.lora_alpha": 32,
        "transformer.use_rslora": True,
        "transformer.alpha_pattern": {"blocks.1.attn.to_q": 8, "to_k": 4},
    }
    keys: dict[str, list[int]] = {}
    for name in ("blocks.0.attn.to_q", "blocks.1.attn.to_q", "blocks.0.attn.to_k"):
        keys |= {f"transformer.{name}.lora_A.weight": [16, 64], f"transformer.{name}.lora_B.weight": [64, 16]}
    keys["transformer.blocks.0.attn.to_k.alpha"] = []
    modules, _ = group_modules(header_of(keys, {"lora_adapter_metadata": json.dumps(config)}))
    assert [module.alpha for module in modules] == [32.0, 8.0, None]
    assert [module.rank_stabilised for module in modules] == [True, True, False]


def test_grouping_grows_linearly_with_the_number_of_tensors() -> None:
    def seconds(count: int) -> float:
        keys = {f"lora_unet_blocks_{i}_x.lora_{side}.weight": [4, 4] for i in range(count) for side in ("down", "up")}
        header = header_of(
            keys, {"lora_adapter_metadata": json.dumps({"alpha_pattern": {f"x{i}": 1 for i in range(500)}})}
        )
        start = time.perf_counter()
        group_modules(header)
        return time.perf_counter() - start

    seconds(100)
    assert seconds(20_000) < 40 * seconds(2_000)


class TestMemory:
    """Files that share their names and shapes are grouped once, and never taken for one another."""

    KEYS = lora(["diffusion_model.a", "diffusion_model.b"], 8, 16)

    def header(self, keys: Keys, table: str, metadata: dict[str, str] | None = None) -> Header:
        return replace(header_of(keys, metadata), table_hash=table)

    def test_the_same_table_is_grouped_once(self) -> None:
        first = group_modules(self.header(self.KEYS, "same"))
        assert group_modules(self.header(self.KEYS, "same")) is first

    def test_a_hash_alone_vouches_for_nothing(self) -> None:
        group_modules(self.header(self.KEYS, "forged"))
        modules, _ = group_modules(self.header(lora(["diffusion_model.c"], 8, 16), "forged"))
        assert [module.module for module in modules] == ["c"]

    def test_declared_scales_are_part_of_what_is_remembered(self) -> None:
        def alphas(alpha: int) -> set[float | None]:
            declared = {"lora_adapter_metadata": json.dumps({"lora_alpha": alpha})}
            return {module.alpha for module in group_modules(self.header(self.KEYS, "peft", declared))[0]}

        assert [alphas(8), alphas(16), alphas(8)] == [{8.0}, {16.0}, {8.0}]

    def test_modules_of_the_same_factors_keep_their_own_problems(self) -> None:
        keys = {f"diffusion_model.{name}.lora_down.weight": [4, 8] for name in "ab"}
        modules, _ = group_modules(self.header(keys, ""))
        assert [module.problems[0].rpartition(", in ")[2] for module in modules] == ["a", "b"]

    def test_the_room_is_bounded(self) -> None:
        memory = _Memory(64)
        tensors = [header_of(lora([f"m{n}"], 8, 16)).tensors for n in range(100)]
        for n, table in enumerate(tensors):
            memory.put((str(n), None), table, ((), ()))
        assert [n for n, table in enumerate(tensors) if memory.get((str(n), None), table)] == list(range(68, 100))
        memory.put(("large", None), tuple(chain.from_iterable(tensors)), ((), ()))
        assert memory.get(("large", None), tuple(chain.from_iterable(tensors))) is None
