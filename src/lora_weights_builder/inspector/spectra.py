"""Singular values of a product from rank-sized matrices: the algebra only, batched where there are many.

The singular values of X Y are the roots of the eigenvalues of S^T (X^T X) S, with S S^T = Y Y^T. Grams that were
summed in float32 leave an error in the eigenvalues, and its root in the small singular values: :func:`trusted` says
where it may be seen, and such a pair is read again in float64 by whoever owns it. Files, roles and scales are not
known here; matrices too large for their Gram are in ``leading``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

MAX_VALUES: Final = 256  # kept of one module
MAX_PRODUCTS: Final = 64  # kept of a Kronecker product
#: Smaller shares of the largest value are rounding: this is what float64 Grams leave of a zero.
ZERO_SHARE: Final = 1e-6
#: Where the largest eigenvalue is a smaller share of |X^T X| |Y Y^T|, float64 Grams leave more than that.
CANCELLED: Final = 1e-3

# The error of an eigenvalue, times rank / (|X^T X| |Y Y^T|), of Grams summed in float32 by ``gram``; measured, with a
# reserve. bfloat16's products are rounded to the same side.
_NOISE: Final = {"F32": 1e-7, "F64": 1e-7, "F16": 2e-7}
_NOISE_ELSE: Final = 5e-7
# The error that a singular value may have, as a share of the largest: of 16 bits, what the rounding of the stored
# numbers has done to it already.
_TOLERANCE: Final = {"F32": 5e-6, "F64": 5e-6, "F16": 5e-5}
TOLERANCE_ELSE: Final = 2e-4


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Singular values, largest first, without the zeros; ``complete`` where none is missing."""

    values: Matrix
    complete: bool


NO_VALUES: Final = Spectrum(np.empty(0), complete=True)


def spectrum_of(values: Matrix, *, complete: bool = True, limit: int = MAX_VALUES) -> Spectrum:
    """The spectrum of these values (largest first): rounding and what is beyond the limit cut off."""
    kept = values[values > ZERO_SHARE * values[0]] if len(values) and values[0] > 0 else values[:0]
    return Spectrum(kept[:limit], complete and len(kept) <= limit)


def error_share(dtypes: Sequence[str]) -> tuple[float, float]:
    """(error of an eigenvalue in float32 Grams, tolerated error of a singular value) of factors of these dtypes."""
    return (
        max(_NOISE.get(dtype, _NOISE_ELSE) for dtype in dtypes),
        max(_TOLERANCE.get(dtype, TOLERANCE_ELSE) for dtype in dtypes),
    )


def gram_values(left: Matrix, right: Matrix) -> Matrix:
    """Singular values of X Y, largest first, from X^T X and Y Y^T in float64, of shape [rank, rank].

    Neither need be regular. Values below :data:`ZERO_SHARE` of the largest are noise.
    """
    try:
        root = np.linalg.cholesky(right)
    except np.linalg.LinAlgError:
        sizes, vectors = np.linalg.eigh(right)
        root = vectors * np.sqrt(np.maximum(sizes, 0.0))
    return _roots(np.linalg.eigvalsh(root.T @ left @ root))


def has_cancelled(largest: float, left: Matrix, right: Matrix) -> bool:
    """Whether the largest singular value is so small a share of both factors that their Grams do not tell the rest."""
    return largest**2 < CANCELLED * float(np.linalg.norm(left) * np.linalg.norm(right))


def batch_values(left: Matrix, right: Matrix) -> Matrix:
    """The same for many pairs of one rank: [pairs, rank, rank] twice in, [pairs, rank] out, largest first.

    Several times as fast as one by one. A rank whose entry is zero on the diagonal of either Gram takes no part. A row
    is NaN where a right Gram is not positive: its factor has dependent rows.
    """
    left, right = _without_idle_ranks(left, right)
    try:
        root = np.linalg.cholesky(right)
        failed = None
    except np.linalg.LinAlgError:  # it does not say which
        root, failed = _cholesky_one_by_one(right)
    values = _roots(np.linalg.eigvalsh(np.matmul(root.transpose(0, 2, 1), np.matmul(left, root))))
    if failed is not None:
        values[failed] = np.nan
    return values


def trusted(
    values: Matrix, counts: NDArray[np.int64], left: Matrix, right: Matrix, shares: Matrix
) -> NDArray[np.bool_]:
    """For each row of :func:`batch_values`: whether the float32 Grams it came from are precise enough for it.

    Args:
        values: [pairs, rank].
        counts: how many of a row's values can be other than zero.
        left, right: the Grams.
        shares: [pairs, 2] of :func:`error_share`.
    """
    rank = left.shape[-1]
    noise = shares[:, 0] / rank * np.linalg.norm(left, axis=(1, 2)) * np.linalg.norm(right, axis=(1, 2))
    least = np.take_along_axis(values, np.maximum(counts - 1, 0)[:, None], axis=1)[:, 0]
    fine: NDArray[np.bool_] = 2.0 * shares[:, 1] * least * values[:, 0] >= noise  # NaN compares false
    fine |= counts == 0
    return fine


def active_ranks(left: Matrix, right: Matrix) -> NDArray[np.int64]:
    """For each pair of a batch: how many ranks have a part in the product."""
    counts: NDArray[np.int64] = np.count_nonzero(_diagonal(left) * _diagonal(right), axis=1)
    return counts


def product_spectrum(spectra: Sequence[Spectrum]) -> Spectrum:
    """The spectrum of a Kronecker product; of a single factor, its own."""
    first, *others = spectra
    for other in others:
        first = _product(first, other)
    return first


def _product(one: Spectrum, two: Spectrum) -> Spectrum:
    if not len(one.values) or not len(two.values):
        return Spectrum(one.values[:0], one.complete and two.complete)
    products = np.sort(np.outer(one.values, two.values).reshape(-1))[::-1]
    # A value that is missing from one side is at most its last one, times the largest of the other side.
    unknown = 0.0
    for side, other in ((one, two), (two, one)):
        if not side.complete:
            unknown = max(unknown, float(side.values[-1] * other.values[0]))
    known = products[products >= unknown]
    return spectrum_of(known, complete=one.complete and two.complete, limit=MAX_PRODUCTS)


def _roots(eigenvalues: Matrix) -> Matrix:
    return np.sqrt(np.maximum(eigenvalues[..., ::-1], 0.0))


def _diagonal(grams: Matrix) -> Matrix:
    return np.diagonal(grams, axis1=1, axis2=2)


def _without_idle_ranks(left: Matrix, right: Matrix) -> tuple[Matrix, Matrix]:
    idle = (_diagonal(left) == 0.0) | (_diagonal(right) == 0.0)
    if not idle.any():
        return left, right
    outside = idle[:, :, None] | idle[:, None, :]
    rank = left.shape[-1]
    left, right = np.where(outside, 0.0, left), np.where(outside, 0.0, right)
    right[:, np.arange(rank), np.arange(rank)] += idle
    return left, right


def _cholesky_one_by_one(grams: Matrix) -> tuple[Matrix, NDArray[np.bool_]]:
    roots, failed = np.zeros_like(grams), np.zeros(len(grams), np.bool_)
    for i, gram in enumerate(grams):
        try:
            roots[i] = np.linalg.cholesky(gram)
        except np.linalg.LinAlgError:
            failed[i] = True
    return roots, failed


def pair_bytes(rank: int) -> int:
    """What a pair of Grams of this rank takes, in bytes."""
    return 2 * math.prod((rank, rank, 8))
