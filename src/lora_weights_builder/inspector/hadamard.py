"""The strength and the singular values of a Hadamard product (LoHa), with or without Tucker cores.

W = (A1 B1) o (A2 B2) is a product of two Khatri-Rao factors, whose rank is the product of both ranks: up to
:data:`KHATRI_RAO_RANKS` their Grams tell the norm and all singular values. Above that, W is computed tile by tile for
the norm and applied to a few vectors for the largest values. Shapes have been checked by ``recipes``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.dtypes import decode
from lora_weights_builder.inspector.factors import Factor, Sum, columns_of, is_finite, rows_of
from lora_weights_builder.inspector.gram import sum_of_squares
from lora_weights_builder.inspector.leading import See, leading_spectrum
from lora_weights_builder.inspector.spectra import (
    NO_VALUES,
    TOLERANCE_ELSE,
    Matrix,
    Spectrum,
    batch_values,
    error_share,
    gram_values,
    has_cancelled,
    spectrum_of,
    trusted,
)
from lora_weights_builder.inspector.tensor_file import DTYPES, TensorFile
from lora_weights_builder.inspector.terms import Measured
from lora_weights_builder.records import TensorInfo

KHATRI_RAO_RANKS: Final = 256  # product of both ranks, up to which the Gram way is cheaper than row chunks
TILE_ELEMENTS: Final = 2 * 2**20  # 8 MB of float32
PAIR_ROWS: Final = 512  # summed in float32 at once
HELD_ELEMENTS: Final = 8 * 2**20  # of all four factors, while they are applied to vectors
VECTOR_RANKS: Final = 64**2  # product of both ranks, up to which applying the factors is cheaper than tiles

# Products of float32 outside these bounds are computed in float64.
_SMALLEST, _LARGEST = 1e-7, 1e7

Cores = list[tuple[Matrix | None, Matrix | None]]  # of both halves, one pair for each place of the kernel


@dataclass(frozen=True, slots=True)
class Side:
    """One half of a Hadamard product: left @ right, or with a core left^T @ core_k @ right for each kernel place k."""

    left: Factor
    right: Factor
    core: TensorInfo | None

    @property
    def shape(self) -> tuple[int, ...]:
        """[out, in, kernel]; without a core the kernel is part of the second."""
        if self.core is None:
            return self.left.rows, self.right.columns
        return self.left.columns, self.right.columns, *self.core.shape[2:]

    def infos(self) -> Iterator[TensorInfo]:
        """The stored tensors of this half."""
        yield self.left.info
        yield self.right.info
        if self.core is not None:
            yield self.core

    def left_rows(self, file: TensorFile, core: Matrix | None, start: int, stop: int) -> Matrix:
        """Rows ``start`` to ``stop`` of the part left of ``right``: [some, rank]."""
        if core is None:
            return rows_of(file, self.left, start, stop)
        return columns_of(file, self.left, start, stop).T @ core


@dataclass(frozen=True, slots=True)
class Hadamard:
    """||(A1 B1) o (A2 B2)||^2 and its spectrum, by Grams of the row-wise products of pairs, or tile by tile."""

    first: Side
    second: Side

    def measure(self, file: TensorFile, alpha: float | None) -> Measured:
        if not all(is_finite(file, info) for side in (self.first, self.second) for info in side.infos()):
            return Measured(math.nan, None)
        dtype = np.float32 if all(map(self._moderate, [file] * 2, (self.first, self.second))) else np.float64
        cores = self._cores(file)
        ranks = self.first.left.rank * self.second.left.rank
        if cores == [(None, None)] and ranks <= KHATRI_RAO_RANKS:
            return self._khatri_rao(file, dtype)
        square = sum(self._tiles(file, one, two, dtype) for one, two in cores)
        if square == 0.0 or not math.isfinite(square):
            return Measured(square, None if square else NO_VALUES)
        if ranks <= KHATRI_RAO_RANKS:
            return Measured(square, self._cored_spectrum(file, cores, dtype))
        return Measured(square, self._leading(file, cores, dtype))

    def _cores(self, file: TensorFile) -> Cores:
        if self.first.core is None or self.second.core is None:
            return [(None, None)]  # both or none, by what adapters allow
        return list(zip(_kernel_first(file, self.first.core), _kernel_first(file, self.second.core), strict=True))

    def _moderate(self, file: TensorFile, side: Side) -> bool:
        """Whether the numbers of one half are of a size whose products keep their precision in float32."""
        largest = 1.0
        for info in side.infos():
            if info.dtype == "F64":
                return False
            peak = max((float(np.abs(piece).max()) for piece in _pieces(file, info)), default=0.0)
            if peak and not _SMALLEST < peak < _LARGEST:
                return False
            largest *= peak or 1.0
        return _SMALLEST < largest < _LARGEST

    def _khatri_rao(self, file: TensorFile, dtype: Any) -> Measured:
        """Sum over p, p', q, q' of (sum_i a_ip a_ip' c_iq c_iq') times the same of the right factors.

        Both sums are symmetric in p, p' and in q, q': half of the pairs, counted twice, do.
        """
        times = np.outer(*(_pair_counts(side.left.rank) for side in (self.first, self.second)))
        left = self._pair_sums(file, self.first.left, self.second.left, dtype)
        right = self._pair_sums(file, self.first.right, self.second.right, dtype)
        inner = float(np.vdot(left * times, right))
        if dtype is np.float32 and inner < 0.1 * float(np.vdot(np.abs(left) * times, np.abs(right))):
            return self._khatri_rao(file, np.float64)
        if inner <= 0.0 or not math.isfinite(inner):
            return Measured(max(inner, 0.0), None if inner else NO_VALUES)
        spectrum = self._product_spectrum(self._spread(left), self._spread(right), exact=dtype is np.float64)
        if spectrum is None and dtype is np.float32:
            spectrum = self._khatri_rao(file, np.float64).spectrum
        elif spectrum is None:
            spectrum = self._leading(file, [(None, None)], np.float64)
        return Measured(max(inner, 0.0), spectrum)

    def _cored_spectrum(self, file: TensorFile, cores: Cores, dtype: Any) -> Spectrum:
        """With cores, the right Khatri-Rao factor is that of each kernel place, side by side."""
        left = self._spread(self._pair_sums(file, self.first.left, self.second.left, np.float64))
        inputs = self._spread(self._pair_sums(file, self.first.right, self.second.right, np.float64))
        right = np.zeros_like(left)
        for one, two in cores:
            assert one is not None
            assert two is not None
            core = np.kron(one, two)
            right += core @ inputs @ core.T
        return self._product_spectrum(left, right, exact=True) or self._leading(file, cores, dtype)

    def _product_spectrum(self, left: Matrix, right: Matrix, *, exact: bool) -> Spectrum | None:
        """The spectrum from both factors' Grams; ``None`` where they are not precise enough for it."""
        count = min(len(left), self.first.shape[0], math.prod(self.first.shape[1:]))
        if exact:
            values = gram_values(left, right)
            return None if has_cancelled(float(values[0]), left, right) else spectrum_of(values[:count])
        row = batch_values(left[None], right[None])
        noise, _ = error_share([info.dtype for side in (self.first, self.second) for info in side.infos()])
        shares = np.array([[noise, TOLERANCE_ELSE]])
        fine = trusted(row, np.array([count]), left[None], right[None], shares)[0]
        return spectrum_of(row[0, :count]) if fine else None

    def _spread(self, sums: Matrix) -> Matrix:
        """The Gram [pq, p'q'] of a Khatri-Rao factor from its :meth:`_pair_sums`."""
        one, two = (_pair_places(side.left.rank) for side in (self.first, self.second))
        size = len(one) * len(two)
        return np.ascontiguousarray(sums[one[:, None, :, None], two[None, :, None, :]]).reshape(size, size)

    def _pair_sums(self, file: TensorFile, one: Factor, two: Factor, dtype: Any) -> Matrix:
        """For each pair p <= p' of one factor and q <= q' of the other: the sum of the four entries' products."""
        pairs_1, pairs_2 = np.triu_indices(one.rank), np.triu_indices(two.rank)
        length = one.columns if one.sum is Sum.ROWS else one.rows
        step = PAIR_ROWS if dtype is np.float32 else 2 * PAIR_ROWS
        total = np.zeros((len(pairs_1[0]), len(pairs_2[0])))
        for first in range(0, length, TILE_ELEMENTS // 4 // max(one.rank, two.rank)):
            last = min(length, first + TILE_ELEMENTS // 4 // max(one.rank, two.rank))
            x, y = (_ranks_first(file, factor, first, last).astype(dtype) for factor in (one, two))
            for start in range(0, last - first, step):
                part = slice(start, start + step)
                products_1 = x[pairs_1[0], part] * x[pairs_1[1], part]
                products_2 = y[pairs_2[0], part] * y[pairs_2[1], part]
                total += products_1 @ products_2.T
        return total

    def _tiles(self, file: TensorFile, core_1: Matrix | None, core_2: Matrix | None, dtype: Any) -> float:
        """The sum over tiles of the product itself, none of them larger than 8 MB."""
        rows, total = self.first.shape[0], 0.0
        for column, end in self._column_pieces():
            high = min(rows, max(1, TILE_ELEMENTS // (end - column)))
            right_1 = columns_of(file, self.first.right, column, end).astype(dtype)
            right_2 = columns_of(file, self.second.right, column, end).astype(dtype)
            for row in range(0, rows, high):
                stop = min(rows, row + high)
                tile = self.first.left_rows(file, core_1, row, stop).astype(dtype) @ right_1
                tile *= self.second.left_rows(file, core_2, row, stop).astype(dtype) @ right_2
                total += sum_of_squares(tile.reshape(-1))
        return total

    def _leading(self, file: TensorFile, cores: Cores, dtype: Any) -> Spectrum:
        """The largest singular values, by applying the product to vectors."""
        rows, columns = self.first.shape[:2]
        ranks = self.first.left.rank * self.second.left.rank
        held = (self.first.left.rank + self.second.left.rank) * (rows + columns)
        if cores == [(None, None)] and ranks <= VECTOR_RANKS and held <= HELD_ELEMENTS:
            return leading_spectrum(self._held(file, dtype), rows, columns, dtype)
        tiles = partial(self._wide_tiles, file, cores, dtype)
        return leading_spectrum(_Tiled(tiles), rows, columns * len(cores), dtype)

    def _held(self, file: TensorFile, dtype: Any) -> _Held:
        sides = (self.first, self.second)
        ups = [np.ascontiguousarray(rows_of(file, side.left, 0, side.left.rows).astype(dtype).T) for side in sides]
        downs = [columns_of(file, side.right, 0, side.right.columns).astype(dtype) for side in sides]
        return _Held(ups[0], ups[1], downs[0], downs[1])

    def _wide_tiles(self, file: TensorFile, cores: Cores, dtype: Any) -> Iterator[NDArray[Any]]:
        """The product in whole rows, the kernel outside of the inputs."""
        rows, columns = self.first.shape[0], self.first.shape[1] * len(cores)
        high = max(1, TILE_ELEMENTS // columns)
        for row in range(0, rows, high):
            yield self._rows(file, cores, row, min(rows, row + high), dtype)

    def _rows(self, file: TensorFile, cores: Cores, row: int, stop: int, dtype: Any) -> NDArray[Any]:
        """Rows of the product, with the kernel outside of the inputs."""
        columns = self.first.shape[1]
        tile = np.empty((stop - row, len(cores), columns), dtype)
        for column, end in self._column_pieces():
            right_1, right_2 = (columns_of(file, side.right, column, end).astype(dtype) for side in self._sides())
            for place, (one, two) in enumerate(cores):
                part = self.first.left_rows(file, one, row, stop).astype(dtype) @ right_1
                part *= self.second.left_rows(file, two, row, stop).astype(dtype) @ right_2
                tile[:, place, column:end] = part
        return tile.reshape(stop - row, -1)

    def _sides(self) -> tuple[Side, Side]:
        return self.first, self.second

    def _column_pieces(self) -> Iterator[tuple[int, int]]:
        columns = self.first.shape[1]
        wide = min(columns, max(64, TILE_ELEMENTS // max(self.first.right.rank, self.second.right.rank, 256)))
        return ((column, min(columns, column + wide)) for column in range(0, columns, wide))


@dataclass(frozen=True, slots=True)
class _Tiled:
    """A product that is computed again, tile by tile, each time that it is applied."""

    tiles: Callable[[], Iterator[NDArray[Any]]]

    def normal(self, x: NDArray[Any], see: See) -> NDArray[Any]:
        total = np.zeros_like(x)
        for tile in self.tiles():
            image = tile @ x
            see(image)
            total += tile.T @ image
        return total

    def images(self, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
        return (tile @ x for tile in self.tiles())


@dataclass(frozen=True, slots=True)
class _Held:
    """All four factors: (W x)_i = a1_i (B1 diag(x) B2^T) a2_i, so that no element of W is computed."""

    up_1: NDArray[Any]  # [rank, out]
    up_2: NDArray[Any]
    down_1: NDArray[Any]  # [rank, in]
    down_2: NDArray[Any]

    def normal(self, x: NDArray[Any], see: See) -> NDArray[Any]:
        image = _bilinear(self.up_1, self.up_2, self.down_1, self.down_2, x)
        see(image)
        return _bilinear(self.down_1, self.down_2, self.up_1, self.up_2, image)

    def images(self, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
        yield _bilinear(self.up_1, self.up_2, self.down_1, self.down_2, x)


def _bilinear(
    one: NDArray[Any], two: NDArray[Any], other_1: NDArray[Any], other_2: NDArray[Any], x: NDArray[Any]
) -> NDArray[Any]:
    """For each column of x: sum_pq one_pi M_pq two_qi for every i, with M = other_1 diag(column) other_2^T."""
    result = np.empty((x.shape[1], one.shape[1]), x.dtype)
    for image, vector in zip(result, np.ascontiguousarray(x.T), strict=True):
        between = (other_1 * vector) @ other_2.T
        np.einsum("pi,pi->i", one, between @ two, out=image)
    return result.T


def _ranks_first(file: TensorFile, factor: Factor, start: int, stop: int) -> Matrix:
    """[rank, some] of a factor, whichever way it is stored."""
    if factor.sum is Sum.ROWS:
        return columns_of(file, factor, start, stop)
    return np.ascontiguousarray(rows_of(file, factor, start, stop).T)


def _pair_counts(rank: int) -> Matrix:
    """How many ordered pairs each pair p <= p' stands for."""
    one, two = np.triu_indices(rank)
    return np.where(one == two, 1.0, 2.0)


def _pair_places(rank: int) -> NDArray[np.int64]:
    """[rank, rank]: where the sum of p and p' stands among those of p <= p'."""
    places = np.empty((rank, rank), np.int64)
    one, two = np.triu_indices(rank)
    places[one, two] = places[two, one] = np.arange(len(one))
    return places


def _kernel_first(file: TensorFile, core: TensorInfo) -> NDArray[np.float64]:
    p, q = core.shape[:2]
    return np.ascontiguousarray(file.read_tensor(core).reshape(p, q, -1).transpose(2, 0, 1))


def _pieces(file: TensorFile, info: TensorInfo) -> Iterator[NDArray[np.float64]]:
    item = DTYPES[info.dtype] // 8
    for start in range(info.start, info.end, item * TILE_ELEMENTS // 4):
        yield decode(file.read_bytes(start, min(info.end, start + item * TILE_ELEMENTS // 4)), info.dtype)
