"""The largest singular values of a matrix that is only known by what it does to vectors.

A random subspace is multiplied by W^T W a few times and all of its images are kept (a block Krylov space): the largest
values of W within it are those of W to 1e-3 where the spectrum decays. The start depends on nothing but the shape, so
that a file has the same spectrum wherever and whenever it is measured. How W is applied is told by whoever has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.spectra import Matrix, Spectrum, spectrum_of

COUNT: Final = 16  # values that are wanted
WIDTH: Final = COUNT + 8  # columns of the subspace
DEPTH: Final = 3  # subspaces: the start, and one for each time that W^T W is applied
FLOAT32_ZERO: Final = 1e-5  # share of the largest value below which the next one is rounding


class Applied(Protocol):
    """A matrix W that can be applied to the columns of x, in the dtype of x."""

    def normal(self, x: NDArray[Any]) -> NDArray[Any]:
        """W^T W x."""

    def images(self, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """W x, some rows at a time."""


def leading_spectrum(
    matrix: Applied, out: int, into: int, dtype: type[np.float32] | type[np.float64] = np.float32
) -> Spectrum:
    """The largest :data:`COUNT` singular values of a matrix that is not zero, of shape [out, into].

    Complete where it has no more of them. It is applied in full :data:`DEPTH` - 1 times, to :data:`WIDTH` columns, and
    to all of these columns once.
    """
    if into <= WIDTH * DEPTH:
        space: NDArray[Any] = np.eye(into, dtype=dtype)
    else:
        start = np.random.default_rng([out, into]).random((into, min(WIDTH, out)), np.float32) - np.float32(0.5)
        space = _krylov(matrix, start.astype(dtype))
    gram = np.zeros((space.shape[1], space.shape[1]))
    for image in matrix.images(space):  # in float64 from here on, or small values would drown
        wide = image.astype(np.float64)
        gram += wide.T @ wide
    values: Matrix = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))
    complete = len(values) <= COUNT or bool(values[COUNT] <= FLOAT32_ZERO * values[0])
    kept = values[:COUNT]
    return spectrum_of(kept[kept > FLOAT32_ZERO * values[0]] if complete else kept, complete=complete)


def _krylov(matrix: Applied, start: NDArray[Any]) -> NDArray[Any]:
    """Orthonormal columns that span the start and its images under W^T W."""
    spaces = [_orthonormal(start)]
    while len(spaces) < DEPTH:
        fresh = matrix.normal(spaces[-1])
        for _ in range(2):  # once leaves what rounding puts back
            for space in spaces:
                fresh = fresh - space @ (space.T @ fresh)
            fresh = _orthonormal(fresh)
        spaces.append(fresh)
    return np.hstack(spaces)


def _orthonormal(x: NDArray[Any]) -> NDArray[Any]:
    """Orthonormal columns that span those of x; all-zero columns become some that do no harm."""
    largest = float(np.abs(x).max(initial=0.0))
    q: NDArray[Any] = np.linalg.qr(x / largest if largest else x)[0]
    return q
