"""The terms that make up a module's strength: the squared norm of each, and its singular values.

A term is told by ``recipes`` what it consists of. A pair of factors is summed as its bytes go by (``strengths``).
What those sums cannot tell is read again here, in float64 and in pieces of bounded size. Tucker cores, Hadamard
products and rotations have rooms of their own (``dense_terms``, ``hadamard``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.factors import (
    RANK_BLOCK,
    Factor,
    Sum,
    exact_gram,
    exact_pieces,
    exact_triangle,
    float32_rows,
    is_finite,
)
from lora_weights_builder.inspector.gram import Gram
from lora_weights_builder.inspector.leading import See, leading_spectrum
from lora_weights_builder.inspector.spectra import (
    NO_VALUES,
    Spectrum,
    gram_values,
    has_cancelled,
    spectrum_of,
)
from lora_weights_builder.inspector.tensor_file import TensorFile

#: Where <G, H> is a smaller share of <|G|, |H|>, it has cancelled too much for float32 ...
CANCELLED: Final = 0.1
#: ... or for Grams in float64, which square the condition of the factors.
CANCELLED_EXACT: Final = 1e-8
EXACT_SIDE: Final = 256  # of a dense matrix, up to which its Gram takes no longer than its largest values would
LONG_SIDE: Final = 2**16  # of a dense matrix, whose rows are then read in pieces
# Root mean squares of dense matrices outside these are multiplied in float64.
_SMALLEST, _LARGEST = 1e-12, 1e12


class Measured(NamedTuple):
    """A squared norm, NaN where the file holds NaN or infinity, and the spectrum of what has one."""

    square: float
    spectrum: Spectrum | None


class Term(Protocol):
    """A factor of a squared norm. ``alpha`` matters to rotations only."""

    def measure(self, file: TensorFile, alpha: float | None) -> Measured: ...


@dataclass(slots=True)
class SquareTerm:
    """||X||_F^2 of one stored tensor; ``spectral`` where it is a matrix [out, everything else]."""

    factor: Factor
    spectral: bool = True

    def measure(self, file: TensorFile, alpha: float | None) -> Measured:
        square = self.factor.square
        return Measured(square, dense_spectrum(file, self.factor, square) if self.spectral else None)


def dense_spectrum(file: TensorFile, factor: Factor, square: float) -> Spectrum | None:
    """The spectrum of a stored matrix with this squared norm, read again; the largest 16 values where it is large."""
    shape = factor.info.shape
    if not math.isfinite(square):
        return None
    if square == 0.0:
        return NO_VALUES
    rows = shape[0] if shape else 1
    columns = math.prod(shape) // rows
    if min(rows, columns) == 1:
        return spectrum_of(np.array([math.sqrt(square)]))
    by_columns = Factor(factor.info, Sum.COLUMNS, rows)
    if min(rows, columns) > EXACT_SIDE:
        return _leading_of_dense(file, by_columns, math.sqrt(square / math.prod(shape)))
    short = by_columns if columns <= rows else Factor(factor.info, Sum.ROWS, rows)
    whole = slice(0, short.rank)
    sizes = np.linalg.eigvalsh(exact_gram(file, short, whole, whole))
    return spectrum_of(np.sqrt(np.maximum(sizes[::-1], 0.0)))


def _leading_of_dense(file: TensorFile, factor: Factor, typical: float) -> Spectrum:
    if factor.columns > max(LONG_SIDE, factor.rows):  # vectors of that length would fill the memory
        short = Factor(factor.info, Sum.ROWS, factor.rows)
        return leading_spectrum(_Dense(file, short, exact_pieces), factor.columns, factor.rows, np.float64)
    moderate = factor.info.dtype != "F64" and _SMALLEST < typical < _LARGEST
    matrix = _Dense(file, factor, float32_rows if moderate else exact_pieces)
    return leading_spectrum(matrix, factor.rows, factor.columns, np.float32 if moderate else np.float64)


@dataclass(frozen=True, slots=True)
class _Dense:
    """A stored matrix, read some rows (or columns, as rows) at a time whenever it is applied."""

    file: TensorFile
    factor: Factor
    pieces: Callable[[TensorFile, Factor], Iterator[NDArray[Any]]]

    def normal(self, x: NDArray[Any], see: See) -> NDArray[Any]:
        total = np.zeros_like(x)
        for piece in self.pieces(self.file, self.factor):
            image = piece @ x
            see(image)
            total += piece.T @ image
        return total

    def images(self, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
        return (piece @ x for piece in self.pieces(self.file, self.factor))


@dataclass(slots=True)
class PairTerm:
    """||X Y||_F^2 = <X^T X, Y Y^T> of two stored factors, without the product."""

    left: Factor
    right: Factor
    inner: float | None = None  # computed as soon as both Grams are there, so that they need not be kept
    spectrum: Spectrum | None = field(default=None)

    def settle(self) -> tuple[Gram, Gram] | None:
        """Use up the Grams of both factors: give them away where they can be trusted, and forget them."""
        left, right = self.left.gram, self.right.gram
        if left is None or right is None:
            return None
        trusted = self.left.gram_in_range() and self.right.gram_in_range()
        self.left.gram = self.right.gram = None
        if trusted:
            inner = float(np.vdot(left, right))
            if inner >= CANCELLED * float(np.vdot(np.abs(left), np.abs(right))):
                self.inner = inner
                return left, right
        return None

    @property
    def most_values(self) -> int:
        """How many singular values can be other than zero, by the shapes."""
        return min(self.left.rank, self.left.rows, self.right.columns)

    def measure(self, file: TensorFile, alpha: float | None) -> Measured:
        if self.inner is None:
            if not (is_finite(file, self.left.info) and is_finite(file, self.right.info)):
                return Measured(math.nan, None)
            return exact_pair(file, self.left, self.right)
        if self.spectrum is None:
            return Measured(self.inner, exact_pair(file, self.left, self.right).spectrum)
        return Measured(self.inner, self.spectrum)


def exact_pair(file: TensorFile, left: Factor, right: Factor) -> Measured:
    """||L R||^2 and the singular values of L R of finite factors, in float64."""
    if left.rank > RANK_BLOCK:
        inner = _inner_in_blocks(file, left, right)
        if inner == 0.0 or not math.isfinite(inner):
            return Measured(inner, None if inner else NO_VALUES)
        return Measured(inner, leading_spectrum(_Pair(file, left, right), left.rows, right.columns, np.float64))
    whole = slice(0, left.rank)
    one, two = exact_gram(file, left, whole, whole), exact_gram(file, right, whole, whole)
    inner, largest = float(np.vdot(one, two)), float(np.vdot(np.abs(one), np.abs(two)))
    if largest == 0.0:
        return Measured(0.0, NO_VALUES)
    values = gram_values(one, two) if math.isfinite(largest) else np.empty(0)
    if not len(values) or has_cancelled(float(values[0]), one, two):
        product = exact_triangle(file, left) @ exact_triangle(file, right).T
        if inner < CANCELLED_EXACT * largest:
            inner = float(np.square(product).sum())
        if not math.isfinite(inner):
            return Measured(inner, None)
        values = np.asarray(np.linalg.svd(product, compute_uv=False), np.float64)
    return Measured(max(inner, 0.0), spectrum_of(values[: min(left.rank, left.rows, right.columns)]))


def _inner_in_blocks(file: TensorFile, left: Factor, right: Factor) -> float:
    """<L^T L, R R^T> in blocks of ranks, so that memory stays bounded."""
    rank, total = left.rank, 0.0
    blocks = [slice(start, min(rank, start + RANK_BLOCK)) for start in range(0, rank, RANK_BLOCK)]
    for row, first in enumerate(blocks):
        for second in blocks[row:]:
            times = 1 if second is first else 2  # the Grams are symmetric
            total += times * float(
                np.vdot(exact_gram(file, left, first, second), exact_gram(file, right, first, second))
            )
    return max(total, 0.0)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A product of two stored factors whose rank is too large for a Gram, in float64."""

    file: TensorFile
    left: Factor
    right: Factor

    def normal(self, x: NDArray[Any], see: See) -> NDArray[Any]:
        inside = self._inside(x)
        back = np.zeros_like(inside)
        for piece in exact_pieces(self.file, self.left):
            image = piece @ inside
            see(image)
            back += piece.T @ image
        return np.vstack([piece @ back for piece in exact_pieces(self.file, self.right)])

    def images(self, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
        inside = self._inside(x)
        return (piece @ inside for piece in exact_pieces(self.file, self.left))

    def _inside(self, x: NDArray[Any]) -> NDArray[Any]:
        inside, start = np.zeros((self.right.rank, x.shape[1])), 0
        for piece in exact_pieces(self.file, self.right):  # [some inputs, rank]
            inside += piece.T @ x[start : start + len(piece)]
            start += len(piece)
        return inside
