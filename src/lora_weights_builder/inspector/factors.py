"""One stored factor of an adapter: how it is read, and its Gram matrix or sum of squares.

A factor is first summed in float32 while its bytes stream by (:meth:`Factor.take`). Where that sum cannot be trusted
(a half whose exponent says infinity, a square that left float32's range, cancellation in the product it belongs to),
or would need too much memory, the factor is read again in float64 (:func:`exact_gram`), in
pieces of bounded size. What factors make up a module is told in ``recipes``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.dtypes import HALF_INFINITY, MEASURABLE, FloatArray, all_finite, decode, widen
from lora_weights_builder.inspector.gram import Gram, gram_of_columns, gram_of_rows, sum_of_squares
from lora_weights_builder.inspector.tensor_file import DTYPES, TensorFile
from lora_weights_builder.records import TensorInfo

PIECE_BYTES: Final = 2 * 2**20  # of float64, when a factor is read again
PRODUCT_ROWS: Final = 128  # products with fewer rows of a matrix do not pay for reading the vectors
WIDE_ELEMENTS: Final = 3 * 2**20  # of float32 that so many rows may take
RANK_BLOCK: Final = 1024
MAX_RANK: Final = 4096

# Squares of float32 lose their value below about 1e-38 and become infinite above 3e38; both ends keep a distance.
_TINY_SQUARE: Final = 1e-28
_HUGE_SQUARE: Final = 1e30


class Sum(Enum):
    """What is summed over a factor."""

    ROWS = "gram of the rows"  # stored [rank, n]
    COLUMNS = "gram of the columns"  # stored [n, rank]
    SQUARE = "sum of squares"
    VALUE = "the number itself"  # one element


class Factor:
    """A tensor of an adapter, seen as a matrix of ``rows`` x ``columns``, and what has been summed of it so far."""

    __slots__ = ("columns", "gram", "info", "rows", "square", "sum", "value")

    def __init__(self, info: TensorInfo, sum_: Sum, rows: int = 1) -> None:
        self.info = info
        self.sum = sum_
        self.rows = rows
        self.columns = math.prod(info.shape) // max(rows, 1)
        self.gram: Gram | None = None
        self.square = 0.0
        self.value: float | None = None

    @property
    def rank(self) -> int:
        """The side that the product runs over."""
        return self.rows if self.sum is Sum.ROWS else self.columns

    def take_gram(self, x: FloatArray) -> None:
        """Add float32 numbers: all of a ROWS factor at once, whole rows of a COLUMNS factor in any number of turns."""
        if self.sum is Sum.ROWS:
            self.gram = gram_of_rows(x.reshape(self.rows, self.columns))
        else:
            part = gram_of_columns(x.reshape(-1, self.columns))
            self.gram = part if self.gram is None else self.gram + part

    def take_square(self, x: FloatArray, raw: NDArray[np.uint8]) -> None:
        """Add the squares of the float32 numbers ``x``, which were cast from ``raw``."""
        part = sum_of_squares(x)
        if not _in_range(part, part, self.info.dtype):
            if not all_finite(raw, self.info.dtype):
                part = math.nan
            elif raw.any():
                part = sum_of_squares(decode(raw, self.info.dtype))
        self.square += part

    def take_value(self, x: float, raw: NDArray[np.uint8]) -> None:
        """Keep the one number of this factor: ``x``, unless the cast from ``raw`` may have changed it."""
        exact = self.info.dtype in ("BF16", "F32") or (self.info.dtype == "F16" and abs(x) < HALF_INFINITY)
        self.value = x if exact else float(decode(raw, self.info.dtype)[0])

    def gram_in_range(self) -> bool:
        """Whether the float32 Gram is what it claims: no infinity that was cast to a number, no square lost."""
        assert self.gram is not None
        diagonal = self.gram.diagonal()
        return _in_range(float(diagonal.min()), float(diagonal.max()), self.info.dtype)


def _in_range(least: float, most: float, dtype: str) -> bool:
    if dtype == "F16":
        return most < HALF_INFINITY**2
    if dtype.startswith("F8_"):
        return most < _HUGE_SQUARE  # NaN compares false
    return least > _TINY_SQUARE and most < _HUGE_SQUARE


def is_finite(file: TensorFile, info: TensorInfo) -> bool:
    """Whether a stored tensor holds neither Inf nor NaN; reads it in pieces."""
    return all(all_finite(raw, info.dtype) for raw in _raw_pieces(file, info, PIECE_BYTES // 8))


def exact_gram(file: TensorFile, factor: Factor, first: slice, second: slice) -> Gram:
    """The block [first, second] of a factor's Gram matrix in float64, read in pieces of bounded size."""
    total = np.zeros((first.stop - first.start, second.stop - second.start))
    for x in exact_pieces(file, factor):
        total += x[:, first].T @ x[:, second]
    return total


def exact_triangle(file: TensorFile, factor: Factor) -> Gram:
    """The triangle R of a QR decomposition of the factor, as [n, rank]: R^T R is its Gram, without squared errors."""
    triangle = np.zeros((0, factor.rank))
    for x in exact_pieces(file, factor):
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, x]), mode="r"), np.float64)
    return triangle


def exact_pieces(file: TensorFile, factor: Factor) -> Iterator[NDArray[np.float64]]:
    """A factor in float64 as matrices [some, rank], together all of it; a ROWS factor comes transposed."""
    step = max(1, PIECE_BYTES // 8 // max(1, factor.rank))
    length = factor.columns if factor.sum is Sum.ROWS else factor.rows
    for start in range(0, length, step):
        stop = min(length, start + step)
        yield columns_of(file, factor, start, stop).T if factor.sum is Sum.ROWS else rows_of(file, factor, start, stop)


def float32_rows(file: TensorFile, factor: Factor) -> Iterator[NDArray[np.float32]]:
    """The rows of a finite stored matrix in float32, some at a time; the array is used again for the next ones."""
    item = DTYPES[factor.info.dtype] // 8
    step = max(1, PIECE_BYTES // 8 // factor.columns, min(PRODUCT_ROWS, WIDE_ELEMENTS // factor.columns))
    raw = np.empty(min(step, factor.rows) * factor.columns * item, np.uint8)
    wide = np.empty(len(raw) // item, np.float32)
    for piece in file.spans(factor.info.start, factor.info.end, raw.data):
        count = len(piece) // item
        widen(raw[: len(piece)], factor.info.dtype, wide[:count])
        yield wide[:count].reshape(-1, factor.columns)


def rows_of(file: TensorFile, factor: Factor, start: int, stop: int) -> NDArray[np.float64]:
    """Rows ``start`` to ``stop`` of a finite stored matrix, in float64."""
    width = factor.columns * DTYPES[factor.info.dtype] // 8
    raw = file.read_bytes(factor.info.start + start * width, factor.info.start + stop * width)
    return _decode_finite(raw, factor.info.dtype).reshape(stop - start, factor.columns)


def columns_of(file: TensorFile, factor: Factor, start: int, stop: int) -> NDArray[np.float64]:
    """Columns ``start`` to ``stop`` of a finite stored matrix, in float64: one read a row."""
    if start == 0 and stop == factor.columns:
        return rows_of(file, factor, 0, factor.rows)
    item = DTYPES[factor.info.dtype] // 8
    raw = np.empty((factor.rows, (stop - start) * item), np.uint8)
    for row in range(factor.rows):
        file.read_into(raw[row].data, factor.info.start + (row * factor.columns + start) * item)
    return _decode_finite(raw.reshape(-1), factor.info.dtype).reshape(factor.rows, stop - start)


def _decode_finite(raw: NDArray[np.uint8], dtype: str) -> NDArray[np.float64]:
    """What ``decode`` says where nothing is infinite, with its slow halves on a faster way."""
    if dtype != "F16":
        return decode(raw, dtype)
    wide = np.empty(len(raw) // 2, np.float32)
    widen(raw, dtype, wide)
    return wide.astype(np.float64)


def _raw_pieces(file: TensorFile, info: TensorInfo, size: int) -> Iterator[NDArray[np.uint8]]:
    item = max(1, DTYPES[info.dtype] // 8)
    buffer = np.empty(min(size // item * item, info.end - info.start), np.uint8)
    for piece in file.spans(info.start, info.end, buffer.data):
        yield buffer[: len(piece)]


def measurable(info: TensorInfo) -> bool:
    """Whether a factor of this dtype has numbers that can be summed."""
    return info.dtype in MEASURABLE
