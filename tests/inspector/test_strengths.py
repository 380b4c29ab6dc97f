"""Every adapter type's strength against the dense change in float64, and what a damaged module does to it."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lora_weights_builder.inspector import strengths
from lora_weights_builder.inspector.strengths import measure
from lora_weights_builder.inspector.tensor_file import TensorFile, content_hash
from lora_weights_builder.records import AdapterType
from tests.inspector.lora_files import (
    measure_all,
    measure_one,
    modules_by_prefix,
    normal,
    one_module,
    raw_file,
    stored,
    tucker_loha,
    write,
)

Values = dict[str, NDArray[np.float64]]

DTYPES = ("F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2")
TOLERANCE = 1e-6


def norm(x: NDArray[Any]) -> float:
    return float(np.linalg.norm(x.reshape(-1)))


def close(measured: float, dense: float) -> bool:
    return abs(measured - dense) <= TOLERANCE * dense


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("out", "into", "rank"), [(96, 64, 4), (3072, 768, 16), (640, 2560, 64), (300, 200, 128)])
def test_lora_is_the_norm_of_up_times_down(tmp_path: Path, dtype: str, out: int, into: int, rank: int) -> None:
    tensors = {"lora_down": normal(1, rank, into), "lora_up": normal(2, out, rank)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype))
    dense = norm(stored(tensors["lora_up"], dtype) @ stored(tensors["lora_down"], dtype))
    assert close(measured.norm, dense)
    assert (measured.kind, measured.alpha, measured.finite, measured.problems) == ("delta", None, True, ())


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_scale_is_alpha_over_rank(tmp_path: Path, dtype: str) -> None:
    tensors = {"alpha": np.array(2.0), "lora_down": normal(1, 8, 40), "lora_up": normal(2, 30, 8)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype))
    dense = 0.25 * norm(stored(tensors["lora_up"], dtype) @ stored(tensors["lora_down"], dtype))
    assert close(measured.norm, dense)
    assert measured.alpha == 2.0


def test_a_rank_stabilised_scale_divides_by_the_root_of_the_rank(tmp_path: Path) -> None:
    tensors = {"lora_down": normal(1, 16, 40), "lora_up": normal(2, 30, 16)}
    path = write(tmp_path / "a.safetensors", tensors)
    dense = norm(stored(tensors["lora_up"], "F32") @ stored(tensors["lora_down"], "F32"))
    assert close(measure_one(path, alpha=8.0, rank_stabilised=True).norm, 2.0 * dense)
    assert close(measure_one(path, alpha=8.0).norm, 0.5 * dense)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_convolution_is_flattened(tmp_path: Path, dtype: str) -> None:
    tensors = {"lora_down": normal(1, 8, 20, 3, 3), "lora_up": normal(2, 30, 8, 1, 1)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "locon")
    dense = norm(stored(tensors["lora_up"], dtype).reshape(30, 8) @ stored(tensors["lora_down"], dtype).reshape(8, 180))
    assert close(measured.norm, dense)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tucker_core_joins_both_factors(tmp_path: Path, dtype: str) -> None:
    tensors = {
        "alpha": np.array(4.0),
        "lora_down": normal(1, 8, 20, 1, 1),
        "lora_mid": normal(2, 8, 8, 3, 3),
        "lora_up": normal(3, 30, 8, 1, 1),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "locon")
    down, mid, up = (stored(tensors[role], dtype) for role in ("lora_down", "lora_mid", "lora_up"))
    dense = 0.5 * norm(np.einsum("ip,pqkl,qj->ijkl", up[:, :, 0, 0], mid, down[:, :, 0, 0]))
    assert close(measured.norm, dense)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [4, 16, 24])
def test_loha_is_the_norm_of_the_elementwise_product(tmp_path: Path, dtype: str, rank: int) -> None:
    tensors = {
        "alpha": np.array(1.0),
        "hada_w1_a": normal(1, 150, rank, scale=0.5),
        "hada_w1_b": normal(2, rank, 90, scale=0.5),
        "hada_w2_a": normal(3, 150, rank, scale=0.5),
        "hada_w2_b": normal(4, rank, 90, scale=0.5),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "loha")
    one_a, one_b, two_a, two_b = (stored(x, dtype) for role, x in tensors.items() if role != "alpha")
    assert close(measured.norm, norm((one_a @ one_b) * (two_a @ two_b)) / rank)


def test_a_wide_loha_is_measured_tile_by_tile(tmp_path: Path) -> None:
    tensors = {
        "hada_w1_a": normal(1, 700, 20),
        "hada_w1_b": normal(2, 20, 9000),
        "hada_w2_a": normal(3, 700, 20),
        "hada_w2_b": normal(4, 20, 9000),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, "F16"), "loha")
    one_a, one_b, two_a, two_b = (stored(x, "F16") for x in tensors.values())
    assert close(measured.norm, norm((one_a @ one_b) * (two_a @ two_b)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tucker_loha_has_transposed_factors(tmp_path: Path, dtype: str) -> None:
    tensors, dense = tucker_loha(dtype)
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "loha")
    assert close(measured.norm, norm(dense))


@pytest.mark.parametrize("dtype", DTYPES)
def test_lokr_of_whole_factors_ignores_alpha(tmp_path: Path, dtype: str) -> None:
    tensors = {"alpha": np.array(3.0), "lokr_w1": normal(1, 8, 6), "lokr_w2": normal(2, 40, 30)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "lokr")
    dense = norm(np.kron(stored(tensors["lokr_w1"], dtype), stored(tensors["lokr_w2"], dtype)))
    assert close(measured.norm, dense)
    assert measured.alpha == 3.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_lokr_is_scaled_where_a_factor_is_decomposed(tmp_path: Path, dtype: str) -> None:
    tensors = {
        "alpha": np.array(1.0),
        "lokr_w1": normal(1, 8, 6),
        "lokr_w2_a": normal(2, 40, 4),
        "lokr_w2_b": normal(3, 4, 30),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "lokr")
    w1, a, b = (stored(tensors[role], dtype) for role in ("lokr_w1", "lokr_w2_a", "lokr_w2_b"))
    assert close(measured.norm, norm(np.kron(w1, a @ b)) / 4)


def test_lokr_of_two_decomposed_factors_and_a_core(tmp_path: Path) -> None:
    tensors = {
        "alpha": np.array(1.0),
        "lokr_w1_a": normal(1, 8, 4),
        "lokr_w1_b": normal(2, 4, 6),
        "lokr_t2": normal(3, 4, 4, 3, 3),
        "lokr_w2_a": normal(4, 4, 20),
        "lokr_w2_b": normal(5, 4, 10),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors), "lokr")
    x = {role: stored(values, "F32") for role, values in tensors.items()}
    right = np.einsum("ijkl,jr,ip->prkl", x["lokr_t2"], x["lokr_w2_b"], x["lokr_w2_a"])
    assert close(measured.norm, norm(x["lokr_w1_a"] @ x["lokr_w1_b"]) * norm(right) / 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dora_is_measured_by_its_direction(tmp_path: Path, dtype: str) -> None:
    tensors = {"dora_scale": normal(9, 30, 1), "lora_down": normal(1, 4, 40), "lora_up": normal(2, 30, 4)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), dora=True)
    dense = norm(stored(tensors["lora_up"], dtype) @ stored(tensors["lora_down"], dtype))
    assert close(measured.norm, dense)
    assert measured.kind == "direction"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(50, 40), (20, 10, 3, 3), (7,), (900, 1100)])
def test_a_full_difference_is_its_own_norm(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    tensors = {"diff": normal(1, *shape), "alpha": np.array(5.0)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "full")
    assert close(measured.norm, norm(stored(tensors["diff"], dtype)))


def test_a_bias_counts_only_beside_an_unchanged_weight(tmp_path: Path) -> None:
    both = write(tmp_path / "a.safetensors", {"diff": np.full((2, 2), 3.0), "diff_b": np.full(4, 100.0)})
    alone = write(tmp_path / "b.safetensors", {"diff_b": np.full(4, 100.0)})
    norms = write(tmp_path / "c.safetensors", {"w_norm": np.full(4, 2.0), "b_norm": np.full(4, 1.0)})
    assert measure_one(both, "full").norm == 6.0
    assert measure_one(alone, "full").norm == 200.0
    assert measure_one(norms, "norm").norm == 4.0


def test_a_replacement_is_named_and_not_measured(tmp_path: Path) -> None:
    measured = measure_one(write(tmp_path / "a.safetensors", {"set_weight": np.ones((3, 3))}), "full")
    assert (measured.norm, measured.finite, measured.measured) == (0.0, True, False)
    assert measured.problems[0].startswith("replacement: model m: ")


@pytest.mark.parametrize("dtype", DTYPES)
def test_oft_is_the_distance_of_its_rotation_from_the_identity(tmp_path: Path, dtype: str) -> None:
    blocks = normal(1, 5, 8, 8)
    measured = measure_one(write(tmp_path / "a.safetensors", {"oft_blocks": blocks}, dtype), "oft")
    x = stored(blocks, dtype)
    q = x - x.transpose(0, 2, 1)
    r = (np.eye(8) + q) @ np.linalg.inv(np.eye(8) - q)
    assert close(measured.norm, norm(r - np.eye(8)))
    assert measured.kind == "rotation"


def test_the_alpha_of_oft_bounds_its_angles(tmp_path: Path) -> None:
    blocks = normal(1, 5, 8, 8)
    path = write(tmp_path / "a.safetensors", {"oft_blocks": blocks, "alpha": np.array(0.001)}, "F64")
    q = blocks - blocks.transpose(0, 2, 1)
    q *= 0.001 * 40 / norm(q)
    r = (np.eye(8) + q) @ np.linalg.inv(np.eye(8) - q)
    assert close(measure_one(path, "oft").norm, norm(r - np.eye(8)))


def test_packed_oft_stores_the_upper_triangle(tmp_path: Path) -> None:
    packed = normal(1, 3, 28)
    measured = measure_one(write(tmp_path / "a.safetensors", {"oft_r": packed}, "F64"), "oft")
    q = np.zeros((3, 8, 8))
    for block, values in zip(q, packed, strict=True):
        block[np.triu_indices(8, 1)] = values
    q = q - q.transpose(0, 2, 1)
    r = np.linalg.inv(np.eye(8) + q) @ (np.eye(8) - q)
    assert close(measured.norm, norm(r - np.eye(8)))


def test_butterfly_oft_multiplies_shuffled_rotations(tmp_path: Path) -> None:
    steps, count, side = 3, 8, 4
    width = count * side
    blocks = normal(1, steps, count, side, side)
    measured = measure_one(write(tmp_path / "a.safetensors", {"oft_blocks": blocks}, "F64"), "boft")
    whole = np.eye(width)
    for step in range(steps):
        q = blocks[step] - blocks[step].transpose(0, 2, 1)
        r = (np.eye(side) + q) @ np.linalg.inv(np.eye(side) - q)
        diagonal = np.zeros((width, width))
        for i in range(count):
            diagonal[i * side : (i + 1) * side, i * side : (i + 1) * side] = r[i]
        gap = 2**step * side // 2
        order = np.arange(width).reshape(-1, 2, gap).transpose(0, 2, 1).reshape(-1)
        shuffle = np.eye(width)[order]
        whole = shuffle.T @ diagonal @ shuffle @ whole
    assert close(measured.norm, norm(whole - np.eye(width)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_glora_is_partial_without_the_base_weight(tmp_path: Path, dtype: str) -> None:
    tensors = {
        "alpha": np.array(2.0),
        "glora_a1": normal(1, 20, 4),
        "glora_a2": normal(2, 4, 20),
        "glora_b1": normal(3, 30, 4),
        "glora_b2": normal(4, 4, 20),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "glora")
    dense = 0.5 * norm(stored(tensors["glora_b1"], dtype) @ stored(tensors["glora_b2"], dtype))
    assert close(measured.norm, dense)
    assert measured.kind == "partial"


def test_ia3_is_the_norm_of_its_scales(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.safetensors",
        {"weight": np.array([3.0, 4.0]), "on_input": np.array(True)},
        {"weight": "F16", "on_input": "BOOL"},
    )
    measured = measure_one(path, "ia3")
    assert (measured.norm, measured.kind) == (5.0, "scale")


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
@pytest.mark.parametrize("power", [3, -3, 6])
def test_strength_does_not_depend_on_how_the_factors_share_a_scale(tmp_path: Path, dtype: str, power: int) -> None:
    down, up = normal(1, 16, 200), normal(2, 100, 16, scale=0.05)
    plain = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}, dtype)).norm
    down, up = stored(down, dtype) * 2.0**power, stored(up, dtype) / 2.0**power
    shared = measure_one(write(tmp_path / "b.safetensors", {"lora_down": down, "lora_up": up}, dtype)).norm
    assert close(shared, norm(stored(up, dtype) @ stored(down, dtype)))
    if dtype != "F16":  # a half loses digits where the power makes it subnormal
        assert close(shared, plain)


@pytest.mark.parametrize("power", [70, -70])
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_squares_outside_float32_are_still_measured(tmp_path: Path, dtype: str, power: int) -> None:
    down, up = stored(normal(1, 16, 200), dtype), stored(normal(2, 100, 16), dtype)
    path = write(tmp_path / "a.safetensors", {"lora_down": down * 2.0**power, "lora_up": up / 2.0**power}, dtype)
    assert close(measure_one(path).norm, norm(up @ down))
    full = write(tmp_path / "b.safetensors", {"diff": down * 2.0**power}, dtype)
    assert close(measure_one(full, "full").norm, norm(down) * 2.0**power)


def test_large_halves_do_not_overflow(tmp_path: Path) -> None:
    tensors = {"lora_down": np.full((4, 5000), 60000.0), "lora_up": np.full((300, 4), 65504.0)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, "F16"))
    assert close(measured.norm, norm(stored(tensors["lora_up"], "F16") @ stored(tensors["lora_down"], "F16")))


@pytest.mark.parametrize("share", [1e-1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_cancelling_factors_keep_their_precision(tmp_path: Path, share: float) -> None:
    rng = np.random.default_rng(3)
    column, row = rng.normal(size=(400, 1)), rng.normal(size=(1, 500))
    up = np.hstack([column, column + share * rng.normal(size=(400, 1))])
    down = np.vstack([row, -row + share * rng.normal(size=(1, 500))])
    path = write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up})
    dense = norm(stored(up, "F32") @ stored(down, "F32"))
    assert close(measure_one(path).norm, dense)


def test_factors_that_cancel_to_nothing_have_no_strength(tmp_path: Path) -> None:
    column, row = normal(1, 400, 1, scale=1), normal(2, 1, 500, scale=1)
    tensors = {"lora_down": np.vstack([row, -row]), "lora_up": np.hstack([column, column])}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors))
    assert measured.norm < 1e-12 * norm(column) * norm(row)


def test_rank_0_missing_halves_and_foreign_numbers_are_named(tmp_path: Path) -> None:
    cases: dict[str, Values] = {
        "missing_half": {"lora_down": np.ones((4, 5))},
        "rank_mismatch": {"lora_down": np.ones((4, 5)), "lora_up": np.ones((6, 3))},
        "rank_zero": {"lora_down": np.ones((0, 5)), "lora_up": np.ones((6, 0)), "pad": np.ones(1)},
        "shape_mismatch": {"lora_down": np.ones((4, 5)), "lora_up": np.ones(6)},
    }
    for code, tensors in cases.items():
        measured = measure_one(write(tmp_path / f"{code}.safetensors", tensors))
        assert measured.problems[0].split(":")[0] == code
        assert (measured.norm, measured.finite, measured.measured) == (0.0, True, False)
    integers = write(tmp_path / "i.safetensors", {"lora_down": np.ones((4, 5)), "lora_up": np.ones((6, 4))}, "I8")
    assert measure_one(integers).problems[0].startswith("integer_weights: ")


def test_an_alpha_of_several_numbers_is_named(tmp_path: Path) -> None:
    tensors = {"alpha": np.ones(3), "lora_down": np.ones((4, 5)), "lora_up": np.ones((6, 4))}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors))
    assert measured.problems[0].startswith("alpha_vector: ")
    assert not measured.measured


def test_an_alpha_that_is_no_number_is_not_finite(tmp_path: Path) -> None:
    tensors = {"alpha": np.array([np.nan]), "lora_down": np.ones((4, 5)), "lora_up": np.ones((6, 4))}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors))
    assert not measured.finite
    assert math.isnan(measured.norm)
    assert measured.problems[0].startswith("alpha_not_finite: ")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_bad_number_spoils_its_module_and_no_other(tmp_path: Path, dtype: str, value: float) -> None:
    tensors = {f"{name}.{role}": normal(7, 40, 40) for name in "abc" for role in ("lora_down", "lora_up")}
    tensors["b.lora_up"][17, 3] = value
    measured = measure_all(write(tmp_path / "a.safetensors", tensors, dtype)).strengths
    assert [strength.finite for strength in measured] == [True, False, True]
    assert math.isnan(measured[1].norm)
    assert measured[0].norm == measured[2].norm > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("full", {"diff": (30, 30)}),
        ("loha", {"hada_w1_a": (9, 4), "hada_w1_b": (4, 9), "hada_w2_a": (9, 4), "hada_w2_b": (4, 9)}),
        ("lokr", {"lokr_w1": (9, 4), "lokr_w2": (4, 9)}),
        ("oft", {"oft_blocks": (4, 3, 3)}),
        ("locon", {"lora_up": (9, 4, 1, 1), "lora_mid": (4, 4, 3, 3), "lora_down": (4, 9, 1, 1)}),
    ],
)
def test_a_bad_number_shows_in_every_adapter_type(
    tmp_path: Path, dtype: str, kind: AdapterType, shapes: dict[str, tuple[int, ...]]
) -> None:
    for bad in shapes:
        tensors = {role: normal(1, *shape) for role, shape in shapes.items()}
        tensors[bad].reshape(-1)[-1] = np.nan
        assert not measure_one(write(tmp_path / "a.safetensors", tensors, dtype), kind).finite


def test_factors_may_come_in_any_order_and_of_mixed_dtypes(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    plain = {f"m{i}": (rng.normal(size=(8, 33)), rng.normal(size=(21, 8))) for i in range(40)}
    kinds = ["F16", "BF16", "F32", "F64", "F8_E4M3"]
    entries = []
    for i, (name, (down, up)) in enumerate(plain.items()):
        entries += [(f"{name}.lora_down", down, kinds[i % 5]), (f"{name}.lora_up", up, kinds[(i + 2) % 5])]
        entries += [(f"{name}.alpha", np.array(4.0), kinds[(i + 1) % 4])]
    random.Random(5).shuffle(entries)
    dtypes = {name: dtype for name, _, dtype in entries}
    path = write(tmp_path / "a.safetensors", {name: x for name, x, _ in entries}, dtypes)
    with TensorFile.open(path) as file:
        modules = modules_by_prefix(file.header)
        measured = measure(file, modules)
    for module, strength in zip(modules, measured.strengths, strict=True):
        down, up = plain[module.module]
        down = stored(down, dtypes[f"{module.module}.lora_down"])
        up = stored(up, dtypes[f"{module.module}.lora_up"])
        assert close(strength.norm, 0.5 * norm(up @ down))
    assert measured.content_hash == content_hash(path)[1]


def test_modules_that_share_an_alpha_both_get_it(tmp_path: Path) -> None:
    tensors = {"alpha": np.array(2.0), "lora_down": np.ones((4, 5)), "lora_up": np.ones((6, 4))}
    path = write(tmp_path / "a.safetensors", tensors)
    with TensorFile.open(path) as file:
        module = one_module(file.header)
        measured = measure(file, [module, module])
    assert [strength.alpha for strength in measured.strengths] == [2.0, 2.0]


def test_without_a_hash_only_wanted_tensors_are_read(tmp_path: Path) -> None:
    tensors = {"a.lora_down": normal(1, 8, 90), "pad": normal(2, 400, 400), "a.lora_up": normal(3, 70, 8)}
    path = write(tmp_path / "a.safetensors", tensors)
    with TensorFile.open(path) as file:
        modules = [module for module in modules_by_prefix(file.header) if module.module == "a"]
        measured = measure(file, modules, hash_content=False)
    assert measured.content_hash is None
    dense = norm(stored(tensors["a.lora_up"], "F32") @ stored(tensors["a.lora_down"], "F32"))
    assert close(measured.strengths[0].norm, dense)


def test_factors_longer_than_a_span_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = {"lora_down": normal(1, 8, 999), "lora_up": normal(2, 777, 8)}
    path = write(tmp_path / "a.safetensors", tensors, "F16")
    dense = norm(stored(tensors["lora_up"], "F16") @ stored(tensors["lora_down"], "F16"))
    for span in (64, 1000, 4096):
        monkeypatch.setattr(strengths, "SPAN_BYTES", span)
        with TensorFile.open(path) as file:
            measured = measure(file, [one_module(file.header)])
        assert close(measured.strengths[0].norm, dense)
        assert measured.content_hash == content_hash(path)[1]


@pytest.mark.parametrize(("limit", "value"), [("HOLD_ELEMENTS", 100), ("GRAM_RANK", 4), ("KEPT_GRAM_BYTES", 10)])
def test_what_does_not_fit_into_memory_is_summed_after_the_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    tensors = {"lora_down": normal(1, 24, 999), "lora_up": normal(2, 777, 24)}
    path = write(tmp_path / "a.safetensors", tensors, "F16")
    monkeypatch.setattr(strengths, limit, value)
    monkeypatch.setattr("lora_weights_builder.inspector.terms.RANK_BLOCK", 10)
    monkeypatch.setattr("lora_weights_builder.inspector.factors.PIECE_BYTES", 4096)
    assert close(measure_one(path).norm, norm(stored(tensors["lora_up"], "F16") @ stored(tensors["lora_down"], "F16")))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rank=st.integers(1, 40),
    out=st.integers(1, 90),
    into=st.integers(1, 90),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32 - 1),
)
def test_splitting_the_rows_of_a_fused_weight_keeps_the_sum_of_squares(
    tmp_path: Path, rank: int, out: int, into: int, dtype: str, seed: int
) -> None:
    down, up = normal(seed, rank, into), normal(seed + 1, 2 * out, rank)
    fused = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}, dtype)).norm
    halves = [
        measure_one(write(tmp_path / "b.safetensors", {"lora_down": down, "lora_up": part}, dtype)).norm
        for part in (up[:out], up[out:])
    ]
    assert math.isclose(math.hypot(*halves), fused, rel_tol=1e-6)


MEASURE_PEAK = """
import resource, sys
from pathlib import Path
from lora_weights_builder.inspector.strengths import limit_blas_threads
limit_blas_threads()
from lora_weights_builder.inspector.strengths import measure
from lora_weights_builder.inspector.tensor_file import TensorFile
from tests.inspector.lora_files import modules_by_prefix

with TensorFile.open(sys.argv[1]) as file:
    measured = measure(file, modules_by_prefix(file.header))
assert all(strength.finite and strength.measured for strength in measured.strengths), measured
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss begins with the peak of the process that started this one
    print(next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1))
"""


@pytest.mark.parametrize("filled", [False, True], ids=["zeros", "some numbers"])
@pytest.mark.parametrize(
    "shapes",
    [
        {"full.diff": (20_000, 15_000)},
        {"wide.lora_down": (256, 150_000), "wide.lora_up": (150_000, 256)},
        {"deep.lora_down": (1500, 1600), "deep.lora_up": (1600, 1500)},
        {f"m{i}.lora_{side}": (600, 600) for side in ("down", "up") for i in range(30)},
        {"h.hada_w1_a": (4000, 64), "h.hada_w1_b": (64, 9000), "h.hada_w2_a": (4000, 64), "h.hada_w2_b": (64, 9000)},
    ],
    ids=["a large difference", "a wide factor", "a high rank", "partners far apart", "a large Hadamard product"],
)
def test_memory_is_bounded_whatever_the_file_holds(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], filled: bool
) -> None:
    header: dict[str, dict[str, Any]] = {}
    position = 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [position, position + size]}
        position += size
    path = tmp_path / "sparse.safetensors"
    with path.open("wb") as file:
        start = file.write(raw_file(header))
        for entry in header.values() if filled else ():
            begin, _ = entry["data_offsets"]
            file.seek(start + begin)
            file.write(normal(1, 20_000).astype(np.float16).tobytes())
        file.truncate(start + position)
    command = [sys.executable, "-c", MEASURE_PEAK, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}
    root = Path(__file__).parents[2]
    peak = subprocess.run(command, check=True, capture_output=True, cwd=root, env=environment).stdout
    assert int(peak) < 150_000
