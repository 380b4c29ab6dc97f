"""Tags, favourites, notes and choices in a real catalogue, and what a scan makes of them: nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lora_weights_builder.errors import Conflict, NotFound, UsageError
from lora_weights_builder.library import smoke_check
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.conventions import load_conventions
from lora_weights_builder.library.organise import Change
from lora_weights_builder.records import LoraDetail, SearchQuery
from tests.library.library_files import RunIndex, write_lora

COAT, INK, TORN = "FLX-CLT-001", "UNK-UNC-001", "UNK-UNC-002"


@pytest.fixture
def filled(library: Path, catalog: Catalog, run: RunIndex) -> Catalog:
    write_lora(library / "FLUX/08 - Clothing/coat.safetensors", "coat")
    write_lora(library / "ink.safetensors", "ink")
    (library / "torn.safetensors").write_bytes(b"\xff" * 40)
    run()
    return catalog


def organise(catalog: Catalog, *ids: str, **change: object) -> int:
    return catalog.organise(ids, Change(**change), load_conventions())  # type: ignore[arg-type]


def detail(catalog: Catalog, stable_id: str) -> LoraDetail:
    found = catalog.detail(stable_id)
    assert found is not None
    return found


def said(catalog: Catalog, stable_id: str) -> tuple[object, ...]:
    row = detail(catalog, stable_id).row
    return row.base_model_code, row.base_model_name, row.category_code, row.category_name, row.role, row.set_by_person


def found(catalog: Catalog, **query: object) -> list[str]:
    return [row.stable_id for row in catalog.search(SearchQuery(**query)).rows]  # type: ignore[arg-type]


def test_tags_favourites_and_notes_are_kept_and_found(filled: Catalog) -> None:
    assert organise(filled, COAT, INK, add_tags=("Winter", "to sort"), favourite=True, notes="below 0.8") == 2
    assert organise(filled, INK, tags=("winter",), favourite=False) == 1
    one, other = detail(filled, COAT), detail(filled, INK)
    assert (one.row.tags, one.row.favourite, one.notes) == (("to sort", "Winter"), True, "below 0.8")
    assert (other.row.tags, other.row.favourite, other.notes) == (("Winter",), False, "below 0.8")
    assert found(filled, tags=("WINTER",)) == [COAT, INK]
    assert found(filled, tags=("winter", "to sort")) == [COAT]
    assert (found(filled, favourite=True), found(filled, favourite=False)) == ([COAT], [INK, TORN])
    assert [row.tags for row in filled.search(SearchQuery()).rows] == [("to sort", "Winter"), ("Winter",), ()]
    organise(filled, COAT, INK, remove_tags=("winter",), notes="")
    assert (detail(filled, COAT).row.tags, detail(filled, COAT).notes) == (("to sort",), "")
    facets = filled.facets(SearchQuery())
    assert [(facet.value, facet.count) for facet in facets["tag"]] == [("to sort", 1)]
    assert [(facet.value, facet.count) for facet in facets["favourite"]] == [("1", 1)]


def test_a_choice_outlives_every_scan_and_can_be_taken_back(filled: Catalog, library: Path, run: RunIndex) -> None:
    automatic = said(filled, COAT)
    organise(filled, COAT, base="SDX", category="STL")
    by_hand = ("SDX", "Stable Diffusion XL", "STL", "Styles", "style", ("base", "category"))
    assert (said(filled, COAT), detail(filled, COAT).base_model_evidence) == (by_hand, None)
    run(full=True)
    assert said(filled, COAT) == by_hand
    moved = library / "SD/06 - Characters/coat.safetensors"
    moved.parent.mkdir(parents=True)
    (library / "FLUX/08 - Clothing/coat.safetensors").rename(moved)
    run()
    assert said(filled, COAT) == by_hand
    organise(filled, COAT, reset=frozenset({"base"}))
    assert said(filled, COAT) == ("SD1", "Stable Diffusion 1.x", "STL", "Styles", "style", ("category",)) != automatic
    organise(filled, COAT, reset=frozenset({"category", "role"}))
    assert said(filled, COAT) == ("SD1", "Stable Diffusion 1.x", "CHT", "Characters", "character", ())


def test_a_choice_outlives_the_data_pass_after_a_look_at_headers(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    write_lora(library / "ink.safetensors", "ink")
    run(headers_only=True)
    organise(catalog, "UNK-UNC-001", base="FLX", role="style")
    run()
    row = detail(catalog, "UNK-UNC-001").row
    assert (row.pending, row.base_model_code, row.role, row.has_block_weights) == (False, "FLX", "style", True)


def test_a_file_that_could_not_be_read_gets_the_neutral_layout_of_flux_and_gives_it_back(filled: Catalog) -> None:
    organise(filled, TORN, base="FLX")
    row = detail(filled, TORN).row
    assert (row.block_layout, row.block_count, row.fallback) == ("flux_fallback_16", 16, True)
    assert [check.title for check in smoke_check.run(filled) if not check.passed] == []
    organise(filled, TORN, reset=frozenset({"base"}))
    row = detail(filled, TORN).row
    assert (row.base_model_code, row.block_layout, row.block_count, row.fallback) == ("UNK", None, 0, False)


def test_a_change_that_cannot_be_made_to_all_is_made_to_none(filled: Catalog) -> None:
    with pytest.raises(NotFound, match="FLX-CLT-999"):
        organise(filled, COAT, "FLX-CLT-999", favourite=True)
    with pytest.raises(UsageError):
        organise(filled, COAT, favourite=True, role="villain")
    organise(filled, COAT, tags=tuple(f"tag {number}" for number in range(50)))
    with pytest.raises(Conflict, match="50 tags"):
        organise(filled, INK, COAT, favourite=True, add_tags=("one more",))
    for ids in ((), tuple(f"X-{number}" for number in range(1001))):
        with pytest.raises(UsageError):
            organise(filled, *ids, favourite=True)
    assert found(filled, favourite=True) == []
    assert detail(filled, INK).row.tags == ()


def test_what_was_said_of_an_entry_goes_with_it(filled: Catalog, library: Path, run: RunIndex) -> None:
    organise(filled, INK, favourite=True, notes="x", add_tags=("y",), role="style")
    (library / "ink.safetensors").unlink()
    run()
    filled.forget(INK)
    with sqlite3.connect(filled.path) as plain:
        for table in ("lora_favourite", "lora_note", "lora_tag", "lora_choice"):
            assert plain.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_saved_searches_have_one_name_each(catalog: Catalog) -> None:
    kept = catalog.save_search(" Big  coats ", "search=coat&rank_min=64")
    catalog.save_search("all", "")
    with pytest.raises(Conflict, match="already"):
        catalog.save_search("BIG COATS", "")
    assert [(one.name, one.query) for one in catalog.searches()] == [
        ("all", ""), ("Big coats", "search=coat&rank_min=64"),
    ]  # fmt: skip
    catalog.delete_search(kept.id)
    with pytest.raises(NotFound):
        catalog.delete_search(kept.id)
    assert [one.name for one in catalog.searches()] == ["all"]
