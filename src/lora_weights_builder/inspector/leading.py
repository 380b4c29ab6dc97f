"""The largest singular values of a matrix that is only known by what it does to vectors.

A random subspace is multiplied by W^T W a few times and all of its images are kept (a block Krylov space): the largest
values of W within it are those of W to 1e-3 where the spectrum decays. The start depends on nothing but the shape, so
that a file has the same spectrum wherever and whenever it is measured. How W is applied is told by whoever has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lora_weights_builder.inspector.spectra import Matrix, Spectrum, spectrum_of

COUNT: Final = 16  # values that are wanted
WIDTH: Final = COUNT + 8  # columns of the subspace
DEPTH: Final = 3  # subspaces: the start, and one for each time that W^T W is applied
KEPT_ELEMENTS: Final = 12 * 2**20  # of the images of all subspaces
FLOAT32_ZERO: Final = 1e-5  # share of the largest value below which the next one is rounding

See = Callable[[NDArray[Any]], object]


class Applied(Protocol):
    """A matrix W that can be applied to the columns of x, in the dtype of x."""

    def normal(self, x: NDArray[Any], see: See) -> NDArray[Any]:
        """W^T W x; ``see`` is shown W x on the way, some rows at a time."""

    def images(self, x: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """W x, some rows at a time."""


def leading_spectrum(
    matrix: Applied, out: int, into: int, dtype: type[np.float32] | type[np.float64] = np.float32
) -> Spectrum:
    """The largest :data:`COUNT` singular values of a matrix that is not zero, of shape [out, into].

    Complete where it has no more of them. It is applied :data:`DEPTH` times, to :data:`WIDTH` columns each.
    """
    if into <= WIDTH * DEPTH:
        gram = _gram(matrix.images(np.eye(into, dtype=dtype)), into)
    else:
        start = np.random.default_rng([out, into]).random((into, min(WIDTH, out)), np.float32) - np.float32(0.5)
        gram = _krylov_gram(matrix, start.astype(dtype), keep=out * WIDTH * DEPTH <= KEPT_ELEMENTS)
    values: Matrix = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))
    complete = len(values) <= COUNT or bool(values[COUNT] <= FLOAT32_ZERO * values[0])
    kept = values[:COUNT]
    return spectrum_of(kept[kept > FLOAT32_ZERO * values[0]] if complete else kept, complete=complete)


def _krylov_gram(matrix: Applied, start: NDArray[Any], *, keep: bool) -> NDArray[np.float64]:
    """The Gram of W Q, with orthonormal columns Q that span the start and its images under W^T W.

    With ``keep``, W is applied to each column once, and the images stay in memory; else it is applied again.
    """
    spaces = [_orthonormal(start)]
    seen: list[list[NDArray[Any]]] = []
    while len(spaces) < DEPTH:
        seen.append([])
        fresh = matrix.normal(spaces[-1], seen[-1].append if keep else _overlook)
        for _ in range(2):  # once leaves what rounding puts back
            for space in spaces:
                fresh = fresh - space @ (space.T @ fresh)
            fresh = _orthonormal(fresh)
        spaces.append(fresh)
    width = sum(space.shape[1] for space in spaces)
    if not keep:
        return _gram(matrix.images(np.hstack(spaces)), width)
    seen.append(list(matrix.images(spaces[-1])))
    return _gram((np.hstack(pieces) for pieces in zip(*seen, strict=True)), width)


def _gram(images: Iterable[NDArray[Any]], width: int) -> NDArray[np.float64]:
    """In float64, or the small values would drown."""
    gram = np.zeros((width, width))
    for image in images:
        wide = image.astype(np.float64)
        gram += wide.T @ wide
    return gram


def _overlook(image: NDArray[Any]) -> None:
    """See nothing."""


def _orthonormal(x: NDArray[Any]) -> NDArray[Any]:
    """Orthonormal columns that span those of x; all-zero columns become some that do no harm."""
    largest = float(np.abs(x).max(initial=0.0))
    q: NDArray[Any] = np.linalg.qr(x / largest if largest else x)[0]
    return q
