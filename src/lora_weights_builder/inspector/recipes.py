"""What each adapter type's strength is made of: a module's tensors in, a recipe of factors and terms out.

    norm = scale * sqrt(product of the terms)          scale = alpha / rank where the adapter is scaled
    singular values = scale * those of the terms' Kronecker product

It looks at roles and shapes only. The factors are read by ``strengths``, in file order; the terms that need more than
one pass over a factor (Tucker cores, Hadamard products, rotations) read the file themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lora_weights_builder.inspector import dense_terms, hadamard
from lora_weights_builder.inspector.factors import MAX_RANK, RANK_BLOCK, Factor, Sum, measurable
from lora_weights_builder.inspector.header import shown
from lora_weights_builder.inspector.terms import PairTerm, SquareTerm, Term
from lora_weights_builder.records import ModuleAdapter, StrengthKind, TensorInfo

Tensors = Mapping[str, TensorInfo]


class Unmeasurable(Exception):
    """A module whose strength cannot be computed; ``problem`` is "code: sentence"."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.problem = f"{code}: {sentence}"


@dataclass(slots=True)
class Recipe:
    """How to measure one module. ``rank`` is the divisor of alpha, ``None`` where the adapter is not scaled."""

    kind: StrengthKind
    terms: tuple[Term, ...]
    rank: int | None
    alpha: Factor | None
    problems: tuple[str, ...] = ()


def recipe_for(module: ModuleAdapter) -> Recipe:
    """The recipe for one module.

    Raises:
        Unmeasurable: the tensors do not fit together, or the adapter type has no strength.
    """
    tensors = module.tensors
    alpha = _alpha(tensors)
    try:
        kind, terms, rank = _terms(module, tensors)
    except Unmeasurable as fault:
        code, _, sentence = fault.problem.partition(": ")
        raise Unmeasurable(code, f"{_named(module)}: {sentence}") from None
    problems: tuple[str, ...] = ()
    if "set_weight" in tensors:
        sentence = "beside its change it replaces a weight, which cannot be measured"
        problems = (f"replacement: {_named(module)}: {sentence}",)
    return Recipe(kind, terms, rank, alpha, problems)


def _named(module: ModuleAdapter) -> str:
    return f"{module.part} {shown(module.module)}"


def _terms(module: ModuleAdapter, tensors: Tensors) -> tuple[StrengthKind, tuple[Term, ...], int | None]:
    roles = " ".join(tensors)
    if "hada_" in roles:
        term, rank = _hadamard(tensors)
        return _delta(module), (term,), rank
    if "lokr_" in roles:
        terms, kron_rank = _kronecker(tensors)
        return _delta(module), terms, kron_rank
    if "oft_blocks" in tensors or "oft_r" in tensors:
        return "rotation", (_rotation(tensors),), None
    if "glora_b" in roles:
        term, rank = _product(tensors, "glora_b1", "glora_bm", "glora_b2")
        return "partial", (term,), rank
    if "lora_down" in tensors or "lora_up" in tensors or "lora_mid" in tensors:
        term, rank = _product(tensors, "lora_up", "lora_mid", "lora_down")
        return _delta(module), (term,), rank
    if "weight" in tensors:  # IA3
        return "scale", (_square(tensors["weight"], spectral=False),), None
    # A bias counts only where the module's weight is not changed: the strength is that of dW.
    for role in ("diff", "w_norm", "diff_b", "b_norm", "diff_m"):
        if role in tensors:
            return _delta(module), (_square(tensors[role]),), None
    if "set_weight" in tensors:
        raise Unmeasurable("replacement", "it replaces a weight; a replacement is not a change that can be measured")
    raise Unmeasurable("incomplete_module", f"nothing to measure in {', '.join(sorted(tensors))}")


def _delta(module: ModuleAdapter) -> StrengthKind:
    return "direction" if module.dora or module.kind == "dora" or "dora_scale" in module.tensors else "delta"


def _alpha(tensors: Tensors) -> Factor | None:
    info = tensors.get("alpha")
    return None if info is None else Factor(info, Sum.VALUE)


def _need(tensors: Tensors, role: str) -> TensorInfo:
    info = tensors.get(role)
    if info is None:
        raise Unmeasurable("missing_half", f"its {role} is missing")
    if not measurable(info):
        raise Unmeasurable("integer_weights", f"its {role} is stored as {info.dtype}, which is no weight format")
    return info


def _square(info: TensorInfo, *, spectral: bool = True) -> SquareTerm:
    if not measurable(info):
        raise Unmeasurable("integer_weights", f"it is stored as {info.dtype}, which is no weight format")
    return SquareTerm(Factor(info, Sum.SQUARE), spectral)


def _rows(info: TensorInfo) -> Factor:
    """A factor stored [rank, ...]."""
    if not info.shape:
        raise Unmeasurable("shape_mismatch", "a factor has no dimensions")
    return Factor(info, Sum.ROWS, info.shape[0])


def _columns(info: TensorInfo) -> Factor:
    """A factor stored [n, rank] or, of a convolution, [n, rank, 1, 1]."""
    if len(info.shape) < 2 or math.prod(info.shape[2:]) != 1:
        raise Unmeasurable("shape_mismatch", f"a factor has the shape {list(info.shape)} instead of [n, rank]")
    return Factor(info, Sum.COLUMNS, info.shape[0])


def _matched(left: Factor, right: Factor) -> int:
    if left.rank != right.rank:
        raise Unmeasurable("rank_mismatch", f"its factors have the ranks {left.rank} and {right.rank}")
    if left.rank == 0:
        raise Unmeasurable("rank_zero", "its rank is 0")
    if left.rank > MAX_RANK:
        raise Unmeasurable("rank_too_large", f"its rank is {left.rank}, more than {MAX_RANK}")
    return left.rank


def _product(tensors: Tensors, up: str, core: str, down: str) -> tuple[Term, int]:
    left, right = _columns(_need(tensors, up)), _rows(_need(tensors, down))
    if core in tensors:
        info = _need(tensors, core)
        return _tucker(info, left, right), right.rank
    rank = _matched(left, right)
    return PairTerm(left, right), rank


def _tucker(core: TensorInfo, left: Factor, right: Factor) -> dense_terms.Tucker:
    if core.shape[:2] != (left.rank, right.rank) or 0 in core.shape:
        raise Unmeasurable(
            "rank_mismatch", f"its core {list(core.shape)} does not join the ranks {left.rank} and {right.rank}"
        )
    if math.prod(core.shape) > dense_terms.MAX_CORE_ELEMENTS:
        raise Unmeasurable("core_too_large", f"its core {list(core.shape)} is too large to be measured")
    return dense_terms.Tucker(core, left, right)


def _hadamard(tensors: Tensors) -> tuple[Term, int]:
    sides = []
    for number in "12":
        a, b = _need(tensors, f"hada_w{number}_a"), _need(tensors, f"hada_w{number}_b")
        core = tensors.get(f"hada_t{number}")
        left = _columns(a) if core is None else _rows(a)
        right = _rows(b)
        if core is None:
            _matched(left, right)
        else:
            _tucker(_need(tensors, f"hada_t{number}"), left, right)
        sides.append(hadamard.Side(left, right, core))
    first, second = sides
    if first.shape != second.shape or 0 in first.shape:
        raise Unmeasurable("shape_mismatch", f"its halves have the shapes {first.shape} and {second.shape}")
    if max(first.left.rank, second.left.rank) > RANK_BLOCK:
        raise Unmeasurable("rank_too_large", f"its rank is more than {RANK_BLOCK}")
    return hadamard.Hadamard(first, second), first.right.rank


def _kronecker(tensors: Tensors) -> tuple[tuple[Term, ...], int | None]:
    """||kron(w1, w2)|| = ||w1|| ||w2||; alpha / rank applies only where a side is decomposed."""
    terms: list[Term] = []
    rank = None
    for side in ("lokr_w1", "lokr_w2"):
        if side in tensors:
            terms.append(_square(_need(tensors, side)))
            continue
        core = tensors.get("lokr_t2") if side == "lokr_w2" else None
        a, b = _need(tensors, f"{side}_a"), _need(tensors, f"{side}_b")
        right = _rows(b)
        if core is None:
            left = _columns(a)
            _matched(left, right)
            terms.append(PairTerm(left, right))
        else:
            terms.append(_tucker(_need(tensors, "lokr_t2"), _rows(a), right))
        rank = right.rank
    return tuple(terms), rank


def _rotation(tensors: Tensors) -> dense_terms.Rotation:
    role = "oft_blocks" if "oft_blocks" in tensors else "oft_r"
    info = _need(tensors, role)
    shape = info.shape
    if role == "oft_r" and len(shape) == 2:
        side = round((1 + math.sqrt(1 + 8 * shape[1])) / 2)
        fits = shape[1] > 0 and side * (side - 1) // 2 == shape[1]
        count = shape[0]
    else:
        fits = len(shape) in (3, 4) and shape[-1] == shape[-2] and 0 not in shape
        side, count = (shape[-1], shape[-3]) if fits else (0, 0)
    if not fits or count == 0:
        raise Unmeasurable("shape_mismatch", f"its rotations have the shape {list(shape)}")
    if side > dense_terms.MAX_ROTATION_SIDE:
        raise Unmeasurable("rotation_too_large", f"its rotations are {side} wide")
    if len(shape) == 4 and side * count > dense_terms.MAX_BUTTERFLY:
        raise Unmeasurable("rotation_too_large", f"its butterfly rotation is {side * count} wide")
    if len(shape) == 4 and (side % 2 or (side * count) % (2 ** shape[0] * (side // 2))):
        raise Unmeasurable("shape_mismatch", f"{shape[0]} butterfly steps do not fit the shape {list(shape)}")
    return dense_terms.Rotation(info, count, side, scaled="oft_scaled" in tensors)
