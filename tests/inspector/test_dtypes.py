"""Every bit pattern of the short number formats, against numpy and ml_dtypes."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lora_weights_builder.inspector.dtypes import HALF_INFINITY, all_finite, decode, widen

PATTERNS: dict[str, tuple[Any, Any]] = {
    "F16": (np.float16, np.uint16),
    "BF16": (ml_dtypes.bfloat16, np.uint16),
    "F8_E4M3": (ml_dtypes.float8_e4m3fn, np.uint8),
    "F8_E5M2": (ml_dtypes.float8_e5m2, np.uint8),
}


def patterns(dtype: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(all patterns as bytes, their values in float32)"""
    kind, word = PATTERNS[dtype]
    words = np.arange(np.iinfo(word).max + 1, dtype=word)
    with np.errstate(invalid="ignore"):
        return words.view(np.uint8), words.view(kind).astype(np.float32)


@pytest.mark.parametrize("dtype", PATTERNS)
def test_every_finite_pattern_is_widened_exactly(dtype: str) -> None:
    raw, values = patterns(dtype)
    out = np.empty(len(values), np.float32)
    widen(raw, dtype, out)
    finite = np.isfinite(values)
    assert (out[finite] == values[finite]).all()
    assert (np.signbit(out) == np.signbit(values))[finite].all()
    if dtype == "F16":
        assert (np.abs(out[~finite]) >= HALF_INFINITY).all()
        assert (np.abs(out[finite]) < HALF_INFINITY).all()
    else:
        assert not np.isfinite(out[~finite]).any()


@pytest.mark.parametrize("dtype", PATTERNS)
def test_every_pattern_is_decoded_with_infinities_kept(dtype: str) -> None:
    raw, values = patterns(dtype)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(decode(raw, dtype), values.astype(np.float64), equal_nan=True)


@pytest.mark.parametrize("dtype", PATTERNS)
def test_infinity_is_told_from_numbers_pattern_by_pattern(dtype: str) -> None:
    raw, values = patterns(dtype)
    size = len(raw) // len(values)
    for value, start in zip(values, range(0, len(raw), size), strict=True):
        assert all_finite(raw[start : start + size], dtype) == np.isfinite(value)


@pytest.mark.parametrize(("dtype", "kind"), [("F32", np.float32), ("F64", np.float64)])
def test_wide_floats_pass_through(dtype: str, kind: Any) -> None:
    values = np.array([1.5, -0.0, np.nan, np.inf, 1e-40], kind)
    raw = values.view(np.uint8)
    out = np.empty(5, np.float32)
    widen(raw, dtype, out)
    assert np.array_equal(out, values.astype(np.float32), equal_nan=True)
    assert np.array_equal(decode(raw, dtype), values.astype(np.float64), equal_nan=True)
    assert not all_finite(raw, dtype)
    assert all_finite(raw[: 2 * values.itemsize], dtype)


def test_misaligned_bytes_are_read_too() -> None:
    raw = np.concatenate([np.zeros(1, np.uint8), np.array([1.5, 2.5], np.float32).view(np.uint8)])
    assert decode(raw[1:], "F32").tolist() == [1.5, 2.5]


@pytest.mark.parametrize("dtype", ["F4", "C64", "F8_E8M0", "F8_E4M3FNUZ"])
def test_formats_without_a_plain_meaning_are_refused(dtype: str) -> None:
    with pytest.raises(KeyError):
        decode(np.zeros(8, np.uint8), dtype)
