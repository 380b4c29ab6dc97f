"""A first look at a library by headers alone, and the run that measures what it left."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.records import SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, dump, ids_by_path, write_lora

TIMES = ("at", "added_at", "created_at", "updated_at")


@pytest.fixture
def two_files(library: Path) -> Path:
    write_lora(library / "FLUX/a.safetensors", "a")
    write_lora(library / "b.safetensors", "b")
    return library


def test_everything_is_listed_and_nothing_measured(two_files: Path, catalog: Catalog, run: RunIndex) -> None:
    summary = run(headers_only=True)
    assert (summary.discovered, summary.added) == (2, 2)
    for row in catalog.iterate(SearchQuery()):
        assert (row.architecture, row.rank, row.block_layout) == ("flux1", 4, "flux_transformer_38")
        assert (row.pending, row.content_hash, row.strength) == (True, None, None)
    assert catalog.summary().pending == 2


def test_a_second_look_finds_nothing_to_do(two_files: Path, catalog: Catalog, run: RunIndex) -> None:
    run(headers_only=True)
    before = dump(catalog)
    summary = run(headers_only=True)
    assert (summary.unchanged, summary.updated) == (2, 0)
    assert dump(catalog) == before


def test_the_next_plain_run_measures_what_is_pending_and_ends_where_one_run_would(
    two_files: Path, catalog: Catalog, run: RunIndex, tmp_path: Path
) -> None:
    run(headers_only=True)
    ids = ids_by_path(catalog)
    assert run().updated == 2
    assert catalog.summary().pending == 0
    assert ids_by_path(catalog) == ids
    twice = dump(catalog, without=TIMES)
    with Catalog.open(tmp_path / "once.db") as once:
        index(once, [two_files], options=IndexOptions(inspector=stand_in.inspect))
        assert dump(once, without=TIMES) == twice


def test_a_move_is_still_known_for_what_it_is(two_files: Path, catalog: Catalog, run: RunIndex) -> None:
    run()
    ids = ids_by_path(catalog)
    (two_files / "b.safetensors").rename(two_files / "c.safetensors")
    assert run(headers_only=True).moved == 1
    assert ids_by_path(catalog)["c.safetensors"] == ids["b.safetensors"]
