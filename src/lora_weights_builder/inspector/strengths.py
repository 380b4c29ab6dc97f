"""||dW|| and the singular values of every module of a file, and the content hash, in one pass over the bytes.

The data section is read once, in order, in spans of about half a megabyte into a reused buffer; each span is hashed,
cast to float32 in one go, and its factors summed. What each adapter type needs is told in ``recipes``; how one factor
is summed, in ``factors`` and ``gram``. Blocks, layouts and files that cannot be opened are not known here.

Linear algebra must run on one thread: a library is scanned by one process a core, and threads gain nothing at these
sizes. :func:`limit_blas_threads` sets that in a worker before numpy is imported.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from lora_weights_builder.inspector.dtypes import MEASURABLE, decode, widen
from lora_weights_builder.inspector.factors import Factor, Sum
from lora_weights_builder.inspector.pair_spectra import PairSpectra
from lora_weights_builder.inspector.recipes import Recipe, Unmeasurable, recipe_for
from lora_weights_builder.inspector.spectra import Spectrum, product_spectrum
from lora_weights_builder.inspector.tensor_file import DTYPES, TensorFile, content_hasher
from lora_weights_builder.inspector.terms import PairTerm, SquareTerm
from lora_weights_builder.records import ModuleAdapter, ModuleStrength, TensorInfo

SPAN_BYTES: Final = 2**19
HOLD_ELEMENTS: Final = 8 * 2**20  # float32 of one [rank, n] factor that is longer than a span
GRAM_RANK: Final = 1024  # Grams of larger ranks are computed in blocks, after the pass
KEPT_GRAM_BYTES: Final = 40 * 2**20  # of factors whose partner has not come by yet
GAP_BYTES: Final = 2**16  # shorter gaps between wanted tensors are read rather than skipped

_BLAS_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one pass over a file's data says.

    ``strengths`` is aligned with the modules that were asked for; ``content_hash`` is hex BLAKE3, ``None`` where it
    was not asked for.
    """

    strengths: tuple[ModuleStrength, ...]
    content_hash: str | None


def limit_blas_threads() -> None:
    """Keep linear algebra on one thread, in this process and its children. Call it before numpy is first imported."""
    for variable in _BLAS_VARIABLES:
        os.environ[variable] = "1"


def measure(file: TensorFile, modules: Sequence[ModuleAdapter], *, hash_content: bool = True) -> Measurement:
    """Measure every module of an open file.

    Args:
        file: opened by the caller, who may retry once on ``changed_during_scan``.
        modules: what to measure; one that is marked ``fatal`` is passed over.
        hash_content: whether to hash the data section too; without it, tensors that no module needs are not read.

    Returns:
        One strength a module, in their order. A module that cannot be measured has ``measured`` false and norm 0.0;
        one that holds NaN or infinity has ``finite`` false and norm NaN.

    Raises:
        FileRejected: ``changed_during_scan`` or ``io_error``.
    """
    recipes = [_recipe_or_strength(module) for module in modules]
    hasher = content_hasher(file.header) if hash_content else None
    with np.errstate(all="ignore"):  # what left float32's range is noticed by its result and summed again
        _Pass(file, [recipe for recipe in recipes if isinstance(recipe, Recipe)]).run(hasher)
    strengths = tuple(
        _strength(file, module, recipe) if isinstance(recipe, Recipe) else recipe
        for module, recipe in zip(modules, recipes, strict=True)
    )
    file.check_unchanged()
    return Measurement(strengths, hasher.hexdigest() if hasher else None)


def _recipe_or_strength(module: ModuleAdapter) -> Recipe | ModuleStrength:
    if module.fatal:
        return ModuleStrength(norm=0.0, kind="delta", alpha=module.alpha, finite=True, measured=False)
    try:
        return recipe_for(module)
    except Unmeasurable as fault:
        return _unmeasured(module, fault.problem)


def _unmeasured(module: ModuleAdapter, *problems: str, alpha: float | None = None) -> ModuleStrength:
    alpha = module.alpha if alpha is None else alpha
    return ModuleStrength(norm=0.0, kind="delta", alpha=alpha, finite=True, problems=problems, measured=False)


def _strength(file: TensorFile, module: ModuleAdapter, recipe: Recipe) -> ModuleStrength:
    """Put one module's terms and its scale together, once the pass is over."""
    alpha = module.alpha
    if recipe.alpha is not None:
        if recipe.alpha.value is None:
            name, shape = f"{module.part} {module.module}", list(recipe.alpha.info.shape)
            return _unmeasured(module, f"alpha_vector: {name}: its alpha has the shape {shape} instead of one number")
        alpha = recipe.alpha.value
    with np.errstate(all="ignore"):
        measured = [term.measure(file, alpha) for term in recipe.terms]
    square = math.prod(term.square for term in measured)
    problems = recipe.problems
    scale = 1.0
    if alpha is not None and not math.isfinite(alpha):
        problems = (*problems, f"alpha_not_finite: {module.part} {module.module}: its alpha is {alpha}")
        scale = math.nan
    elif alpha is not None and recipe.rank is not None:
        scale = alpha / (math.sqrt(recipe.rank) if module.rank_stabilised else recipe.rank)
    norm = abs(scale) * math.sqrt(square)
    finite = math.isfinite(norm)
    values, complete = _scaled([term.spectrum for term in measured], abs(scale)) if finite else ((), False)
    return ModuleStrength(
        norm=norm if finite else math.nan,
        kind=recipe.kind,
        alpha=alpha,
        finite=finite,
        problems=problems,
        singular_values=values,
        complete=complete,
    )


def _scaled(spectra: Sequence[Spectrum | None], scale: float) -> tuple[tuple[float, ...], bool]:
    """The singular values of the module, and whether they are all; none where a term has no spectrum."""
    known = [spectrum for spectrum in spectra if spectrum is not None]
    if len(known) < len(spectra):
        return (), False
    product = product_spectrum(known)
    values: list[float] = (product.values * scale).tolist()
    return tuple(value for value in values if value > 0.0), product.complete


@dataclass(slots=True)
class _Run:
    """Neighbours of one dtype inside a span: cast together, then summed one by one."""

    dtype: str
    start: int  # bytes, inside the span
    end: int
    items: list[tuple[Factor, int, int]]  # the factor, its first and last element inside the run


@dataclass(slots=True)
class _Span:
    """Bytes read at once: whole tensors, or one tensor too long for a span (``long``)."""

    start: int
    end: int
    runs: list[_Run]
    long: TensorInfo | None = None


class _Pass:
    """One pass over the data section: its spans in order, each read once, hashed, cast and summed."""

    def __init__(self, file: TensorFile, recipes: Sequence[Recipe]) -> None:
        self._file = file
        self._factors: dict[str, Factor] = {}
        self._pairs: dict[str, PairTerm] = {}
        self._kept_bytes = 0
        self._spectra = PairSpectra()
        for recipe in recipes:
            self._want(recipe)
        self._raw = np.empty(SPAN_BYTES, np.uint8)
        self._wide = np.empty(SPAN_BYTES, np.float32)
        self._hold = np.empty(0, np.float32)

    def _want(self, recipe: Recipe) -> None:
        if recipe.alpha is not None and math.prod(recipe.alpha.info.shape) == 1:
            # Slices of one weight may share an alpha.
            recipe.alpha = self._factors.setdefault(recipe.alpha.info.name, recipe.alpha)
        for term in recipe.terms:
            if isinstance(term, SquareTerm):
                self._factors[term.factor.info.name] = term.factor
            elif isinstance(term, PairTerm) and _fits(term):
                for factor in (term.left, term.right):
                    self._factors[factor.info.name] = factor
                    self._pairs[factor.info.name] = term

    def run(self, hasher: blake3 | None) -> None:
        """Read everything that is wanted; with a hasher, everything."""
        for span in self._spans(everything=hasher is not None):
            if span.long is not None:
                self._read_long(span.long, hasher)
                continue
            raw = self._raw[: span.end - span.start]
            self._read(raw, span.start, hasher)
            for run in span.runs:
                self._sum(run, raw[run.start : run.end])
        self._spectra.finish()

    def _read(self, raw: NDArray[np.uint8], start: int, hasher: blake3 | None) -> None:
        view = raw.data
        self._file.read_into(view, start)
        if hasher is not None:
            hasher.update(view)

    def _spans(self, *, everything: bool) -> Iterator[_Span]:
        """Cut the data section into spans of whole tensors, skipping what nobody wants."""
        span: _Span | None = None
        for info in self._file.header.tensors:
            factor = self._factors.get(info.name)
            size = info.end - info.start
            if size == 0 or (factor is None and not everything):
                continue
            if span is not None and (info.end - span.start > SPAN_BYTES or info.start - span.end > GAP_BYTES):
                yield span
                span = None
            if size > SPAN_BYTES:
                yield _Span(info.start, info.end, [], info)
                continue
            if span is None:
                span = _Span(info.start, info.end, [])
            span.end = info.end
            if factor is not None:
                _add(span, info, factor)
        if span is not None:
            yield span

    def _sum(self, run: _Run, raw: NDArray[np.uint8]) -> None:
        if run.dtype not in MEASURABLE:  # an alpha stored as a whole number
            for factor, start, end in run.items:
                item = DTYPES[run.dtype] // 8
                factor.value = float(decode(raw[start * item : end * item], run.dtype)[0])
            return
        wide = self._widened(raw, run.dtype)
        item = DTYPES[run.dtype] // 8
        for factor, start, end in run.items:
            if factor.sum is Sum.VALUE:
                factor.take_value(float(wide[start]), raw[start * item : end * item])
            elif factor.sum is Sum.SQUARE:
                factor.take_square(wide[start:end], raw[start * item : end * item])
            else:
                factor.take_gram(wide[start:end])
                self._settle(factor)

    def _widened(self, raw: NDArray[np.uint8], dtype: str) -> NDArray[np.float32]:
        if dtype == "F32":
            plain: NDArray[np.float32] = raw.view("<f4")
            if plain.flags.aligned:
                return plain
        wide = self._wide[: len(raw) * 8 // DTYPES[dtype]]
        widen(raw, dtype, wide)
        return wide

    def _settle(self, factor: Factor) -> None:
        """Use a pair up once both Grams are there; until then keep this one, if there is room."""
        pair = self._pairs[factor.info.name]
        partner = pair.right if factor is pair.left else pair.left
        assert factor.gram is not None
        if partner.gram is not None:
            self._kept_bytes -= partner.gram.nbytes
            grams = pair.settle()
            if grams is not None:
                self._spectra.add(pair, *grams)
        elif self._kept_bytes + factor.gram.nbytes > KEPT_GRAM_BYTES:
            factor.gram = None
        else:
            self._kept_bytes += factor.gram.nbytes

    def _read_long(self, info: TensorInfo, hasher: blake3 | None) -> None:
        """A tensor of more than a span: in whole rows where rows are summed, into a held copy where all are needed."""
        factor = self._factors.get(info.name)
        item = DTYPES[info.dtype] // 8
        step = SPAN_BYTES
        hold = None
        if factor is not None and factor.sum is Sum.COLUMNS:
            width = factor.columns * item
            step = max(1, SPAN_BYTES // width) * width
        elif factor is not None and factor.sum is Sum.ROWS:
            hold = self._held(factor.rows * factor.columns)
        for start in range(info.start, info.end, step):
            raw = self._raw[: min(step, info.end - start)]
            self._read(raw, start, hasher)
            if factor is None:
                continue
            if hold is not None:
                first = (start - info.start) // item
                widen(raw, info.dtype, hold[first : first + len(raw) // item])
            elif factor.sum is Sum.SQUARE:
                factor.take_square(self._widened(raw, info.dtype), raw)
            else:
                factor.take_gram(self._widened(raw, info.dtype))
        if factor is not None and factor.sum is not Sum.SQUARE:
            if hold is not None:
                factor.take_gram(hold)
            self._settle(factor)

    def _held(self, elements: int) -> NDArray[np.float32]:
        if len(self._hold) < elements:
            self._hold = np.empty(elements, np.float32)
        return self._hold[:elements]


def _fits(pair: PairTerm) -> bool:
    """Whether both Grams can be had in the pass without much memory; else they are computed after it, in blocks."""
    held = (factor.rows * factor.columns for factor in (pair.left, pair.right) if factor.sum is Sum.ROWS)
    return pair.left.rank <= GRAM_RANK and all(elements <= HOLD_ELEMENTS for elements in held)


def _add(span: _Span, info: TensorInfo, factor: Factor) -> None:
    """Put a factor at the end of the span's last run, or of a new one where dtype or neighbourhood ends."""
    start, end = info.start - span.start, info.end - span.start
    run = span.runs[-1] if span.runs else None
    if run is None or run.dtype != info.dtype or run.end != start:
        run = _Run(info.dtype, start, end, [])
        span.runs.append(run)
    run.end = end
    bits = DTYPES[info.dtype]
    run.items.append((factor, (start - run.start) * 8 // bits, (end - run.start) * 8 // bits))
