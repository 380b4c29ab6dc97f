"""Blocks of several layouts on the places of one model."""

from __future__ import annotations

import pytest

from lora_weights_builder.inspector.block_alignment import align, cosine
from lora_weights_builder.inspector.registry_model import Group, Layout


def layout(name: str, *groups: tuple[str, int]) -> Layout:
    made, start = [], 0
    for key, count in groups:
        made.append(Group(key, f"{key} blocks", key[0].upper(), start, count))
        start += count
    return Layout(name, "imaginary", "transformer", name, tuple(made))


WHOLE = layout("whole", ("double", 2), ("single", 3))
SINGLES = layout("singles", ("single", 3))
DOUBLES = layout("doubles", ("double", 2))
ENCODER = layout("encoder", ("te", 2))


def test_part_of_a_stack_finds_its_place_within_the_whole() -> None:
    aligned = align(WHOLE, [SINGLES, WHOLE])
    assert [place.label for place in aligned.places] == ["D00", "D01", "S00", "S01", "S02"]
    assert aligned.columns == ((None, None, 0, 1, 2), (0, 1, 2, 3, 4))
    assert aligned.groups == (("double", "double blocks", "D", 2), ("single", "single blocks", "S", 3))


def test_groups_that_nobody_has_are_left_out() -> None:
    aligned = align(WHOLE, [SINGLES, SINGLES])
    assert [place.label for place in aligned.places] == ["S00", "S01", "S02"]
    assert aligned.columns == ((0, 1, 2), (0, 1, 2))


def test_two_parts_come_in_the_order_of_the_whole() -> None:
    aligned = align(WHOLE, [SINGLES, DOUBLES])
    assert [place.label for place in aligned.places] == ["D00", "D01", "S00", "S01", "S02"]
    assert aligned.columns == ((None, None, 0, 1, 2), (0, 1, None, None, None))


def test_groups_outside_the_whole_follow_it() -> None:
    aligned = align(WHOLE, [ENCODER, DOUBLES])
    assert [place.label for place in aligned.places] == ["D00", "D01", "T00", "T01"]
    assert aligned.columns == ((None, None, 0, 1), (0, 1, None, None))


def test_layouts_that_show_more_or_fewer_blocks_of_a_group_share_what_both_have() -> None:
    aligned = align(WHOLE, [layout("longer", ("single", 4)), SINGLES])
    assert [place.group_index for place in aligned.places] == [0, 1, 2, 3]
    assert aligned.columns == ((0, 1, 2, 3), (0, 1, 2, None))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, 2.0], [10.0, 20.0], 1.0),
        ([1.0, 0.0], [0.0, 5.0], 0.0),
        ([3.0, 4.0], [4.0, 3.0], 0.96),
        ([3e-200, 4e-200], [4e-200, 3e-200], 0.96),
        ([0.0, 0.0], [1.0, 1.0], None),
        ([], [], None),
    ],
)
def test_the_cosine_tells_shapes_whatever_their_size(
    one: list[float], other: list[float], expected: float | None
) -> None:
    assert cosine(one, other) == (expected if expected is None else pytest.approx(expected, abs=1e-12))
