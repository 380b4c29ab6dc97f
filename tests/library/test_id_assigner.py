"""Numbers of ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.library.id_assigner import IdAssigner, format_id, id_key, parse_id, prefix_of

PREFIXES = st.sampled_from(["FLX-CLT", "SDX-STL", "UNK-UNC"])
IDS = st.builds(format_id, PREFIXES, st.integers(1, 2000))


def test_a_prefix_is_base_and_category_with_a_word_for_the_unknown() -> None:
    assert prefix_of("FLX", "CLT") == "FLX-CLT"
    assert prefix_of(None, None) == "UNK-UNC"


def test_numbers_have_three_digits_and_go_on_past_999() -> None:
    assigner = IdAssigner(["FLX-CLT-998"])
    assert [assigner.next_id("FLX-CLT") for _ in range(3)] == ["FLX-CLT-999", "FLX-CLT-1000", "FLX-CLT-1001"]
    assert assigner.next_id("SDX-STL") == "SDX-STL-001"


@pytest.mark.parametrize(
    "text", ["", "FLX-CLT", "FLX-CLT-1", "FLX-CLT-0001", "FLX-CLT-000", "flx-clt-001", "FLX-CLT-\u0660\u0660\u0661"]
)
def test_text_that_is_not_an_id_in_its_one_spelling_is_refused(text: str) -> None:
    assert parse_id(text) is None


def test_ids_sort_by_number_and_not_by_letters() -> None:
    ids = ["FLX-CLT-1000", "FLX-CLT-999", "FLX-ACT-001", "weird"]
    assert sorted(ids, key=id_key) == ["FLX-ACT-001", "FLX-CLT-999", "FLX-CLT-1000", "weird"]


@given(st.lists(IDS), st.lists(PREFIXES, min_size=1, max_size=20))
def test_no_id_is_ever_given_twice(given_before: list[str], wanted: list[str]) -> None:
    assigner = IdAssigner(given_before)
    fresh = [assigner.next_id(prefix) for prefix in wanted]
    assert len(set(fresh)) == len(fresh)
    assert not set(fresh) & set(given_before)
    for stable_id, prefix in zip(fresh, wanted, strict=True):
        parsed = parse_id(stable_id)
        assert parsed is not None
        assert parsed[0] == prefix
        assert parsed[1] > max((p[1] for p in map(parse_id, given_before) if p and p[0] == prefix), default=0)


@given(st.lists(IDS, unique=True), PREFIXES, st.randoms())
def test_the_next_id_does_not_depend_on_the_order_in_which_ids_were_learnt(
    ids: list[str], prefix: str, random: object
) -> None:
    assert IdAssigner(ids).next_id(prefix) == IdAssigner(reversed(ids)).next_id(prefix)
