"""The number formats of .safetensors files: their sizes, and how their bytes become float32 or float64.

The one home of the dtype table. Numpy has no bfloat16 and no float8, and its own float16 conversion is six times
slower than shifting bits; so the conversions are written here. Reading bytes and summing numbers happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32] | NDArray[np.float64]

#: Bits per element of every dtype the format knows. Sub-byte tensors must fill whole bytes.
DTYPES: Mapping[str, int] = MappingProxyType({
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
})  # fmt: skip

#: The dtypes a factor may have. Everything else is integer, or a block format that needs scales stored elsewhere.
MEASURABLE: frozenset[str] = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"})

_PLAIN: Mapping[str, str] = MappingProxyType({
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2",
    "I32": "<i4", "U32": "<u4", "I64": "<i8", "U64": "<u8",
})  # fmt: skip

# A half's exponent and mantissa, moved to a float's place, lack 127 - 15 = 112 in the exponent.
_HALF_MASK = np.int32(np.uint32(0x8FFFE000).astype(np.int32))
_HALF_REBIAS = np.float32(2.0**112)
#: From here on a value cast by :func:`widen` from F16 stands for Inf or NaN: the largest half is 65504.
HALF_INFINITY = 65536.0


def widen(raw: NDArray[np.uint8], dtype: str, out: NDArray[np.float32]) -> None:
    """Cast the bytes ``raw`` of ``dtype`` into ``out`` (one float32 an element).

    F16 maps Inf and NaN to finite values of at least :data:`HALF_INFINITY`: a caller who needs to know compares
    against that, or asks :func:`all_finite`. F64 is rounded.
    """
    if dtype == "F16":
        bits = out.view(np.int32)
        bits[...] = raw.view("<i2")
        np.left_shift(bits, 13, out=bits)
        np.bitwise_and(bits, _HALF_MASK, out=bits)
        np.multiply(out, _HALF_REBIAS, out=out)
    elif dtype == "BF16":
        words = out.view(np.uint32)
        words[...] = raw.view("<u2")
        np.left_shift(words, 16, out=words)
    elif dtype == "F32":
        out[...] = raw.view("<f4")
    elif dtype == "F64":
        with np.errstate(over="ignore", invalid="ignore"):
            out[...] = raw.view("<f8")
    else:
        np.take(_float8_table(dtype), raw, out=out)


def decode(raw: NDArray[np.uint8], dtype: str) -> NDArray[np.float64]:
    """The numbers in ``raw`` as float64, Inf and NaN kept. Integers and booleans are numbers too.

    Raises:
        KeyError: a dtype without a plain meaning (complex, packed, block-scaled).
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN stays a NaN
        plain = _PLAIN.get(dtype)
        if plain is not None:
            return raw.view(plain).astype(np.float64)
        if dtype == "BF16":
            wide = raw.view("<u2").astype(np.uint32) << np.uint32(16)
            return wide.view(np.float32).astype(np.float64)
        return _float8_table(dtype)[raw].astype(np.float64)


def all_finite(raw: NDArray[np.uint8], dtype: str) -> bool:
    """Whether ``raw`` holds neither Inf nor NaN (always true of integers)."""
    if dtype == "F16":
        return not bool(((raw.view("<u2") & 0x7C00) == 0x7C00).any())
    if dtype == "BF16":
        return not bool(((raw.view("<u2") & 0x7F80) == 0x7F80).any())
    if dtype in ("F32", "F64"):
        return bool(np.isfinite(raw.view(_PLAIN[dtype])).all())
    if dtype.startswith("F8_"):
        return bool(np.isfinite(_float8_table(dtype)[raw]).all())
    return True


@cache
def _float8_table(dtype: str) -> NDArray[np.float32]:
    """The 256 values of an 8-bit float. E4M3 (the "fn" kind) has no infinity; E5M2 is half a float16."""
    if dtype == "F8_E5M2":
        return (np.arange(256, dtype=np.uint16) << 8).view(np.float16).astype(np.float32)
    if dtype != "F8_E4M3":
        raise KeyError(dtype)
    values = np.empty(256, np.float32)
    for code in range(256):
        exponent, mantissa = (code >> 3) & 15, code & 7
        size = (mantissa / 8) * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
        values[code] = np.nan if code & 0x7F == 0x7F else size
    values[128:] = -values[128:]
    return values
