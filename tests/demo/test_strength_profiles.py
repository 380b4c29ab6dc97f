"""Profiles stay within (0, 1] for any group size and differ visibly from each other."""

from __future__ import annotations

import pytest

from lora_weights_builder.demo.strength_profiles import PROFILES


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("count", [1, 2, 9, 19, 38, 60])
def test_values_are_positive_and_at_most_one(name: str, count: int) -> None:
    values = [PROFILES[name](position, count) for position in range(count)]
    assert all(0 < value <= 1 for value in values)


def test_ramp_rises_from_a_tenth_to_one() -> None:
    assert [round(PROFILES["ramp"](position, 5), 6) for position in range(5)] == [0.1, 0.325, 0.55, 0.775, 1.0]


def test_every_two_profiles_differ_somewhere_by_a_fifth() -> None:
    curves = {name: [profile(position, 19) for position in range(19)] for name, profile in PROFILES.items()}
    for first in curves:
        for second in curves:
            if first < second:
                gap = max(abs(a - b) for a, b in zip(curves[first], curves[second], strict=True))
                assert gap > 0.2, (first, second)
