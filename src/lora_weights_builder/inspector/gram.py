"""Sums over the numbers of one factor, in pieces that fit the caches: Gram matrices and sums of squares.

Products of float32 are summed in float32 only within one short chunk and in float64 across chunks, so that length does
not cost precision. These functions know neither files nor adapters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.dtypes import FloatArray

Gram = NDArray[np.float64]

SMALL_RANK = 32  # up to here two general products are faster than the symmetric one that numpy would choose

# Lengths summed in float32. Narrow products of columns add up in one register each, and bfloat16's short mantissas
# round to the same side there: 3000 terms cost five digits. These lengths keep the squared norm within 5e-7.
ROWS_LENGTH = 512
COLUMNS_LENGTH = 384
WIDE_LENGTH = 1024
DOT_LENGTH = 512


def gram_of_rows(x: FloatArray) -> Gram:
    """``x @ x.T`` of an array of shape [rank, n], in float64."""
    rank, length = x.shape
    step = ROWS_LENGTH if rank <= SMALL_RANK else WIDE_LENGTH
    count = length // step
    whole = count * step
    parts = x[:, :whole].reshape(rank, count, step).transpose(1, 0, 2)
    total = _sum_of_products(parts, parts.transpose(0, 2, 1))
    if whole < length:
        rest = x[:, whole:]
        total += np.matmul(rest, rest.T)
    return total


def gram_of_columns(x: FloatArray) -> Gram:
    """``x.T @ x`` of an array of shape [n, rank], in float64."""
    length, rank = x.shape
    step = COLUMNS_LENGTH if rank <= SMALL_RANK else WIDE_LENGTH
    count = length // step
    whole = count * step
    parts = x[:whole].reshape(count, step, rank)
    total = _sum_of_products(parts.transpose(0, 2, 1), parts)
    if whole < length:
        rest = x[whole:]
        total += np.matmul(rest.T, rest)
    return total


def _sum_of_products(left: FloatArray, right: FloatArray) -> Gram:
    """The sum over the first axis of ``left @ right``, which are transposed views of one another."""
    rank = left.shape[1]
    if rank == 1 or rank > SMALL_RANK:
        whole: Gram = np.add.reduce(np.matmul(left, right), axis=0, dtype=np.float64)
        return whole
    # Half of the columns at a time: the operands then differ in shape, which keeps numpy from its symmetric product.
    half = rank // 2
    total = np.empty((rank, rank))
    np.add.reduce(np.matmul(left, right[:, :, :half]), axis=0, dtype=np.float64, out=total[:, :half])
    np.add.reduce(np.matmul(left, right[:, :, half:]), axis=0, dtype=np.float64, out=total[:, half:])
    return total


def sum_of_squares(x: FloatArray) -> float:
    """The sum of squares of a one-dimensional array, in float64 across short stretches."""
    whole = len(x) - len(x) % DOT_LENGTH
    total = 0.0
    if whole:
        rows = x[:whole].reshape(-1, DOT_LENGTH)
        total = float(np.vecdot(rows, rows).sum(dtype=np.float64))
    rest = x[whole:]
    return total + float(np.dot(rest, rest))
