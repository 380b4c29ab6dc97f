"""How the facts of modules are worded and rounded for people and programs."""

from __future__ import annotations

import pytest

from lora_weights_builder.inspector.facts_view import block_fields, energy_rank, file_fields, rank_sentence, read
from lora_weights_builder.records import EnergyRanks


@pytest.mark.parametrize(
    ("rank", "ranks", "sentence"),
    [
        (32, (6, 9, 15), "trained at rank 32; rank 6 keeps 90 % of the change, 9 keeps 95 %, 15 keeps 99 %"),
        (32, (6, 9, None), "trained at rank 32; rank 6 keeps 90 % of the change, 9 keeps 95 %"),
        (32, (1, 2, 2), "trained at rank 32; rank 1 keeps 90 % of the change, 2 keeps 99 %"),
        (4, (1, 1, 1), "trained at rank 4; rank 1 keeps 99 % of the change"),
        (None, (6, 9, 15), "not trained at one rank; rank 6 keeps 90 % of the change, 9 keeps 95 %, 15 keeps 99 %"),
        (8, (None, None, None), "trained at rank 8; what a lower rank would keep is not known"),
        (None, None, "not trained at one rank; what a lower rank would keep is not known"),
        (8, (0, 0, 0), "trained at rank 8; it changes nothing"),
    ],
)
def test_one_sentence_says_which_rank_would_do(rank: int | None, ranks: EnergyRanks | None, sentence: str) -> None:
    assert rank_sentence(rank, ranks) == sentence


@pytest.mark.parametrize(
    ("ranks", "shown"),
    [
        ((6, 9, 15), {"90": 6, "95": 9, "99": 15}),
        ((6, None, None), {"90": 6, "95": None, "99": None}),
        ((None, None, None), None),
        (None, None),
    ],
)
def test_the_shares_are_the_names(ranks: EnergyRanks | None, shown: dict[str, int | None] | None) -> None:
    assert energy_rank(ranks) == shown


def test_nothing_known_is_null_everywhere() -> None:
    assert read(None) == (None, None)
    assert file_fields(None, None) == {"energy_rank": None, "parameters": None}
    assert [set(fields.values()) for fields in block_fields(None, 3)] == [{None}] * 3
