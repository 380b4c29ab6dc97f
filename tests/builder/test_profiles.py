"""What a profile may be called and hold, and when it no longer fits."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.builder.profiles import (
    checked_address_name,
    checked_name,
    checked_weights,
    misfit,
    neutral,
)
from lora_weights_builder.errors import BadField
from lora_weights_builder.inspector.block_layouts import registry

DOUBLE = registry().layouts["flux_double_19"]
FALLBACK = registry().layouts["flux_fallback_16"]


def test_names_are_trimmed_and_composed() -> None:
    assert checked_name("  softer  middle ") == "softer  middle"
    assert checked_name("cafe\u0301") == checked_name("café") == "café"
    assert checked_name("x" * 100) == "x" * 100


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "has to be a text"),
        (7, "has to be a text"),
        ("", "has 0 characters; give 1 to 100"),
        (" \t\n ", "has 0 characters"),
        ("x" * 101, "has 101 characters"),
        ("two\nlines", "control character"),
        ("nul\x00", "control character"),
        ("half \ud800", "control character"),
    ],
)
def test_what_is_no_name_is_refused(value: object, words: str) -> None:
    with pytest.raises(BadField, match=words) as caught:
        checked_name(value)
    assert (caught.value.subject, caught.value.http_status) == ("profile_name", 400)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "50%", ".", ".."])
def test_a_name_that_no_address_holds_is_one_for_an_entry_s_own_profile_only(name: str) -> None:
    assert checked_name(name) == name
    with pytest.raises(BadField, match="addresses"):
        checked_address_name(name)


@given(st.text(max_size=120))
def test_a_checked_name_is_taken_as_it_is(text: str) -> None:
    try:
        name = checked_name(text)
    except BadField:
        return
    assert checked_name(name) == name
    assert 1 <= len(name) <= 100
    assert unicodedata.is_normalized("NFC", name)


def test_multipliers_are_one_a_block() -> None:
    assert checked_weights([1, 0.5, *[0.0] * 17], DOUBLE) == (1.0, 0.5, *[0.0] * 17)
    assert checked_weights([-10, 10, *[1] * 14], FALLBACK) == (-10.0, 10.0, *[1.0] * 14)
    assert math.copysign(1, checked_weights([-0.0] * 16, FALLBACK)[0]) == 1
    assert neutral(FALLBACK) == (1.0,) * 16


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([1.0] * 18, "block_weights: expected 19 numbers, one a block of flux_double_19; found 18."),
        ([], "block_weights: expected 19 numbers, one a block of flux_double_19; found 0."),
        (None, "block_weights has to be a list of 19 numbers, one a block of flux_double_19."),
        ("1," * 19, "block_weights has to be a list of 19 numbers, one a block of flux_double_19."),
        ({"0": 1.0}, "block_weights has to be a list of 19 numbers, one a block of flux_double_19."),
        ([1.0] * 18 + ["1"], "block_weights[18] is not a number."),
        ([True] + [1.0] * 18, "block_weights[0] is not a number."),
        ([1.0, None] + [1.0] * 17, "block_weights[1] is not a number."),
        ([1.0, math.nan] + [1.0] * 17, "block_weights[1] is not a number from -10 to 10."),
        ([math.inf] + [1.0] * 18, "block_weights[0] is not a number from -10 to 10."),
        ([10.001] + [1.0] * 18, "block_weights[0] is not a number from -10 to 10."),
        ([10**400] + [1.0] * 18, "block_weights[0] is not a number from -10 to 10."),
    ],
)
def test_what_is_no_profile_is_refused_with_the_expected_and_the_found(value: object, sentence: str) -> None:
    with pytest.raises(BadField) as caught:
        checked_weights(value, DOUBLE)
    assert caught.value.message == sentence
    assert str(caught.value.subject).startswith("block_weights")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=40,
)


@given(json_values | st.lists(st.floats() | st.integers(), min_size=19, max_size=19))
def test_whatever_is_sent_comes_out_as_finite_multipliers_or_is_refused(value: object) -> None:
    try:
        weights = checked_weights(value, DOUBLE)
    except BadField:
        return
    assert len(weights) == 19
    assert all(type(one) is float and -10 <= one <= 10 for one in weights)


def test_a_profile_fits_the_layout_it_was_saved_for_and_no_other() -> None:
    assert misfit("flux_double_19", (1.0,) * 19, DOUBLE) is None
    assert misfit("flux_double_19", (1.0,) * 19, FALLBACK) == (
        "it was saved for flux_double_19 (19 blocks), and the entry has flux_fallback_16 (16 blocks) now"
    )
    assert misfit("flux_double_19", (1.0,) * 19, None) == (
        "it was saved for flux_double_19 (19 blocks), and the entry has no layout now"
    )
    assert misfit("flux_double_19", (1.0,) * 18, DOUBLE) == (
        "it was saved for flux_double_19 (18 blocks), and that layout has 19 blocks now"
    )
