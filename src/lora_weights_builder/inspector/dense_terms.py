"""Strength terms that no pair of Gram matrices gives: Tucker cores, Hadamard products (LoHa), rotations (OFT, BOFT).

Each reads its tensors itself, in pieces of bounded size, and returns a squared norm in float64, or NaN where a tensor
holds NaN or infinity. Shapes have been checked by ``recipes``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.dtypes import decode
from lora_weights_builder.inspector.factors import Factor, Sum, columns_of, exact_gram, is_finite, rows_of
from lora_weights_builder.inspector.gram import sum_of_squares
from lora_weights_builder.inspector.tensor_file import DTYPES, TensorFile
from lora_weights_builder.records import TensorInfo

MAX_CORE_ELEMENTS: Final = 4 * 2**20
MAX_ROTATION_SIDE: Final = 1024
MAX_BUTTERFLY: Final = 16_384  # width of the whole rotation
KHATRI_RAO_RANKS: Final = 256  # product of both ranks, up to which the Gram way is cheaper than row chunks
TILE_ELEMENTS: Final = 2 * 2**20  # 8 MB of float32
PAIR_ROWS: Final = 512  # summed in float32 at once
BUTTERFLY_ELEMENTS: Final = 2**18  # of float64: larger tiles leave the cache and take three times as long
ROTATION_BATCH: Final = 2**19  # elements solved at once

# LoHa products of float32 outside these bounds are computed in float64.
_SMALLEST, _LARGEST = 1e-7, 1e7

Matrix = NDArray[np.float64]
Turns = Callable[[int, int], Iterator[tuple[int, Matrix]]]  # blocks from, to -> (first block, R - I of some), in order


class NormSquare(Protocol):
    """A squared norm that can be had from an open file; ``alpha`` matters to rotations only."""

    def __call__(self, file: TensorFile, alpha: float | None) -> float: ...


@dataclass(frozen=True, slots=True)
class Tucker:
    """||sum_pq l_p c_pq.. r_q||^2 = sum over the kernel of <G_l C, C G_r> with the Grams of both factors."""

    core: TensorInfo
    left: Factor
    right: Factor

    def __call__(self, file: TensorFile, alpha: float | None) -> float:
        if not all(is_finite(file, info) for info in (self.core, self.left.info, self.right.info)):
            return math.nan
        p, q = self.core.shape[:2]
        core = file.read_tensor(self.core).reshape(p, q, -1)
        left = exact_gram(file, self.left, slice(0, p), slice(0, p))
        right = exact_gram(file, self.right, slice(0, q), slice(0, q))
        total = 0.0
        for k in range(core.shape[2]):
            piece = np.ascontiguousarray(core[:, :, k])
            total += float(np.vdot(left @ piece, piece @ right))
        return max(total, 0.0)


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
    """||(A1 B1) o (A2 B2)||^2: by Grams of the row-wise products of pairs, or tile by tile above that rank."""

    first: Side
    second: Side

    def __call__(self, file: TensorFile, alpha: float | None) -> float:
        if not all(is_finite(file, info) for side in (self.first, self.second) for info in side.infos()):
            return math.nan
        dtype = np.float32 if all(map(self._moderate, [file] * 2, (self.first, self.second))) else np.float64
        if self.first.core is None and self.second.core is None:
            if self.first.left.rank * self.second.left.rank <= KHATRI_RAO_RANKS:
                return self._khatri_rao(file, dtype)
            return self._tiles(file, None, None, dtype)
        cores = [None if side.core is None else _kernel_first(file, side.core) for side in (self.first, self.second)]
        if cores[0] is None or cores[1] is None:
            return math.nan
        return sum(self._tiles(file, one, two, dtype) for one, two in zip(*cores, strict=True))

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

    def _khatri_rao(self, file: TensorFile, dtype: Any) -> float:
        """Sum over p, p', q, q' of (sum_i a_ip a_ip' c_iq c_iq') times the same of the right factors.

        Both sums are symmetric in p, p' and in q, q': half of the pairs, counted twice, do.
        """
        times = np.outer(*(_pair_counts(side.left.rank) for side in (self.first, self.second)))
        left = self._pair_sums(file, self.first.left, self.second.left, dtype) * times
        right = self._pair_sums(file, self.first.right, self.second.right, dtype)
        inner = float(np.vdot(left, right))
        if dtype is np.float32 and inner < 0.1 * float(np.vdot(np.abs(left), np.abs(right))):
            return self._khatri_rao(file, np.float64)
        return max(inner, 0.0)

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
        rows, columns = self.first.shape[:2]
        wide = min(columns, max(64, TILE_ELEMENTS // max(self.first.right.rank, self.second.right.rank, 256)))
        high = min(rows, max(1, TILE_ELEMENTS // wide))
        total = 0.0
        for column in range(0, columns, wide):
            end = min(columns, column + wide)
            right_1 = columns_of(file, self.first.right, column, end).astype(dtype)
            right_2 = columns_of(file, self.second.right, column, end).astype(dtype)
            for row in range(0, rows, high):
                stop = min(rows, row + high)
                tile = self.first.left_rows(file, core_1, row, stop).astype(dtype) @ right_1
                tile *= self.second.left_rows(file, core_2, row, stop).astype(dtype) @ right_2
                total += sum_of_squares(tile.reshape(-1))
        return total


@dataclass(frozen=True, slots=True)
class Rotation:
    """||R - I||_F^2 of OFT: R = (I + Q)(I - Q)^-1 block by block, so R - I = 2 Q (I - Q)^-1 with Q = X - X^T.

    Four dimensions are butterfly OFT: several such rotations in turn, each of shuffled channels. ``alpha`` bounds
    ||Q|| at alpha * width. ``scaled`` divides by the square root of the number of free angles.
    """

    info: TensorInfo
    count: int
    side: int
    scaled: bool

    def __call__(self, file: TensorFile, alpha: float | None) -> float:
        if not is_finite(file, self.info):
            return math.nan
        if len(self.info.shape) == 4:
            return self._butterfly(file, alpha)
        shrink = self._shrink(file, alpha, 0, self.count)
        total = 0.0
        for start, stop in self._batches(self.count):
            q = self._skew(file, start, stop) * shrink
            total += float(np.square(_cayley_minus_one(q)).sum())
        return total

    def _butterfly(self, file: TensorFile, alpha: float | None) -> float:
        """Rotate the identity, some columns at a time, and sum what changed.

        Step s mixes channels only within aligned groups of 2^s * side, so a column is zero outside the group that
        holds it: the rows that need work double with each step.
        """
        steps, width = self.info.shape[0], self.count * self.side
        turns = self._turns(file, self._shrink(file, alpha, 0, steps * self.count))
        some = self.side
        while some * 2 <= 2 ** (steps - 1) * self.side and some * 2 * width <= BUTTERFLY_ELEMENTS:
            some *= 2
        return sum(self._changed_columns(turns, steps, start, some) for start in range(0, width, some))

    def _changed_columns(self, turns: Turns, steps: int, start: int, some: int) -> float:
        """||(R - I) E||^2 for the unit columns from ``start``, ``some`` of them, an aligned power of two of blocks."""
        first, unit = start, np.eye(some)
        change = np.zeros_like(unit)  # R x - x, kept apart from x so that small rotations do not cancel
        for step in range(steps):
            group = max(some, 2**step * self.side)
            if group > len(change):
                above = first % group
                first -= above
                grown = np.zeros((2, group, some))
                grown[0, above : above + len(change)], grown[1, above : above + len(change)] = change, unit
                change, unit = grown
            gap = 2**step * (self.side // 2)
            shuffled = _shuffle(change + unit, gap).reshape(-1, self.side, some)
            block = step * self.count + first // self.side
            for begin, turn in turns(block, block + len(shuffled)):
                part = slice(begin - block, begin - block + len(turn))
                shuffled[part] = turn @ shuffled[part]
            change = change + _unshuffle(shuffled.reshape(-1, some), gap)
        return float(np.square(change).sum())

    def _turns(self, file: TensorFile, shrink: float) -> Turns:
        """R - I of a range of blocks, in batches: solved once a module where all fit into memory, else once a tile."""
        total = self.info.shape[0] * self.count

        def solve(start: int, stop: int) -> Iterator[tuple[int, Matrix]]:
            for first, last in self._batches(stop - start):
                yield start + first, _cayley_minus_one(self._skew(file, start + first, start + last) * shrink)

        if total * self.side**2 > TILE_ELEMENTS:
            return solve
        every = np.concatenate([turn for _, turn in solve(0, total)])
        return lambda start, stop: iter([(start, every[start:stop])])

    def _batches(self, count: int) -> Iterator[tuple[int, int]]:
        step = max(1, ROTATION_BATCH // self.side**2)
        return ((start, min(count, start + step)) for start in range(0, count, step))

    def _skew(self, file: TensorFile, start: int, stop: int) -> NDArray[np.float64]:
        """Q of the blocks ``start`` to ``stop``."""
        compact = len(self.info.shape) == 2
        elements = self.side * (self.side - 1) // 2 if compact else self.side**2
        item = elements * DTYPES[self.info.dtype] // 8
        raw = file.read_bytes(self.info.start + start * item, self.info.start + stop * item)
        numbers = decode(raw, self.info.dtype)
        if not compact:
            blocks = numbers.reshape(-1, self.side, self.side)
            return blocks - blocks.transpose(0, 2, 1)
        q = np.zeros((stop - start, self.side, self.side))
        q[:, *np.triu_indices(self.side, 1)] = numbers.reshape(stop - start, elements)
        if self.scaled:
            q /= math.sqrt(elements)
        return q - q.transpose(0, 2, 1)

    def _shrink(self, file: TensorFile, alpha: float | None, start: int, stop: int) -> float:
        """The factor that keeps ||Q|| within the constraint that alpha is for this adapter type."""
        if not alpha or alpha < 0 or len(self.info.shape) == 2:
            return 1.0
        limit = alpha * self.count * self.side
        square = sum(
            float(np.square(self._skew(file, start + a, start + b)).sum()) for a, b in self._batches(stop - start)
        )
        return min(1.0, limit / math.sqrt(square)) if square else 1.0


def _cayley_minus_one(q: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.solve(np.eye(q.shape[-1]) - q, 2.0 * q), np.float64)  # both factors commute


def _shuffle(x: Matrix, gap: int) -> Matrix:
    """Channels (c g k) -> (c k g) with g = 2."""
    return np.ascontiguousarray(x.reshape(-1, 2, gap, x.shape[1]).transpose(0, 2, 1, 3)).reshape(x.shape)


def _unshuffle(x: Matrix, gap: int) -> Matrix:
    """Channels (c k g) -> (c g k) with g = 2."""
    return np.ascontiguousarray(x.reshape(-1, gap, 2, x.shape[1]).transpose(0, 2, 1, 3)).reshape(x.shape)


def _ranks_first(file: TensorFile, factor: Factor, start: int, stop: int) -> Matrix:
    """[rank, some] of a factor, whichever way it is stored."""
    if factor.sum is Sum.ROWS:
        return columns_of(file, factor, start, stop)
    return np.ascontiguousarray(rows_of(file, factor, start, stop).T)


def _pair_counts(rank: int) -> Matrix:
    """How many ordered pairs each pair p <= p' stands for."""
    one, two = np.triu_indices(rank)
    return np.where(one == two, 1.0, 2.0)


def _kernel_first(file: TensorFile, core: TensorInfo) -> NDArray[np.float64]:
    p, q = core.shape[:2]
    return np.ascontiguousarray(file.read_tensor(core).reshape(p, q, -1).transpose(2, 0, 1))


def _pieces(file: TensorFile, info: TensorInfo) -> Iterator[NDArray[np.float64]]:
    item = DTYPES[info.dtype] // 8
    for start in range(info.start, info.end, item * TILE_ELEMENTS // 4):
        yield decode(file.read_bytes(start, min(info.end, start + item * TILE_ELEMENTS // 4)), info.dtype)
