"""Singular values of a file's pairs of factors, computed many at a time while the file is read.

Small eigenvalue problems are several times as fast in batches of one rank. The Grams wait here until there are enough
of them, within a bound of bytes. Pairs whose Grams are not precise enough are left without a spectrum; ``terms`` reads
them again.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lora_weights_builder.inspector.gram import Gram
from lora_weights_builder.inspector.spectra import (
    active_ranks,
    batch_values,
    error_share,
    pair_bytes,
    spectrum_of,
    trusted,
)
from lora_weights_builder.inspector.terms import PairTerm

BATCH_BYTES: Final = 2 * 2**20  # of one rank's Grams; larger batches leave the cache
WAITING_BYTES: Final = 8 * 2**20  # of all ranks'


class PairSpectra:
    """Collects trusted Grams and gives each pair its spectrum; :meth:`finish` does what still waits."""

    def __init__(self) -> None:
        self._waiting: dict[int, list[tuple[PairTerm, Gram, Gram]]] = {}
        self._bytes = 0

    def add(self, pair: PairTerm, left: Gram, right: Gram) -> None:
        """Take the Grams of a pair; both are given up by the caller."""
        rank = len(left)
        waiting = self._waiting.setdefault(rank, [])
        waiting.append((pair, left, right))
        self._bytes += pair_bytes(rank)
        if len(waiting) * pair_bytes(rank) >= BATCH_BYTES:
            self._solve(rank)
        elif self._bytes > WAITING_BYTES:
            self.finish()

    def finish(self) -> None:
        """Solve everything that waits."""
        for rank in list(self._waiting):
            self._solve(rank)

    def _solve(self, rank: int) -> None:
        waiting = self._waiting.pop(rank)
        self._bytes -= len(waiting) * pair_bytes(rank)
        left = np.stack([gram for _, gram, _ in waiting])
        right = np.stack([gram for _, _, gram in waiting])
        pairs = [pair for pair, _, _ in waiting]
        waiting.clear()
        counts = np.minimum([pair.most_values for pair in pairs], active_ranks(left, right))
        shares = np.array([error_share((pair.left.info.dtype, pair.right.info.dtype)) for pair in pairs])
        values = batch_values(left, right)
        for pair, row, count, fine in zip(
            pairs, values, counts, trusted(values, counts, left, right, shares), strict=True
        ):
            if fine:
                pair.spectrum = spectrum_of(row[:count])
