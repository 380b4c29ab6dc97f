"""Singular values of every adapter type against the dense change's, in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lora_weights_builder.inspector import hadamard, pair_spectra, terms
from lora_weights_builder.inspector.spectra import Spectrum, product_spectrum, spectrum_of
from lora_weights_builder.records import AdapterType, ModuleStrength
from tests.inspector.lora_files import measure_all, measure_one, normal, stored, tucker_loha, write

Values = dict[str, NDArray[np.float64]]

DTYPES = ("F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2")
#: Shares of the largest singular value. Of 16 and 8 bits, the stored numbers' own rounding is ten times as large.
TOLERANCE = {"F32": 1e-5, "F64": 1e-5, "F16": 5e-5}
TOLERANCE_ELSE = 2e-4


def decaying(seed: int, rows: int, columns: int, rank: int, share: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Factors [rows, rank] and [rank, columns] of a matrix whose singular values are share^i."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(rows, rank)))[0]
    right = np.linalg.qr(rng.normal(size=(columns, rank)))[0]
    turn = np.linalg.qr(rng.normal(size=(rank, rank)))[0]
    sizes = np.sqrt(share ** np.arange(rank))
    return left * sizes @ turn, turn.T @ (sizes[:, None] * right.T)


def singular(dense: NDArray[Any]) -> NDArray[np.float64]:
    return np.linalg.svd(dense.reshape(len(dense), -1), compute_uv=False)


def difference(measured: ModuleStrength, dense: NDArray[Any], *, leading: int | None = None) -> float:
    """The largest error as a share of the largest value; what is not listed counts as zero where all is listed."""
    true = singular(dense)
    listed = np.array(measured.singular_values)
    assert (np.diff(listed) <= 0).all()
    assert (listed > 0).all()
    count = leading or (len(true) if measured.complete else len(listed))
    padded = np.zeros(count)
    padded[: len(listed)] = listed[:count]
    return float(np.abs(padded - true[:count]).max() / true[0])


def exact(measured: ModuleStrength, dense: NDArray[Any], dtype: str) -> bool:
    return measured.complete and difference(measured, dense) <= TOLERANCE.get(dtype, TOLERANCE_ELSE)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("out", "into", "rank"), [(40, 30, 1), (96, 64, 4), (700, 500, 16), (640, 300, 32), (300, 200, 128), (9, 50, 16)]
)
def test_lora_has_those_of_up_times_down_scaled(tmp_path: Path, dtype: str, out: int, into: int, rank: int) -> None:
    tensors = {"alpha": np.array(rank / 2), "lora_down": normal(1, rank, into), "lora_up": normal(2, out, rank)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype))
    dense = stored(tensors["lora_up"], dtype) @ stored(tensors["lora_down"], dtype) / 2
    assert exact(measured, dense, dtype)
    assert len(measured.singular_values) == min(out, into, rank)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("share", [0.9, 0.6, 0.2])
def test_small_values_beside_large_ones_keep_their_precision(tmp_path: Path, dtype: str, share: float) -> None:
    up, down = decaying(3, 800, 600, 32, share)
    measured = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}, dtype))
    assert difference(measured, stored(up, dtype) @ stored(down, dtype)) <= TOLERANCE.get(dtype, TOLERANCE_ELSE)
    assert measured.complete


@pytest.mark.parametrize("dtype", ["F32", "F64"])
def test_a_factor_without_full_rank_lists_only_what_is_there(tmp_path: Path, dtype: str) -> None:
    up, down = normal(1, 300, 6) @ normal(2, 6, 32), normal(3, 32, 200)
    for name, (b, a) in {"up": (up, down), "down": (down.T, up.T)}.items():
        measured = measure_one(write(tmp_path / f"{name}.safetensors", {"lora_down": a, "lora_up": b}, "F64"))
        assert len(measured.singular_values) == 6
        assert exact(measured, b @ a, "F64")
    rounded = measure_one(write(tmp_path / "c.safetensors", {"lora_down": down, "lora_up": up}, dtype))
    assert exact(rounded, stored(up, dtype) @ stored(down, dtype), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ranks_of_zeros_are_left_out(tmp_path: Path, dtype: str) -> None:
    up, down = normal(1, 300, 16), normal(2, 16, 200)
    up[:, 5:9] = 0.0
    down[12:] = 0.0
    measured = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}, dtype))
    assert len(measured.singular_values) == 8
    assert exact(measured, stored(up, dtype) @ stored(down, dtype), dtype)


@pytest.mark.parametrize("share", [1e-1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_cancelling_factors_keep_their_precision(tmp_path: Path, share: float) -> None:
    rng = np.random.default_rng(3)
    column, row = rng.normal(size=(400, 1)), rng.normal(size=(1, 500))
    up = np.hstack([column, column + share * rng.normal(size=(400, 1))])
    down = np.vstack([row, -row + share * rng.normal(size=(1, 500))])
    measured = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}))
    assert exact(measured, stored(up, "F32") @ stored(down, "F32"), "F32")


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [
        ("lora", {"lora_down": np.ones((4, 50)), "lora_up": np.zeros((30, 4))}),
        ("locon", {"lora_up": np.zeros((9, 4, 1, 1)), "lora_mid": np.ones((4, 4, 3, 3)), "lora_down": np.ones((4, 9))}),
        ("loha", {f"hada_w{i}_{s}": np.zeros((8, 8)) for i in "12" for s in "ab"}),
        ("loha", {f"hada_w{i}_{s}": np.zeros((30, 30)) for i in "12" for s in "ab"}),
        ("lokr", {"lokr_w1": np.zeros((4, 4)), "lokr_w2": np.ones((4, 4))}),
        ("full", {"diff": np.zeros((500, 600))}),
    ],
)
@pytest.mark.parametrize("dtype", ["F16", "F32"])
def test_no_change_has_no_values_and_misses_none(
    tmp_path: Path, kind: AdapterType, tensors: Values, dtype: str
) -> None:
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), kind)
    assert (measured.norm, measured.singular_values, measured.complete) == (0.0, (), True)


@pytest.mark.parametrize("power", [70, 30, -30, -70, -100])
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_the_size_of_the_numbers_does_not_matter(tmp_path: Path, dtype: str, power: int) -> None:
    down, up = stored(normal(1, 16, 200), dtype), stored(normal(2, 100, 16), dtype)
    shared = {"lora_down": down * 2.0**power, "lora_up": up * 2.0**-power}
    assert exact(measure_one(write(tmp_path / "a.safetensors", shared, dtype)), up @ down, dtype)
    dense = normal(3, 420, 1) @ normal(4, 1, 390) + normal(5, 420, 390, scale=1e-6)
    diff = stored(dense, dtype) * 2.0**power
    measured = measure_one(write(tmp_path / "b.safetensors", {"diff": diff}, dtype), "full")
    assert difference(measured, diff, leading=1) <= 1e-3


@pytest.mark.parametrize("power", [3, -3, 6])
def test_values_do_not_depend_on_how_the_factors_share_a_scale(tmp_path: Path, power: int) -> None:
    down, up = normal(1, 16, 200), normal(2, 100, 16)
    plain = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}))
    shared = {"lora_down": down * 2.0**power, "lora_up": up / 2.0**power}
    assert measure_one(write(tmp_path / "b.safetensors", shared)).singular_values == plain.singular_values


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_convolution_is_flattened_into_its_inputs(tmp_path: Path, dtype: str) -> None:
    tensors = {"lora_down": normal(1, 8, 20, 3, 3), "lora_up": normal(2, 30, 8, 1, 1)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "locon")
    dense = stored(tensors["lora_up"], dtype).reshape(30, 8) @ stored(tensors["lora_down"], dtype).reshape(8, 180)
    assert exact(measured, dense, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tucker_core_is_flattened_into_its_inputs(tmp_path: Path, dtype: str) -> None:
    tensors = {
        "alpha": np.array(4.0),
        "lora_down": normal(1, 8, 20, 1, 1),
        "lora_mid": normal(2, 8, 8, 3, 3),
        "lora_up": normal(3, 30, 8, 1, 1),
    }
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "locon")
    down, mid, up = (stored(tensors[role], dtype) for role in ("lora_down", "lora_mid", "lora_up"))
    assert exact(measured, 0.5 * np.einsum("ip,pqkl,qj->ijkl", up[:, :, 0, 0], mid, down[:, :, 0, 0]), dtype)


def loha(rank: int, out: int = 150, into: int = 90) -> Values:
    """LoHa factors whose product decays."""
    one, two = decaying(1, out, into, rank, 0.7), decaying(2, out, into, rank, 0.5)
    return {"hada_w1_a": one[0], "hada_w1_b": one[1], "hada_w2_a": two[0], "hada_w2_b": two[1]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [1, 4, 8, 16])
def test_a_narrow_loha_has_all_of_them(tmp_path: Path, dtype: str, rank: int) -> None:
    tensors = {role: 8 * values for role, values in loha(rank).items()}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "loha")
    one_a, one_b, two_a, two_b = (stored(x, dtype) for x in tensors.values())
    assert measured.complete
    assert difference(measured, (one_a @ one_b) * (two_a @ two_b)) <= 2e-4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ways", [64**2, 0], ids=["vectors", "tiles"])
def test_a_wide_loha_has_the_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, ways: int) -> None:
    monkeypatch.setattr(hadamard, "VECTOR_RANKS", ways)
    tensors = {role: 8 * values for role, values in loha(24, 300, 260).items()}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "loha")
    one_a, one_b, two_a, two_b = (stored(x, dtype) for x in tensors.values())
    assert (len(measured.singular_values), measured.complete) == (16, False)
    assert difference(measured, (one_a @ one_b) * (two_a @ two_b), leading=8) <= 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", [256, 0], ids=["grams", "tiles"])
def test_a_tucker_loha(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, limit: int) -> None:
    monkeypatch.setattr(hadamard, "KHATRI_RAO_RANKS", limit)
    tensors, dense = tucker_loha(dtype)
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype), "loha")
    assert len(measured.singular_values) == (36 if limit else 16)
    assert measured.complete == (limit > 0)
    assert difference(measured, dense, leading=8) <= (1e-5 if limit else 1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lokr_has_the_products_of_its_factors(tmp_path: Path, dtype: str) -> None:
    whole = {"alpha": np.array(3.0), "lokr_w1": normal(1, 4, 6), "lokr_w2": normal(2, 12, 10, 3, 3)}
    measured = measure_one(write(tmp_path / "a.safetensors", whole, dtype), "lokr")
    right = stored(whole["lokr_w2"], dtype).reshape(12, -1)
    dense = np.kron(stored(whole["lokr_w1"], dtype), right)
    assert exact(measured, dense, dtype)
    assert len(measured.singular_values) == 48
    low = {
        "alpha": np.array(1.0),
        "lokr_w1": normal(1, 8, 6),
        "lokr_w2_a": normal(2, 40, 4),
        "lokr_w2_b": normal(3, 4, 30),
    }
    measured = measure_one(write(tmp_path / "b.safetensors", low, dtype), "lokr")
    w1, a, b = (stored(low[role], dtype) for role in ("lokr_w1", "lokr_w2_a", "lokr_w2_b"))
    assert exact(measured, np.kron(w1, a @ b) / 4, dtype)


def test_lokr_keeps_the_64_largest_and_says_that_there_are_more(tmp_path: Path) -> None:
    tensors = {"lokr_w1": normal(1, 16, 16), "lokr_w2": normal(2, 40, 30)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors), "lokr")
    dense = np.kron(stored(tensors["lokr_w1"], "F32"), stored(tensors["lokr_w2"], "F32"))
    assert (len(measured.singular_values), measured.complete) == (64, False)
    assert difference(measured, dense) <= 1e-5


def test_lokr_with_a_core(tmp_path: Path) -> None:
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
    right = np.einsum("ijkl,jr,ip->prkl", x["lokr_t2"], x["lokr_w2_b"], x["lokr_w2_a"]).reshape(20, -1)
    assert exact(measured, np.kron(x["lokr_w1_a"] @ x["lokr_w1_b"], right) / 4, "F32")


def test_a_product_lists_nothing_that_an_unlisted_value_could_exceed() -> None:
    some = Spectrum(np.array([8.0, 4.0]), complete=False)
    product = product_spectrum([some, spectrum_of(np.array([1.0, 0.6, 0.1]))])
    assert product.values.tolist() == [8.0, 4.8, 4.0]  # 2.4 and less might stand below a third value of 4.0
    assert not product.complete


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(50, 40), (20, 10, 3, 3), (3, 3000), (7,), (1, 900), (80, 1)])
def test_a_small_difference_has_all_of_them(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    values = normal(1, *shape)
    measured = measure_one(write(tmp_path / "a.safetensors", {"diff": values}, dtype), "full")
    dense = stored(values, dtype)
    assert exact(measured, dense.reshape(1, -1) if len(shape) == 1 else dense, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(500, 700), (700, 50, 3, 3)])
def test_a_large_difference_has_the_largest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr("lora_weights_builder.inspector.factors.PIECE_BYTES", 100_000)
    up, down = decaying(3, shape[0], 700 if len(shape) == 2 else 450, 60, 0.85)
    dense = 40 * (up @ down).reshape(shape)
    measured = measure_one(write(tmp_path / "a.safetensors", {"diff": dense}, dtype), "full")
    assert (len(measured.singular_values), measured.complete) == (16, False)
    assert difference(measured, stored(dense, dtype), leading=8) <= 1e-3


@pytest.mark.parametrize("dtype", ["F16", "F32"])
@pytest.mark.parametrize(("limit", "value"), [("terms.LONG_SIDE", 600), ("leading.KEPT_ELEMENTS", 0)])
def test_a_long_difference_is_measured_in_less_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, limit: str, value: int
) -> None:
    monkeypatch.setattr(f"lora_weights_builder.inspector.{limit}", value)
    up, down = decaying(3, 300, 900, 60, 0.85)
    dense = 40 * (up @ down)
    measured = measure_one(write(tmp_path / "a.safetensors", {"diff": dense}, dtype), "full")
    assert (len(measured.singular_values), measured.complete) == (16, False)
    assert difference(measured, stored(dense, dtype), leading=8) <= 1e-3


def test_a_large_difference_of_low_rank_says_that_it_is_complete(tmp_path: Path) -> None:
    up, down = decaying(3, 500, 700, 5, 0.5)
    measured = measure_one(write(tmp_path / "a.safetensors", {"diff": up @ down}), "full")
    assert (len(measured.singular_values), measured.complete) == (5, True)
    assert measured.singular_values == pytest.approx([1, 0.5, 0.25, 0.125, 0.0625], rel=1e-5)


def test_dora_has_those_of_its_direction_and_glora_those_of_its_b_part(tmp_path: Path) -> None:
    dora = {"dora_scale": normal(9, 30, 1), "lora_down": normal(1, 4, 40), "lora_up": normal(2, 30, 4)}
    measured = measure_one(write(tmp_path / "a.safetensors", dora), dora=True)
    assert exact(measured, stored(dora["lora_up"], "F32") @ stored(dora["lora_down"], "F32"), "F32")
    glora = {
        "glora_a1": normal(1, 20, 4),
        "glora_a2": normal(2, 4, 20),
        "glora_b1": normal(3, 30, 4),
        "glora_b2": normal(4, 4, 20),
    }
    measured = measure_one(write(tmp_path / "b.safetensors", glora), "glora")
    assert exact(measured, stored(glora["glora_b1"], "F32") @ stored(glora["glora_b2"], "F32"), "F32")


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [
        ("oft", {"oft_blocks": normal(1, 5, 8, 8)}),
        ("boft", {"oft_blocks": normal(1, 3, 8, 4, 4)}),
        ("ia3", {"weight": np.ones((40, 1)), "on_input": np.array(0.0)}),
    ],
)
def test_rotations_and_scales_have_none(tmp_path: Path, kind: AdapterType, tensors: Values) -> None:
    measured = measure_one(write(tmp_path / "a.safetensors", tensors), kind)
    assert measured.norm > 0
    assert (measured.singular_values, measured.complete) == ((), False)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bad_number_leaves_no_spectrum(tmp_path: Path, dtype: str, value: float) -> None:
    tensors = {f"{name}.{role}": normal(7, 40, 40) for name in "abc" for role in ("lora_down", "lora_up")}
    tensors["b.lora_up"][17, 3] = value
    measured = measure_all(write(tmp_path / "a.safetensors", tensors, dtype)).strengths
    assert [len(strength.singular_values) for strength in measured] == [40, 0, 40]
    full = measure_one(write(tmp_path / "b.safetensors", {"diff": tensors["b.lora_up"]}, dtype), "full")
    assert (full.singular_values, full.complete) == ((), False)


def test_more_than_256_values_are_cut_and_said_to_be(tmp_path: Path) -> None:
    tensors = {"lora_down": normal(1, 300, 400), "lora_up": normal(2, 500, 300)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors))
    assert (len(measured.singular_values), measured.complete) == (256, False)
    assert difference(measured, stored(tensors["lora_up"], "F32") @ stored(tensors["lora_down"], "F32")) <= 1e-5


def test_a_rank_beyond_grams_has_the_largest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "RANK_BLOCK", 20)
    monkeypatch.setattr("lora_weights_builder.inspector.strengths.GRAM_RANK", 20)
    up, down = decaying(1, 300, 400, 60, 0.8)
    measured = measure_one(write(tmp_path / "a.safetensors", {"lora_down": down, "lora_up": up}))
    assert (len(measured.singular_values), measured.complete) == (16, False)
    assert difference(measured, up @ down, leading=8) <= 1e-3


def test_modules_of_many_ranks_keep_their_own_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_spectra, "BATCH_BYTES", 3000)
    monkeypatch.setattr(pair_spectra, "WAITING_BYTES", 8000)
    tensors = {}
    for i in range(40):
        tensors[f"m{i}.lora_down"] = normal(i, 1 + i % 7, 33, scale=1 + i)
        tensors[f"m{i}.lora_up"] = normal(i + 99, 21, 1 + i % 7)
    measured = measure_all(write(tmp_path / "a.safetensors", tensors)).strengths
    for i, strength in enumerate(measured):
        assert exact(
            strength, stored(tensors[f"m{i}.lora_up"], "F32") @ stored(tensors[f"m{i}.lora_down"], "F32"), "F32"
        )


def test_the_same_file_has_the_same_values_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"diff": normal(1, 500, 450)}, "F16")
    assert measure_one(path, "full").singular_values == measure_one(path, "full").singular_values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rank=st.integers(1, 20),
    out=st.integers(1, 60),
    into=st.integers(1, 60),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**32 - 1),
)
def test_their_squares_add_up_to_the_squared_norm(
    tmp_path: Path, rank: int, out: int, into: int, dtype: str, seed: int
) -> None:
    tensors = {"lora_down": normal(seed, rank, into), "lora_up": normal(seed + 1, out, rank)}
    measured = measure_one(write(tmp_path / "a.safetensors", tensors, dtype))
    assert measured.complete
    assert float(np.linalg.norm(measured.singular_values)) == pytest.approx(measured.norm, rel=2e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rank=st.integers(1, 12), out=st.integers(1, 40), into=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_modules_with_orthogonal_inputs_are_the_fused_one_side_by_side(
    tmp_path: Path, rank: int, out: int, into: int, seed: int
) -> None:
    """A fused weight of block-diagonal halves is both of them: their values together, in order."""
    one = normal(seed, rank, into), normal(seed + 1, out, rank)
    two = normal(seed + 2, rank, into), normal(seed + 3, out, rank)
    down, up = np.zeros((2 * rank, 2 * into)), np.zeros((2 * out, 2 * rank))
    down[:rank, :into], down[rank:, into:] = one[0], two[0]
    up[:out, :rank], up[out:, rank:] = one[1], two[1]
    parts = [
        value
        for down_half, up_half in (one, two)
        for value in measure_one(
            write(tmp_path / "h.safetensors", {"lora_down": down_half, "lora_up": up_half}, "F64")
        ).singular_values
    ]
    fused = measure_one(write(tmp_path / "f.safetensors", {"lora_down": down, "lora_up": up}, "F64"))
    count = min(len(parts), len(fused.singular_values))
    assert np.allclose(sorted(parts)[::-1][:count], fused.singular_values[:count], rtol=0, atol=1e-5 * max(parts))
