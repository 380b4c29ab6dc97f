"""Random factors whose ||dW||_F is what was asked for, to better than 1e-3 after rounding to the file's dtype.

Factors are drawn as small integers and their norm is computed in integer arithmetic, so that the one float that scales
them, and with it every byte written, is the same on every platform: sums of floats depend on the order in which a
platform's linear algebra adds. What does not belong here: key names and shapes, which come from the registry.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Values = NDArray[np.floating[Any]]
StoredDtype = Literal["F16", "BF16", "F32"]

_WIDE: Final = 127  # exact in fp16 and in bf16
# For the one factor that takes the scale: finer than any dtype's mantissa, so that rounding has no common direction.
_FINE: Final = 16383
_NARROW: Final = 15  # products of four of these, summed over a large module, stay within 64 bits
_WIDE_UNIT: Final = 2.0**-12
_NARROW_UNIT: Final = 2.0**-6


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as it goes into a file: ``data`` holds ``shape`` in row order, little-endian."""

    name: str
    dtype: StoredDtype
    shape: tuple[int, ...]
    data: bytes


class Draw:
    """A stream of small integers from a name, the same everywhere."""

    def __init__(self, seed: str) -> None:
        digest = hashlib.sha256(seed.encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def integers(self, shape: Sequence[int], bound: int) -> Integers:
        """Uniform integers from -bound to bound; ``bound`` is one less than a power of two, at most 16383."""
        count = math.prod(shape)
        kind = np.dtype(np.int8 if bound <= _WIDE else "<i2")
        # Only the generator's raw output is promised to stay as it is between versions of numpy.
        raw = np.atleast_1d(self._bits.random_raw((count * kind.itemsize + 7) // 8)).astype("<u8").tobytes()
        signed = np.frombuffer(raw, dtype=kind, count=count).astype(np.int64)
        surplus_bits = 8 * kind.itemsize - 1 - bound.bit_length()
        drawn: Integers = np.maximum(signed >> surplus_bits, -bound).reshape(tuple(shape))
        return drawn


@dataclass(frozen=True, slots=True)
class Weight:
    """The base weight an adapter is made for; ``kernel`` is ``()`` for linear modules."""

    out_features: int
    in_features: int
    kernel: tuple[int, ...] = ()

    @property
    def taps(self) -> int:
        """Positions of the kernel, 1 for linear modules."""
        return math.prod(self.kernel)


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor by its canonical role, before it gets a key and a dtype."""

    role: str
    values: Values


def lora(weight: Weight, norm: float, draw: Draw, *, rank: int, scale: float) -> list[Factor]:
    """LoRA and LoCon: ||scale * up @ down||_F = ``norm``."""
    down = draw.integers((rank, weight.in_features * weight.taps), _WIDE)
    up = draw.integers((weight.out_features, rank), _FINE)
    size = _product_norm(up, down)
    ones = (1,) * len(weight.kernel)
    return [
        Factor("lora_down", (down * _WIDE_UNIT).reshape(rank, weight.in_features, *weight.kernel)),
        Factor("lora_up", (up * (norm / (scale * size * _WIDE_UNIT))).reshape(weight.out_features, rank, *ones)),
    ]


def loha(weight: Weight, norm: float, draw: Draw, *, rank: int, scale: float) -> list[Factor]:
    """LoHa: ||scale * (w1_a @ w1_b) o (w2_a @ w2_b)||_F = ``norm``; linear modules and rank up to 4."""
    w1_a = draw.integers((weight.out_features, rank), _FINE)
    w2_a = draw.integers((weight.out_features, rank), _NARROW)
    w1_b, w2_b = (draw.integers((rank, weight.in_features * weight.taps), _NARROW) for _ in range(2))
    # (AB) o (CD) = (A khatri-rao C)(B khatri-rao D): a product of rank^2, never the dense matrix.
    left = (w1_a[:, :, None] * w2_a[:, None, :]).reshape(weight.out_features, rank * rank)
    right = (w1_b[:, None, :] * w2_b[None, :, :]).reshape(rank * rank, -1)
    size = _product_norm(left, right)
    return [
        Factor("hada_w1_a", w1_a * (norm / (scale * size * _NARROW_UNIT**3))),
        Factor("hada_w1_b", w1_b * _NARROW_UNIT),
        Factor("hada_w2_a", w2_a * _NARROW_UNIT),
        Factor("hada_w2_b", w2_b * _NARROW_UNIT),
    ]


def lokr(weight: Weight, norm: float, draw: Draw, *, rank: int | None, scale: float, factor: int) -> list[Factor]:
    """LoKr: ||scale * kron(w1, w2)||_F = ``norm``; ``rank`` None keeps w2 whole, and then there is no scale."""
    rows, columns = _divisor(weight.out_features, factor), _divisor(weight.in_features, factor)
    tall, wide = weight.out_features // rows, weight.in_features // columns
    w1 = draw.integers((rows, columns), _FINE)
    if rank is None:
        w2 = draw.integers((tall, wide), _WIDE)
        size, factors = _norm(w2) * _WIDE_UNIT, [Factor("lokr_w2", w2 * _WIDE_UNIT)]
    else:
        w2_a, w2_b = draw.integers((tall, rank), _WIDE), draw.integers((rank, wide), _WIDE)
        size = _product_norm(w2_a, w2_b) * _WIDE_UNIT**2 * scale
        factors = [Factor("lokr_w2_a", w2_a * _WIDE_UNIT), Factor("lokr_w2_b", w2_b * _WIDE_UNIT)]
    return [Factor("lokr_w1", w1 * (norm / (_norm(w1) * size))), *factors]


def full(weight: Weight, norm: float, draw: Draw) -> list[Factor]:
    """A whole difference: ||diff||_F = ``norm``."""
    diff = draw.integers((weight.out_features, weight.in_features, *weight.kernel), _FINE)
    return [Factor("diff", diff * (norm / _norm(diff)))]


def magnitude(weight: Weight, draw: Draw, *, per_input: bool) -> Factor:
    """DoRA's magnitude vector: around 1, one number an output row (LyCORIS) or an input column (OneTrainer)."""
    ones = (1,) * len(weight.kernel)
    shape = (1, weight.in_features, *ones) if per_input else (weight.out_features, 1, *ones)
    return Factor("dora_scale", 1.0 + draw.integers(shape, _WIDE) * 2.0**-10)


def stored(name: str, values: Values | float, dtype: StoredDtype) -> StoredTensor:
    """Values rounded to ``dtype`` (to nearest, ties to even)."""
    array = np.asarray(values, dtype=np.float64)
    rounded: NDArray[Any]
    if dtype == "BF16":
        # Through fp32 would round twice.
        rounded = array.astype(ml_dtypes.bfloat16).view(np.uint16).astype("<u2")
    else:
        rounded = array.astype("<f2" if dtype == "F16" else "<f4")
    return StoredTensor(name, dtype, tuple(array.shape), rounded.tobytes())


def _product_norm(left: Integers, right: Integers) -> float:
    """||left @ right||_F = sqrt(trace((left^T left)(right right^T))), exact up to the one rounding at the end."""
    gram_left, gram_right = (left.T @ left).tolist(), (right @ right.T).tolist()
    squared = sum(
        a * b for row, other in zip(gram_left, gram_right, strict=True) for a, b in zip(row, other, strict=True)
    )
    return math.sqrt(squared)


def _norm(values: Integers) -> float:
    return math.sqrt(int((values * values).sum()))


def _divisor(number: int, at_most: int) -> int:
    return max(candidate for candidate in range(1, at_most + 1) if number % candidate == 0)
