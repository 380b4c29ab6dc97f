"""What becomes of an entry's columns when a person says otherwise: the rules, without a database."""

from __future__ import annotations

from typing import Any

import pytest

from lora_weights_builder.errors import UsageError
from lora_weights_builder.library.conventions import load_conventions
from lora_weights_builder.library.organise import Change, Choice, checked, chosen, clean_tags, shown

UNRECOGNISED: dict[str, Any] = {
    "base_model_code": "UNK", "base_model_name": None, "category_code": "UNC", "category_name": None, "role": "other",
    "block_layout": None, "block_count": 0, "fallback": 0, "fallback_reason": None,
}  # fmt: skip


def test_a_category_brings_its_role_and_a_role_by_hand_stands_above_it() -> None:
    conventions = load_conventions()
    category = chosen(Choice(), Change(category="CLT"), conventions)
    assert category == Choice(category_code="CLT", category_name="Clothing", category_role="clothing")
    assert shown(UNRECOGNISED, None, category)["role"] == "clothing"
    both = chosen(category, Change(role="style"), conventions)
    assert (shown(UNRECOGNISED, None, both)["category_code"], shown(UNRECOGNISED, None, both)["role"]) == (
        "CLT", "style",
    )  # fmt: skip
    assert chosen(both, Change(reset=frozenset({"category"})), conventions) == Choice(role="style")
    assert chosen(both, Change(reset=frozenset({"category", "role"})), conventions).is_empty


def test_a_base_that_requires_a_layout_lends_its_neutral_one_and_says_why() -> None:
    flux = chosen(Choice(), Change(base="FLX"), load_conventions())
    columns = shown(UNRECOGNISED, None, flux)
    assert {name: columns[name] for name in ("base_model_name", "block_layout", "block_count", "fallback")} == {
        "base_model_name": "Flux", "block_layout": "flux_fallback_16", "block_count": 16, "fallback": 1,
    }  # fmt: skip
    assert columns["fallback_reason"] == "its base model was set by hand, and nothing in the file could be measured"


def test_a_layout_lent_for_a_base_goes_with_that_base_and_a_file_s_own_layout_stays() -> None:
    conventions = load_conventions()
    lent = {
        **UNRECOGNISED, "base_model_code": "FLX", "block_layout": "flux_fallback_16", "block_count": 16, "fallback": 1,
        "fallback_reason": "torn",
    }  # fmt: skip
    sdxl = chosen(Choice(), Change(base="SDX"), conventions)
    assert [shown(lent, None, sdxl)[name] for name in ("block_layout", "block_count", "fallback")] == [None, 0, 0]
    krea = chosen(Choice(), Change(base="FLK"), conventions)
    assert shown(lent, None, krea)["block_layout"] == "flux_fallback_16"
    assert shown(lent, "flux1", sdxl)["block_layout"] == "flux_fallback_16"
    own = {**UNRECOGNISED, "base_model_code": "SDX", "block_layout": "sdxl_unet_19", "block_count": 19}
    assert shown(own, "sdxl", chosen(Choice(), Change(base="FLX"), conventions))["block_layout"] == "sdxl_unet_19"


@pytest.mark.parametrize(
    ("change", "subject"),
    [(Change(base="XYZ"), "base"), (Change(category="XYZ"), "category"), (Change(role="villain"), "role")],
)
def test_what_nothing_knows_cannot_be_set(change: Change, subject: str) -> None:
    with pytest.raises(UsageError, match="must be one of") as raised:
        chosen(Choice(), change, load_conventions())
    assert raised.value.subject == subject


def test_tags_are_kept_once_as_first_written_with_their_spaces_in_order() -> None:
    assert clean_tags([" To  sort", "to SORT", "B"], "tags") == ("To sort", "B")


@pytest.mark.parametrize("tag", ["", "  ", "x" * 61, "a\x07b", "\ud800"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(UsageError):
        clean_tags([tag], "tags")


def test_nothing_is_set_and_reset_at_once_and_notes_have_an_end() -> None:
    for change in (Change(base="FLX", reset=frozenset({"base"})), Change(notes="x" * 20_001)):
        with pytest.raises(UsageError):
            checked(change)
    assert checked(Change(notes=" two\nlines\x00 ")).notes == "two\nlines\ufffd"
