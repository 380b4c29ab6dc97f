"""The planted norms, measured the slow way: factors read back from their bytes, the dense product formed."""

from __future__ import annotations

import hashlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lora_weights_builder.demo import planted_factors as planted
from lora_weights_builder.demo.planted_factors import Draw, Factor, StoredDtype, Weight

DTYPES = {"F16": np.dtype("<f2"), "BF16": np.dtype(ml_dtypes.bfloat16), "F32": np.dtype("<f4")}
MODULE = Weight(320, 768)
CONVOLUTION = Weight(64, 32, (3, 3))


def read_back(factors: list[Factor], dtype: StoredDtype) -> dict[str, NDArray[np.float64]]:
    tensors = [planted.stored(factor.role, factor.values, dtype) for factor in factors]
    return {
        tensor.name: np.frombuffer(tensor.data, DTYPES[dtype]).astype(np.float64).reshape(tensor.shape)
        for tensor in tensors
    }


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32"])
@pytest.mark.parametrize("norm", [0.02, 0.37, 2.5])
class TestPlantedNorm:
    def test_lora(self, dtype: StoredDtype, norm: float) -> None:
        read = read_back(planted.lora(MODULE, norm, Draw("a"), rank=2, scale=0.5), dtype)
        assert np.linalg.norm(0.5 * read["lora_up"] @ read["lora_down"]) == pytest.approx(norm, rel=1e-3)

    def test_convolution(self, dtype: StoredDtype, norm: float) -> None:
        read = read_back(planted.lora(CONVOLUTION, norm, Draw("b"), rank=4, scale=1.0), dtype)
        assert read["lora_down"].shape == (4, 32, 3, 3)
        assert read["lora_up"].shape == (64, 4, 1, 1)
        product = read["lora_up"].reshape(64, 4) @ read["lora_down"].reshape(4, 288)
        assert np.linalg.norm(product) == pytest.approx(norm, rel=1e-3)

    def test_loha(self, dtype: StoredDtype, norm: float) -> None:
        read = read_back(planted.loha(MODULE, norm, Draw("c"), rank=2, scale=0.25), dtype)
        product = (read["hada_w1_a"] @ read["hada_w1_b"]) * (read["hada_w2_a"] @ read["hada_w2_b"])
        assert np.linalg.norm(0.25 * product) == pytest.approx(norm, rel=1e-3)

    def test_decomposed_lokr_is_scaled(self, dtype: StoredDtype, norm: float) -> None:
        read = read_back(planted.lokr(MODULE, norm, Draw("d"), rank=2, scale=0.5, factor=8), dtype)
        product = np.kron(read["lokr_w1"], read["lokr_w2_a"] @ read["lokr_w2_b"])
        assert product.shape == (320, 768)
        assert np.linalg.norm(0.5 * product) == pytest.approx(norm, rel=1e-3)

    def test_whole_lokr_has_no_scale(self, dtype: StoredDtype, norm: float) -> None:
        read = read_back(planted.lokr(MODULE, norm, Draw("e"), rank=None, scale=0.5, factor=8), dtype)
        assert np.linalg.norm(np.kron(read["lokr_w1"], read["lokr_w2"])) == pytest.approx(norm, rel=1e-3)

    def test_full(self, dtype: StoredDtype, norm: float) -> None:
        read = read_back(planted.full(CONVOLUTION, norm, Draw("f")), dtype)
        assert np.linalg.norm(read["diff"]) == pytest.approx(norm, rel=1e-3)


def test_the_same_name_gives_the_same_bytes_everywhere() -> None:
    factors = planted.lora(Weight(40, 24), 0.7, Draw("pinned"), rank=2, scale=0.5)
    data = b"".join(planted.stored(factor.role, factor.values, "F16").data for factor in factors)
    assert hashlib.sha256(data).hexdigest() == "3358f46224342d274819fd68ea381935995c401d3f7c0c9c1ff9cc523fe875fb"


@given(bound=st.sampled_from([1, 7, 15, 127, 16383]), count=st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_draws_stay_within_their_bound(bound: int, count: int) -> None:
    drawn = Draw("x").integers((count,), bound)
    assert drawn.shape == (count,)
    assert drawn.dtype == np.int64
    assert int(np.abs(drawn).max()) <= bound


def test_two_names_give_other_numbers() -> None:
    assert Draw("a").integers((64,), 127).tolist() != Draw("b").integers((64,), 127).tolist()


def test_magnitudes_lie_along_the_side_their_writer_has_them() -> None:
    assert planted.magnitude(MODULE, Draw("m"), per_input=False).values.shape == (320, 1)
    assert planted.magnitude(MODULE, Draw("m"), per_input=True).values.shape == (1, 768)
    assert planted.magnitude(CONVOLUTION, Draw("m"), per_input=False).values.shape == (64, 1, 1, 1)
