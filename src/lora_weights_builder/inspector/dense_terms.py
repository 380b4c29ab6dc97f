"""Strength terms that no pair of Gram matrices gives: Tucker cores and rotations (OFT, BOFT).

Each reads its tensors itself, in pieces of bounded size. Shapes have been checked by ``recipes``; Hadamard products
have a room of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.dtypes import decode
from lora_weights_builder.inspector.factors import RANK_BLOCK, Factor, Sum, exact_gram, is_finite
from lora_weights_builder.inspector.spectra import NO_VALUES, Matrix, Spectrum, gram_values, spectrum_of
from lora_weights_builder.inspector.tensor_file import DTYPES, TensorFile
from lora_weights_builder.inspector.terms import Measured
from lora_weights_builder.records import TensorInfo

MAX_CORE_ELEMENTS: Final = 4 * 2**20
MAX_ROTATION_SIDE: Final = 1024
MAX_BUTTERFLY: Final = 16_384  # width of the whole rotation
TILE_ELEMENTS: Final = 2 * 2**20  # 8 MB of float32
BUTTERFLY_ELEMENTS: Final = 2**18  # of float64: larger tiles leave the cache and take three times as long
ROTATION_BATCH: Final = 2**19  # elements solved at once

Turns = Callable[[int, int], Iterator[tuple[int, Matrix]]]  # blocks from, to -> (first block, R - I of some), in order


@dataclass(frozen=True, slots=True)
class Tucker:
    """||sum_pq l_p c_pq.. r_q||^2 = sum over the kernel of <G_l C, C G_r> with the Grams of both factors.

    Its spectrum is that of L times [C_k R]_k, whose Gram is the sum of C_k G_r C_k^T.
    """

    core: TensorInfo
    left: Factor
    right: Factor

    def measure(self, file: TensorFile, alpha: float | None) -> Measured:
        if not all(is_finite(file, info) for info in (self.core, self.left.info, self.right.info)):
            return Measured(math.nan, None)
        p, q = self.core.shape[:2]
        core = file.read_tensor(self.core).reshape(p, q, -1)
        left = exact_gram(file, self.left, slice(0, p), slice(0, p))
        right = exact_gram(file, self.right, slice(0, q), slice(0, q))
        total, joined = 0.0, np.zeros((p, p))
        for k in range(core.shape[2]):
            piece = np.ascontiguousarray(core[:, :, k])
            half = piece @ right
            total += float(np.vdot(left @ piece, half))
            joined += half @ piece.T
        del core, right
        if total <= 0.0 or not math.isfinite(total):
            return Measured(max(total, 0.0), None if total else NO_VALUES)
        if p > RANK_BLOCK:
            return Measured(total, Spectrum(np.empty(0), complete=False))
        outputs = self.left.columns if self.left.sum is Sum.ROWS else self.left.rows
        return Measured(total, spectrum_of(gram_values(left, joined)[: min(p, outputs)]))


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

    def measure(self, file: TensorFile, alpha: float | None) -> Measured:
        return Measured(self._square(file, alpha) if is_finite(file, self.info) else math.nan, None)

    def _square(self, file: TensorFile, alpha: float | None) -> float:
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
