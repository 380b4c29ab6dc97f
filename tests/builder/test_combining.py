"""Which LoRAs go together, what each is loaded with, and what the advice does to strengths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.builder.combining import (
    ROLE_BUDGETS,
    Asked,
    Candidate,
    Combination,
    Reason,
    combine,
    shared_out,
)

ROLES = [*ROLE_BUDGETS, "pose"]
NO_TEXT_ENCODER = "holds no text-encoder tensors, so strength_clip is set to 0"


def lora(stable_id: str, role: str = "style", asked: Asked | None = None, *, clip: bool = True) -> Candidate:
    return Candidate(
        stable_id=stable_id,
        filename=f"{stable_id}.safetensors",
        role=role,
        base_model_code="FLX",
        block_layout="three_blocks",
        weights=(0.0, 0.5, 1.0),
        clip_contributor=clip,
        asked=asked or Asked(),
    )


def codes(found: Combination) -> list[str]:
    return [reason.code for reason in found.reasons]


def test_loras_of_one_base_and_layout_go_together_each_with_its_own_numbers() -> None:
    one = lora("A", "character", Asked(strength_model=0.8, strength_clip=0.4, a=2.0, b=0.5))
    two = lora("B", "style", Asked(strength_model=0.6, profile=(0.25, 0.5, 2.0)))
    found = combine([one, two])
    assert (found.compatible, found.base_model, found.layout) == (True, "FLX", "three_blocks")
    assert (found.included, found.excluded, found.reasons, found.warnings) == ((one, two), (), (), ())
    assert [(p.strength_model, p.strength_clip, p.affect_clip) for p in found.payloads] == [
        (0.8, 0.4, True),
        (0.6, 1.0, True),
    ]
    assert [p.block_weights for p in found.payloads] == [(1.0, 1.0, 1.0), (0.25, 0.5, 2.0)]
    assert [p.advised_strength_model for p in found.payloads] == [0.816667, 0.583333]
    assert found.payloads[0].notes == (
        "as character among 2 LoRAs, strength_model 0.817 is advised; 0.8 was asked for and is used",
    )


def test_one_lora_alone_is_advised_what_was_asked_for() -> None:
    [payload] = combine([lora("A", "pose", Asked(strength_model=-0.7))]).payloads
    assert (payload.strength_model, payload.advised_strength_model, payload.notes) == (-0.7, -0.7, ())


def test_nothing_given_and_nothing_left_are_refused() -> None:
    nothing = combine([])
    assert (nothing.compatible, codes(nothing), nothing.payloads, nothing.average) == (False, ["no_loras"], (), None)
    gone = replace(lora("A"), exclusion=("missing_lora", "no entry has this id"))
    torn = replace(lora("B"), exclusion=("fallback_excluded", "the header is damaged"))
    found = combine([gone, torn])
    assert found.compatible is False
    assert found.reasons == (
        Reason("missing_lora", "A: no entry has this id", ("A",)),
        Reason("fallback_excluded", "B: the header is damaged", ("B",)),
        Reason("all_loras_excluded", "None of the LoRAs given can take part; each says why.", ("A", "B")),
    )


def test_what_cannot_take_part_is_left_out_and_the_others_still_go_together() -> None:
    torn = replace(lora("B"), exclusion=("fallback_excluded", "the header is damaged"))
    found = combine([lora("A"), torn])
    assert (found.compatible, codes(found)) == (True, ["fallback_excluded"])
    assert [one.stable_id for one in found.excluded] == ["B"]
    assert [one.candidate.stable_id for one in found.payloads] == ["A"]


def test_other_base_models_and_other_layouts_do_not_go_together() -> None:
    found = combine([lora("A"), replace(lora("B"), base_model_code="SDX", block_layout="other", weights=(1.0,))])
    assert (found.compatible, found.base_model, found.layout, found.payloads) == (False, None, None, ())
    assert found.reasons == (
        Reason("base_model_mismatch", "The LoRAs are of several base models: FLX (A); SDX (B).", ("A", "B")),
        Reason("layout_mismatch", "The LoRAs have several block layouts: three_blocks (A); other (B).", ("A", "B")),
    )
    same_base = combine([lora("A"), replace(lora("B"), block_layout="other", weights=(1.0,))])
    assert (codes(same_base), same_base.base_model, same_base.layout) == (["layout_mismatch"], "FLX", None)


@pytest.mark.parametrize(
    ("clip", "asked", "strength", "affects", "warned"),
    [
        (True, Asked(strength_clip=0.5), 0.5, True, False),
        (True, Asked(strength_clip=0.5, affect_clip=False), 0.0, False, False),
        (False, Asked(strength_clip=0.5), 0.0, False, True),
        (False, Asked(strength_clip=0.0), 0.0, False, False),
        (False, Asked(strength_clip=0.5, affect_clip=False), 0.0, False, False),
    ],
)
def test_without_text_encoder_tensors_its_strength_is_zero_and_says_so(
    clip: bool, asked: Asked, strength: float, affects: bool, warned: bool
) -> None:
    found = combine([lora("A", asked=asked, clip=clip)])
    [payload] = found.payloads
    assert (payload.strength_clip, payload.affect_clip) == (strength, affects)
    assert found.warnings == ((f"A: {NO_TEXT_ENCODER}",) if warned else ())
    assert payload.notes == ((NO_TEXT_ENCODER,) if warned else ())


def test_the_averages_weigh_by_advised_strength_and_the_text_encoder_by_its_own() -> None:
    one = lora("A", "style", Asked(strength_model=3.0, strength_clip=1.0))
    two = lora("B", "style", Asked(strength_model=1.0, profile=(1.0, 0.0, 0.0)), clip=False)
    average = combine([one, two]).average
    assert average is not None
    assert (average.strength_model, average.strength_clip) == (2.5, 1.0)
    assert average.block_weights_model == (0.0, 0.375, 0.75)
    assert average.block_weights_clip == (0.0, 0.5, 1.0)


def test_strengths_of_zero_have_averages_of_zero() -> None:
    average = combine([lora("A", asked=Asked(strength_model=0.0, strength_clip=0.0))]).average
    assert average is not None
    assert (average.strength_model, average.block_weights_model) == (0.0, (0.0, 0.0, 0.0))


def test_the_budgets_share_out_the_whole_sum() -> None:
    assert ROLE_BUDGETS == {
        "character": 0.35, "style": 0.25, "clothing": 0.15, "environment": 0.10, "utility": 0.08, "other": 0.07,
    }  # fmt: skip
    advised = shared_out([1.0] * 6, list(ROLE_BUDGETS))
    assert [round(one, 9) for one in advised] == [2.1, 1.5, 0.9, 0.6, 0.48, 0.42]
    assert shared_out([1.0, 3.0, 4.0], ["pose", "other", "vehicle"]) == (1.0, 3.0, 4.0)


wanted = st.lists(
    st.tuples(st.floats(-100, 100).filter(lambda x: x == 0 or abs(x) > 1e-6), st.sampled_from(ROLES)), max_size=8
)


@given(wanted)
def test_advice_keeps_the_sum_and_every_sign(pairs: list[tuple[float, str]]) -> None:
    strengths, roles = [one for one, _ in pairs], [role for _, role in pairs]
    advised = shared_out(strengths, roles)
    assert len(advised) == len(strengths)
    assert sum(map(abs, advised)) == pytest.approx(sum(map(abs, strengths)))
    assert all((a > 0) == (s > 0) and (a < 0) == (s < 0) for a, s in zip(advised, strengths, strict=True))


@given(wanted, st.floats(0.125, 8))
def test_advice_follows_scale_and_order(pairs: list[tuple[float, str]], factor: float) -> None:
    advised = shared_out([one for one, _ in pairs], [role for _, role in pairs])
    scaled = shared_out([one * factor for one, _ in pairs], [role for _, role in pairs])
    assert scaled == pytest.approx([one * factor for one in advised])
    back = shared_out([one for one, _ in reversed(pairs)], [role for _, role in reversed(pairs)])
    assert list(reversed(back)) == pytest.approx(list(advised))
