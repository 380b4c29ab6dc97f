"""Which files beside a LoRA are its own: told by name, in one order whatever the listing's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest

from lora_weights_builder.library import beside


def given(loras: Sequence[str], *names: str) -> dict[str, dict[str, str]]:
    """What each LoRA has beside it; the same in whatever order the folder lists the names."""
    results = [beside.match(order, {lora: lora for lora in loras}) for order in permutations(names)]
    assert all(result == results[0] for result in results)
    return results[0]


@pytest.mark.parametrize(
    "name",
    [
        "coat.preview.png",
        "coat.png",
        "coat.jpg",
        "coat.jpeg",
        "coat.webp",
        "coat.preview.webp",
        "COAT.PNG",
        "Coat.Preview.JPG",
    ],
)
def test_an_image_of_the_loras_name_is_its_preview(name: str) -> None:
    assert given(["coat"], name) == {"coat": {"preview": name}}
    assert beside.may_belong(name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("coat.json", "user"),
        ("coat.metadata.json", "lora_manager"),
        ("coat.cm-info.json", "stability_matrix"),
        ("coat.civitai.info", "civitai"),
        ("COAT.Civitai.Info", "civitai"),
    ],
)
def test_a_sidecar_is_told_by_how_its_name_ends(name: str, kind: str) -> None:
    assert given(["coat"], name) == {"coat": {kind: name}}
    assert beside.may_belong(name)


@pytest.mark.parametrize(
    "name", ["hat.png", "coat2.png", "coat.txt", "coat", "coat.mp4", ".png", "coat.info", "a coat.png"]
)
def test_other_names_belong_to_nobody(name: str) -> None:
    assert given(["coat"], name) == {}


def test_a_preview_goes_before_a_plain_image_and_png_before_jpg() -> None:
    assert given(["coat"], "coat.png", "coat.jpg", "coat.preview.webp")["coat"] == {"preview": "coat.preview.webp"}
    assert given(["coat"], "coat.webp", "coat.jpeg", "coat.jpg")["coat"] == {"preview": "coat.jpg"}


def test_the_same_letters_go_before_other_case() -> None:
    assert given(["coat"], "COAT.png", "Coat.png", "coat.png")["coat"] == {"preview": "coat.png"}
    assert given(["coat"], "Coat.png", "COAT.png")["coat"] == {"preview": "COAT.png"}
    assert given(["coat", "Coat"], "Coat.png") == {"Coat": {"preview": "Coat.png"}}


def test_loras_that_differ_by_case_share_an_image_that_is_named_like_neither() -> None:
    assert given(["coat", "Coat"], "COAT.png") == {"coat": {"preview": "COAT.png"}, "Coat": {"preview": "COAT.png"}}


def test_the_longest_lora_name_has_the_file() -> None:
    assert given(["a", "a.preview"], "a.preview.png") == {"a.preview": {"preview": "a.preview.png"}}
    assert given(["a", "a.metadata"], "a.metadata.json") == {"a.metadata": {"user": "a.metadata.json"}}
