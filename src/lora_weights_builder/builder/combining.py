"""Several LoRAs for one picture: whether they go together, and what a loader has to be told of each.

Nothing is added up: each LoRA keeps its own strengths and multipliers. The one exception is :class:`Average`, which an
existing client reads; it is no LoRA and nothing here offers it as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

ReasonCode = Literal[
    "missing_lora", "fallback_excluded", "all_loras_excluded", "base_model_mismatch", "layout_mismatch", "no_loras"
]
ROLE_BUDGETS: Final[Mapping[str, float]] = {
    "character": 0.35,
    "style": 0.25,
    "clothing": 0.15,
    "environment": 0.10,
    "utility": 0.08,
    "other": 0.07,
}
"""Which part of the sum of strengths each role gets by the advice. Roles not named here share that of ``other``."""
OTHER: Final = "other"
DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants of one LoRA; ``a`` and ``b`` are handed on to the loader. ``profile`` ``None``: all 1.0."""

    strength_model: float = 1.0
    strength_clip: float = 1.0
    affect_clip: bool = True
    a: float = 4.0
    b: float = 1.0
    profile: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One LoRA that is to be combined.

    ``weights`` are the measured ones, one a block of ``block_layout``. ``exclusion`` says why it cannot take part,
    ``None`` where it can; it then has a layout and weights.
    """

    stable_id: str
    filename: str | None
    role: str | None
    base_model_code: str | None
    block_layout: str | None
    weights: tuple[float, ...]
    clip_contributor: bool
    asked: Asked
    exclusion: tuple[ReasonCode, str] | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why LoRAs were left out or do not go together."""

    code: ReasonCode
    detail: str
    stable_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Payload:
    """What a loader has to be told of one LoRA.

    ``strength_model`` and ``strength_clip`` are those asked for, the latter 0 where there is nothing for it to act on;
    the ``advised`` ones keep the sum of the strengths asked for and share it out by role. ``block_weights`` is the
    profile, one multiplier a block of the layout.
    """

    candidate: Candidate
    affect_clip: bool
    strength_model: float
    strength_clip: float
    advised_strength_model: float
    advised_strength_clip: float
    block_weights: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Average:
    """Averages over the payloads, each weighing as much as its advised strength; kept for an existing client.

    A block's value is the average of measured weight times multiplier.
    """

    strength_model: float
    strength_clip: float
    block_weights_model: tuple[float, ...]
    block_weights_clip: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """The answer: ``base_model`` and ``layout`` where all included share one, ``payloads`` where they go together."""

    compatible: bool
    base_model: str | None
    layout: str | None
    included: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]
    reasons: tuple[Reason, ...]
    warnings: tuple[str, ...]
    payloads: tuple[Payload, ...]
    average: Average | None


def combine(candidates: Sequence[Candidate]) -> Combination:
    """Say whether these LoRAs go together (one base model, one layout), and how each is to be loaded."""
    included = tuple(one for one in candidates if one.exclusion is None)
    excluded = tuple(one for one in candidates if one.exclusion is not None)
    base_model = _common(one.base_model_code for one in included)
    layout = _common(one.block_layout for one in included)
    refusals = _refusals(included, excluded, base_model, layout)
    compatible = not refusals
    payloads, warnings = _payloads(included) if compatible else ((), ())
    return Combination(
        compatible=compatible,
        base_model=base_model,
        layout=layout,
        included=included,
        excluded=excluded,
        reasons=(*_exclusion_reasons(excluded), *refusals),
        warnings=warnings,
        payloads=payloads,
        average=_average(payloads) if compatible else None,
    )


def shared_out(strengths: Sequence[float], roles: Sequence[str]) -> tuple[float, ...]:
    """The strengths advised in the place of these: the sum of their sizes stays, and each role gets its budget of it.

    Budgets of absent roles go to the others in proportion. Within a role, and in sign, all stays as it was asked for.
    """
    budgeted = [role if role in ROLE_BUDGETS else OTHER for role in roles]
    of_role: dict[str, float] = {}
    for strength, role in zip(strengths, budgeted, strict=True):
        of_role[role] = of_role.get(role, 0.0) + abs(strength)
    present = {role: size for role, size in of_role.items() if size > 0}
    if not present:
        return (0.0,) * len(strengths)
    total = sum(present.values())
    budget = sum(ROLE_BUDGETS[role] for role in present)
    scale = {role: total * ROLE_BUDGETS[role] / budget / size for role, size in present.items()}
    return tuple(strength * scale.get(role, 0.0) + 0.0 for strength, role in zip(strengths, budgeted, strict=True))


def _common(values: Iterable[str | None]) -> str | None:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _refusals(
    included: Sequence[Candidate], excluded: Sequence[Candidate], base_model: str | None, layout: str | None
) -> tuple[Reason, ...]:
    ids = tuple(one.stable_id for one in included)
    if not included and not excluded:
        return (Reason("no_loras", "No LoRA was given; stable_ids is empty.", ()),)
    if not included:
        left_out = tuple(one.stable_id for one in excluded)
        return (Reason("all_loras_excluded", "None of the LoRAs given can take part; each says why.", left_out),)
    refusals = []
    if base_model is None:
        groups = _grouped(included, lambda one: one.base_model_code)
        refusals.append(Reason("base_model_mismatch", f"The LoRAs are of several base models: {groups}.", ids))
    if layout is None:
        groups = _grouped(included, lambda one: one.block_layout)
        refusals.append(Reason("layout_mismatch", f"The LoRAs have several block layouts: {groups}.", ids))
    return tuple(refusals)


def _grouped(candidates: Sequence[Candidate], key: Callable[[Candidate], str | None]) -> str:
    groups: dict[str, list[str]] = {}
    for one in candidates:
        groups.setdefault(key(one) or "none", []).append(one.stable_id)
    return "; ".join(f"{name} ({', '.join(ids)})" for name, ids in groups.items())


def _exclusion_reasons(excluded: Sequence[Candidate]) -> tuple[Reason, ...]:
    ids: dict[ReasonCode, list[str]] = {}
    details: dict[ReasonCode, list[str]] = {}
    for one in excluded:
        if one.exclusion is not None:
            code, detail = one.exclusion
            ids.setdefault(code, []).append(one.stable_id)
            details.setdefault(code, []).append(f"{one.stable_id}: {detail}")
    return tuple(Reason(code, "; ".join(details[code]), tuple(found)) for code, found in ids.items())


def _payloads(included: Sequence[Candidate]) -> tuple[tuple[Payload, ...], tuple[str, ...]]:
    clip = [_clip_strength(one) for one in included]
    roles = [one.role or OTHER for one in included]
    advised_model = shared_out([one.asked.strength_model for one in included], roles)
    advised_clip = shared_out([strength for strength, _ in clip], roles)
    payloads = tuple(
        Payload(
            candidate=one,
            affect_clip=one.asked.affect_clip and one.clip_contributor,
            strength_model=one.asked.strength_model,
            strength_clip=clip[place][0],
            advised_strength_model=round(advised_model[place], DECIMALS),
            advised_strength_clip=round(advised_clip[place], DECIMALS),
            block_weights=one.asked.profile or (1.0,) * len(one.weights),
            notes=_notes(one, clip[place][1], advised_model[place], len(included)),
        )
        for place, one in enumerate(included)
    )
    warnings = tuple(
        f"{one.stable_id}: {note}" for one, (_, note) in zip(included, clip, strict=True) if note is not None
    )
    return payloads, warnings


def _clip_strength(one: Candidate) -> tuple[float, str | None]:
    """The text-encoder strength to load with, and what to warn of."""
    if not one.asked.affect_clip:
        return 0.0, None
    if one.clip_contributor:
        return one.asked.strength_clip, None
    if one.asked.strength_clip == 0:
        return 0.0, None
    return 0.0, "holds no text-encoder tensors, so strength_clip is set to 0"


def _notes(one: Candidate, clip_note: str | None, advised: float, count: int) -> tuple[str, ...]:
    notes = [clip_note] if clip_note else []
    if count > 1 and abs(advised - one.asked.strength_model) > 10**-DECIMALS:
        role = one.role or OTHER
        notes.append(
            f"as {role} among {count} LoRAs, strength_model {advised:.3g} is advised; {one.asked.strength_model:g} was "
            "asked for and is used"
        )
    return tuple(notes)


def _average(payloads: Sequence[Payload]) -> Average:
    model = [abs(one.advised_strength_model) for one in payloads]
    clip = [abs(one.advised_strength_clip) for one in payloads]
    shapes = [
        [weight * factor for weight, factor in zip(one.candidate.weights, one.block_weights, strict=True)]
        for one in payloads
    ]
    return Average(
        strength_model=_weighted([one.strength_model for one in payloads], model),
        strength_clip=_weighted([one.strength_clip for one in payloads], clip),
        block_weights_model=tuple(_weighted(block, model) for block in zip(*shapes, strict=True)),
        block_weights_clip=tuple(_weighted(block, clip) for block in zip(*shapes, strict=True)),
    )


def _weighted(values: Sequence[float], shares: Sequence[float]) -> float:
    """The weighted average, 0 where nothing has weight."""
    total = sum(shares)
    if total == 0:
        return 0.0
    return round(sum(value * share for value, share in zip(values, shares, strict=True)) / total, DECIMALS)
