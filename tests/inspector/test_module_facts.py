"""Module facts: packed and unpacked, summed up by block, and the ranks that their energy needs."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_weights_builder.errors import CatalogError
from lora_weights_builder.inspector.module_facts import block_facts, file_facts, pack, unpack
from lora_weights_builder.records import ModuleFacts, StrengthKind

NONE = (None, None, None)


def facts(*values: float, complete: bool = True, norm: float | None = None, **fields: Any) -> ModuleFacts:
    """A module with this spectrum; its norm follows from it unless it is said."""
    defaults: dict[str, Any] = {
        "part": "model",
        "module": "double_blocks_0_img_attn_qkv",
        "canonical": "double_blocks_0_img_attn_qkv",
        "block_index": 0,
        "kind": "lora",
        "strength_kind": "delta",
        "norm": math.hypot(*values) if norm is None else norm,
        "rank": len(values),
        "alpha": 1.0,
        "parameters": 10,
        "elements": 100,
        "singular_values": values,
        "complete": complete,
    }
    return ModuleFacts(**{**defaults, **fields})


def same(one: ModuleFacts, two: ModuleFacts) -> bool:
    """Equal, but for what packing rounds."""
    rough_one, rough_two = (replace(facts, norm=None, singular_values=()) for facts in (one, two))
    return (
        rough_one == rough_two
        and (one.norm is None) == (two.norm is None)
        and (one.norm is None or two.norm is None or math.isclose(one.norm, two.norm, rel_tol=6e-8))
        and len(one.singular_values) == len(two.singular_values)
        and np.allclose(one.singular_values, two.singular_values, rtol=2e-5, atol=0)
        and one.singular_values[:1] == pytest.approx(two.singular_values[:1], rel=6e-8)
    )


def spectra(least: float, most: float) -> st.SearchStrategy[tuple[float, ...]]:
    """Spectra whose largest value is between these."""
    return st.builds(
        lambda first, shares: tuple(first * share for share in sorted((1.0, *shares), reverse=True)),
        st.floats(least, most),
        st.lists(st.floats(1e-6, 1.0), max_size=40),
    )


modules = st.builds(
    ModuleFacts,
    part=st.sampled_from(["model", "te1"]),
    module=st.text(max_size=20),
    canonical=st.text(max_size=20),
    block_index=st.none() | st.integers(0, 200),
    kind=st.sampled_from(["lora", "loha", "oft", "full"]),
    strength_kind=st.sampled_from(["delta", "direction", "rotation"]),
    norm=st.none() | st.just(0.0) | st.floats(1e-150, 1e150),
    rank=st.none() | st.integers(1, 4096),
    alpha=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    parameters=st.integers(0, 2**50),
    elements=st.none() | st.integers(1, 2**50),
    singular_values=st.just(()) | spectra(1e-150, 1e150),
    complete=st.booleans(),
    counted=st.booleans(),
)


@settings(deadline=None)
@given(st.lists(modules, max_size=8))
def test_unpacking_gives_back_what_was_packed(given_modules: list[ModuleFacts]) -> None:
    again = unpack(pack(given_modules))
    assert len(again) == len(given_modules)
    assert all(same(one, two) for one, two in zip(given_modules, again, strict=True))


def test_packing_again_changes_nothing() -> None:
    packed = pack([facts(3.0, 1.1, 0.3), facts(norm=0.1 + 0.2)])
    assert pack(unpack(packed)) == packed


def test_a_large_file_takes_tens_of_kilobytes() -> None:
    rng = np.random.default_rng(0)
    many = []
    for i in range(504):
        values = np.sort(rng.random(16))[::-1].tolist()
        name = f"single_transformer_blocks_{i % 38}_attn_to_{'qkvo'[i % 4]}_{i}"
        many.append(facts(*values, module=name, canonical=name, block_index=i % 57))
    assert len(pack(many)) < 30_000


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\x00",
        b"SQLite format 3",
        b"\x02" + pack([facts(1.0)])[1:],
        pack([facts(1.0)])[:-1],
        pack([facts(1.0)]) + b"\x00",
        b"\x01" + zlib.compress(b""),
        b"\x01" + zlib.compress(b"\x02\x00\x00\x00[]"),
        b"\x01" + zlib.compress(b"\x02\x00\x00\x00{}"),
        b"\x01" + zlib.compress(b"\x0d\x00\x00\x00" + orjson.dumps({"counts": [7]}) + bytes(31)),
    ],
)
def test_foreign_and_damaged_bytes_are_named(packed: bytes) -> None:
    with pytest.raises(CatalogError, match="index the file again"):
        unpack(packed)


@given(st.integers(1, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed(position: int, change: int) -> None:
    packed = bytearray(pack([facts(2.0, 1.0, 0.5), facts(1.0)]))
    position %= len(packed)
    packed[position] ^= change
    # The header of zlib has bits that mean nothing; what comes out is then what went in.
    try:
        again = unpack(bytes(packed))
    except CatalogError:
        return
    assert again == unpack(pack([facts(2.0, 1.0, 0.5), facts(1.0)]))


def test_a_block_sums_up_its_modules() -> None:
    first, second, third = block_facts(
        [
            facts(3.0, 4e-9, alpha=8.0, rank=16),
            facts(4.0, 2.0, alpha=8.0, rank=16, elements=400),
            facts(1.0, block_index=2, alpha=2.0, rank=4),
        ],
        3,
    )
    assert (first.block_index, first.modules, first.rank, first.alpha) == (0, 2, 16, 8.0)
    assert (first.parameters, first.elements) == (20, 500)
    assert first.norm == pytest.approx(math.sqrt(29))
    assert first.rms_change == pytest.approx(math.sqrt(29 / 500))
    assert first.stable_rank == pytest.approx(29 / 16)
    assert first.singular_values == (4.0, 3.0, 2.0, 4e-9)
    assert (second.modules, second.norm, second.elements, second.energy_ranks) == (0, None, None, NONE)
    assert (second.rms_change, second.stable_rank, second.rank, second.singular_values) == (None, None, None, ())
    assert (third.block_index, third.energy_ranks, third.stable_rank) == (2, (1, 1, 1), 1.0)


def test_the_file_counts_what_stands_outside_blocks_and_leaves_out_what_does_not_count() -> None:
    whole = file_facts(
        [
            facts(3.0),
            facts(4.0, block_index=None, part="te1"),
            facts(100.0, counted=False),
            facts(norm=100.0, counted=False, strength_kind="rotation"),
        ]
    )
    assert (whole.block_index, whole.modules, whole.norm, whole.stable_rank) == (None, 2, 5.0, 25 / 16)


def test_trained_at_32_6_would_do() -> None:
    strong, weak = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0], [0.1] * 26
    module = facts(*strong, *weak)
    assert file_facts([module]).energy_ranks == (5, 6, 6)
    # The same cut for every module: the second needs its seventh value, which is small beside both changes.
    other = facts(*[1.0] * 7)
    assert file_facts([module, other]).energy_ranks == (5, 6, 6)
    assert file_facts([module, replace(other, singular_values=(9.0,) * 7, norm=9.0 * math.sqrt(7))]).energy_ranks == (
        6,
        7,
        7,
    )


def test_a_share_that_is_reached_exactly_is_reached() -> None:
    assert file_facts([facts(*[1.0] * 10)]).energy_ranks == (9, 10, 10)
    assert file_facts([facts(*[1.0] * 100)]).energy_ranks == (90, 95, 99)
    assert file_facts(unpack(pack([facts(*[0.3] * 100)]))).energy_ranks == (90, 95, 99)


def test_what_unknown_values_could_change_is_not_said() -> None:
    cut = facts(3.0, 1.0, complete=False, norm=math.sqrt(10.6))  # 90 % is 9.54: two values; 95 % is 10.07
    assert file_facts([cut]).energy_ranks == (2, None, None)
    # Three of the other module would reach 95 %, but so might a smaller rank, were the third value of the first known.
    other = facts(3.0, 2.0, 1.0)
    assert file_facts([cut, other]).energy_ranks == (2, None, None)
    assert file_facts([facts(norm=5.0, complete=False)]).energy_ranks == NONE


def test_values_of_a_block_end_where_an_unlisted_one_could_stand() -> None:
    block = file_facts([facts(3.0, 2.0, complete=False, norm=4.0), facts(2.5, 1.0)])
    assert block.singular_values == (3.0, 2.5, 2.0)
    assert block.stable_rank == pytest.approx((16 + 2.5**2 + 1) / 9)


@pytest.mark.parametrize("kind", ["rotation", "scale"])
def test_kinds_without_a_change_have_a_norm_and_no_ranks(kind: StrengthKind) -> None:
    block = file_facts([facts(norm=2.0, complete=False, strength_kind=kind)])
    assert (block.norm, block.energy_ranks, block.stable_rank, block.rms_change) == (2.0, NONE, None, None)


def test_no_change_at_all_needs_no_rank() -> None:
    block = file_facts([facts(norm=0.0)])
    assert (block.norm, block.rms_change, block.stable_rank, block.energy_ranks) == (0.0, 0.0, None, NONE)
    beside = file_facts([facts(norm=0.0), facts(2.0, 1.0)])
    assert beside.energy_ranks == (2, 2, 2)
    assert beside.stable_rank == pytest.approx(1.25)


def test_one_unknown_size_leaves_the_block_s_open() -> None:
    block = file_facts([facts(1.0), facts(1.0, elements=None)])
    assert (block.elements, block.rms_change) == (None, None)


@settings(deadline=None)
@given(st.lists(spectra(1e-6, 1e6), min_size=1, max_size=5))
def test_cutting_to_the_energy_rank_keeps_the_share_and_one_less_does_not(
    given_spectra: list[tuple[float, ...]],
) -> None:
    listed = [facts(*values) for values in given_spectra]
    total = sum(value**2 for values in given_spectra for value in values)
    for share, rank in zip((0.90, 0.95, 0.99), file_facts(listed).energy_ranks, strict=True):
        assert rank is not None
        kept, less = (
            sum(value**2 for values in given_spectra for value in values[:cut]) / total for cut in (rank, rank - 1)
        )
        assert kept >= share * (1 - 1e-4)
        assert less < share
