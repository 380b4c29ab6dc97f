"""Profiles in a real database: unique names, and what they live through."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from lora_weights_builder.errors import BadField, CatalogError, Conflict, NotFound
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library import profile_store
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import BlockStrength, FolderHint, LoraRecord
from tests.library import stand_in
from tests.library.library_files import RunIndex, write_lora

ONE, TWO = "FLX-CLT-001", "FLX-CLT-002"
HALF = [0.5] * 38


def inspect_as_double(
    path: str, *, hint: FolderHint | None = None, lora_name: str | None = None, measure: bool = True
) -> LoraRecord:
    """The stand-in's record, but of a Flux LoRA of double blocks only."""
    record = stand_in.inspect(path, hint=hint, lora_name=lora_name, measure=measure)
    blocks = tuple(
        BlockStrength(b.index, b.label, b.group, 1.0, 1.0) for b in registry().layouts["flux_double_19"].blocks
    )
    return replace(record, block_layout="flux_double_19", block_count=19, blocks=blocks if measure else ())


@pytest.fixture
def coat(library: Path, run: RunIndex) -> Path:
    """The file of the first of two entries."""
    file = write_lora(library / "FLUX/08 - Clothing/coat.safetensors", "coat")
    write_lora(library / "FLUX/08 - Clothing/hat.safetensors", "hat")
    run()
    return file


def names(catalog: Catalog, stable_id: str = ONE) -> list[str]:
    return [one.profile_name for one in profile_store.profiles_of(catalog, stable_id).profiles]


@pytest.mark.usefixtures("coat")
def test_a_profile_is_saved_changed_and_deleted(catalog: Catalog) -> None:
    before = profile_store.profiles_of(catalog, ONE)
    assert (before.block_layout, before.block_count, before.profiles) == ("flux_transformer_38", 38, ())
    saved, entry = profile_store.create(catalog, ONE, " soft ", HALF)
    assert (saved.profile_name, saved.block_weights, saved.misfit) == ("soft", (0.5,) * 38, None)
    assert (saved.block_layout, saved.created_at) == ("flux_transformer_38", saved.updated_at)
    assert entry.profiles == (saved,) == profile_store.profiles_of(catalog, ONE).profiles
    renamed, _ = profile_store.change(catalog, ONE, saved.id, name="softer", weights=None)
    assert (renamed.profile_name, renamed.block_weights) == ("softer", saved.block_weights)
    assert (renamed.created_at, renamed.updated_at > saved.updated_at) == (saved.created_at, True)
    louder, _ = profile_store.change(catalog, ONE, saved.id, name=None, weights=[2] * 38)
    assert (louder.profile_name, louder.block_weights) == ("softer", (2.0,) * 38)
    assert profile_store.remove(catalog, ONE, saved.id).profiles == ()


@pytest.mark.usefixtures("coat")
def test_the_id_of_a_deleted_profile_is_not_given_again(catalog: Catalog) -> None:
    first = profile_store.create(catalog, ONE, "a", HALF).profile
    profile_store.remove(catalog, ONE, first.id)
    assert profile_store.create(catalog, ONE, "a", HALF).profile.id > first.id


@pytest.mark.usefixtures("coat")
def test_names_are_unique_for_an_entry_and_free_for_the_next(catalog: Catalog) -> None:
    soft = profile_store.create(catalog, ONE, "soft", HALF).profile
    hard = profile_store.create(catalog, ONE, "hard", HALF).profile
    profile_store.create(catalog, TWO, "soft", HALF)
    with pytest.raises(Conflict, match="has a profile named 'soft' already"):
        profile_store.create(catalog, ONE, "soft ", HALF)
    with pytest.raises(Conflict, match="'soft'"):
        profile_store.change(catalog, ONE, hard.id, name="soft", weights=None)
    assert profile_store.change(catalog, ONE, soft.id, name="soft", weights=None).profile.profile_name == "soft"
    assert (names(catalog), names(catalog, TWO)) == (["hard", "soft"], ["soft"])


@pytest.mark.usefixtures("coat")
def test_a_profile_is_reached_through_its_own_entry_only(catalog: Catalog) -> None:
    mine = profile_store.create(catalog, ONE, "soft", HALF).profile
    for call in (
        lambda: profile_store.change(catalog, TWO, mine.id, name="x", weights=None),
        lambda: profile_store.remove(catalog, TWO, mine.id),
        lambda: profile_store.remove(catalog, ONE, mine.id + 1),
        lambda: profile_store.profiles_of(catalog, "FLX-CLT-999"),
        lambda: profile_store.create(catalog, "FLX-CLT-\ud800", "x", HALF),
    ):
        with pytest.raises(NotFound):
            call()
    assert names(catalog) == ["soft"]


@pytest.mark.usefixtures("coat")
def test_what_is_refused_leaves_nothing_behind(catalog: Catalog) -> None:
    kept = profile_store.create(catalog, ONE, "soft", HALF).profile
    for weights in ([0.5] * 37, [float("nan")] * 38, "x"):
        with pytest.raises(BadField):
            profile_store.create(catalog, ONE, "bad", weights)
        with pytest.raises(BadField):
            profile_store.change(catalog, ONE, kept.id, name="bad", weights=weights)
    with pytest.raises(BadField, match="neither"):
        profile_store.change(catalog, ONE, kept.id, name=None, weights=None)
    assert profile_store.profiles_of(catalog, ONE).profiles == (kept,)


@pytest.mark.usefixtures("coat")
@pytest.mark.parametrize("stored", ["[1.0, NaN]", "[1.0, null]", "{}", "1.0", "[Infinity]", "none"])
def test_the_database_itself_refuses_what_is_no_list_of_numbers(catalog: Catalog, stored: str) -> None:
    profile_store.create(catalog, ONE, "soft", HALF)
    with sqlite3.connect(catalog.path) as plain, pytest.raises(sqlite3.IntegrityError):
        plain.execute("UPDATE lora_profile SET block_weights = ?", (stored,))
    plain.close()


def test_profiles_outlive_the_file_and_a_move(catalog: Catalog, library: Path, run: RunIndex, coat: Path) -> None:
    saved = profile_store.create(catalog, ONE, "soft", HALF).profile
    away = library.parent / "away.safetensors"
    coat.rename(away)
    run()
    row = catalog.get(ONE)
    assert row is not None
    assert row.state == "missing"
    assert profile_store.profiles_of(catalog, ONE).profiles == (saved,)
    hard = profile_store.create(catalog, ONE, "hard", HALF).profile
    away.rename(coat.with_name("overcoat.safetensors"))
    run()
    row = catalog.get(ONE)
    assert row is not None
    assert (row.state, row.filename) == ("present", "overcoat.safetensors")
    assert profile_store.profiles_of(catalog, ONE).profiles == (hard, saved)


def test_a_profile_of_a_layout_that_the_entry_left_is_kept_and_says_so(
    catalog: Catalog, run: RunIndex, coat: Path
) -> None:
    saved = profile_store.create(catalog, ONE, "soft", HALF).profile
    write_lora(coat, "another coat")
    run(inspector=inspect_as_double)
    row = catalog.get(ONE)
    assert row is not None
    assert (row.revision, row.block_layout) == (2, "flux_double_19")
    found = profile_store.profiles_of(catalog, ONE)
    assert (found.block_layout, found.block_count) == ("flux_double_19", 19)
    assert found.profiles == (
        replace(
            saved,
            misfit="it was saved for flux_transformer_38 (38 blocks), and the entry has flux_double_19 (19 blocks) now",
        ),
    )
    with pytest.raises(BadField, match="expected 19 numbers, one a block of flux_double_19; found 38"):
        profile_store.create(catalog, ONE, "hard", HALF)
    renamed = profile_store.change(catalog, ONE, saved.id, name="old soft", weights=None).profile
    assert (renamed.block_weights, renamed.misfit is None) == ((0.5,) * 38, False)
    anew = profile_store.change(catalog, ONE, saved.id, name=None, weights=[0.5] * 19).profile
    assert (anew.block_layout, anew.misfit) == ("flux_double_19", None)


def test_an_entry_that_could_not_be_measured_takes_sixteen_or_none(
    catalog: Catalog, library: Path, run: RunIndex
) -> None:
    for folder in ("FLUX/08 - Clothing", "SDXL/08 - Clothing"):
        (library / folder).mkdir(parents=True)
        (library / folder / "torn.safetensors").write_bytes(b"\xff" * 40)
    run()
    saved = profile_store.create(catalog, ONE, "even", [1.0] * 16).profile
    assert (saved.block_layout, saved.misfit) == ("flux_fallback_16", None)
    with pytest.raises(BadField, match="SDX-CLT-001 has no known layout"):
        profile_store.create(catalog, "SDX-CLT-001", "even", [1.0] * 16)
    assert profile_store.profiles_of(catalog, "SDX-CLT-001").block_count == 0


def test_to_forget_an_entry_is_to_forget_its_profiles(catalog: Catalog, run: RunIndex, coat: Path) -> None:
    profile_store.create(catalog, ONE, "soft", HALF)
    profile_store.create(catalog, TWO, "soft", HALF)
    coat.unlink()
    run()
    catalog.forget(ONE)
    with pytest.raises(NotFound):
        profile_store.profiles_of(catalog, ONE)
    with catalog.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM lora_profile").scalar() == 1


@pytest.mark.usefixtures("coat")
def test_of_many_that_save_one_name_at_once_one_does(catalog: Catalog) -> None:
    def save(number: int) -> str:
        try:
            profile_store.create(catalog, ONE, "soft", [number / 10] * 38)
            profile_store.create(catalog, ONE, f"own {number}", HALF)
        except Conflict:
            return "taken"
        return "saved"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(save, range(8)))
    assert sorted(outcomes) == ["saved"] + ["taken"] * 7
    assert len(names(catalog)) == 2


@pytest.mark.usefixtures("coat")
def test_a_catalogue_open_for_reading_lists_and_saves_none(catalog: Catalog) -> None:
    saved = profile_store.create(catalog, ONE, "soft", HALF).profile
    with Catalog.open(catalog.path, read_only=True) as reader:
        assert profile_store.profiles_of(reader, ONE).profiles == (saved,)
        with pytest.raises(CatalogError, match="reading only"):
            profile_store.remove(reader, ONE, saved.id)


# --- several together


@pytest.mark.usefixtures("coat")
def test_a_selection_is_kept_under_a_name_and_found_by_id_and_name(catalog: Catalog) -> None:
    settings = {ONE: {"strength_model": 0.8}, "FLX-CLT-777": {"strength_model": 1.0}}
    saved = profile_store.save_combined(catalog, " both ", [TWO, ONE, TWO], settings)
    assert (saved.profile_name, saved.stable_ids, saved.per_lora) == ("both", (TWO, ONE), {ONE: settings[ONE]})
    assert profile_store.combined_by_id(catalog, saved.id) == saved
    assert profile_store.combined_by_name(catalog, "both ") == saved
    alone = profile_store.save_combined(catalog, "alone", [ONE], {})
    assert profile_store.combined_profiles(catalog) == [alone, saved]
    assert profile_store.remove_combined(catalog, saved.id) == saved
    assert profile_store.combined_profiles(catalog) == [alone]


@pytest.mark.usefixtures("coat")
def test_a_selection_needs_a_free_name_and_entries_that_exist(catalog: Catalog) -> None:
    profile_store.save_combined(catalog, "both", [ONE], {})
    with pytest.raises(Conflict, match="'both'"):
        profile_store.save_combined(catalog, "both", [TWO], {})
    for name, ids, words in (
        ("x", [], "is empty"),
        ("x", [ONE, "FLX-CLT-999"], "no entry has the id 'FLX-CLT-999'"),
        ("x", ["FLX-\ud800"], "no entry has the id"),
        ("a/b", [ONE], "addresses"),
    ):
        with pytest.raises(BadField, match=words):
            profile_store.save_combined(catalog, name, ids, {})
    with pytest.raises(NotFound):
        profile_store.combined_by_id(catalog, 99)
    with pytest.raises(NotFound):
        profile_store.remove_combined(catalog, 99)
    for name in ("nobody", "", "a/b"):
        with pytest.raises(NotFound):
            profile_store.combined_by_name(catalog, name)


def test_a_selection_outlives_an_entry(catalog: Catalog, run: RunIndex, coat: Path) -> None:
    saved = profile_store.save_combined(catalog, "both", [ONE, TWO], {})
    coat.unlink()
    run()
    catalog.forget(ONE)
    assert profile_store.combined_by_name(catalog, "both") == saved
