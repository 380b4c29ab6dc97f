"""Facets are what the filters would leave: counted in combinations, and compared with searches in a real catalogue."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import large_library
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.catalog_facets import Combination, count
from lora_weights_builder.records import SearchQuery
from tests.library.library_files import RunIndex, write_lora

ONE = Combination("present", 0, "FLX", "CLT", "clothing", "flux1", "flux_unet_57", '["lora","dora"]', 16, 1, 3)
QUERIES = (
    SearchQuery(),
    SearchQuery(state="any", base="SDX"),
    SearchQuery(text="coat", rank_min=9, rank_max=32),
    SearchQuery(text="co", has_blocks=True),
    SearchQuery(tags=("to sort",), category="STL"),
    SearchQuery(favourite=True),
    SearchQuery(favourite=False, adapter="lora"),
    SearchQuery(state="contradiction"),
    SearchQuery(state="ok", role="style"),
)
FILTER: dict[str, Any] = {
    "tag": lambda value: {"tags": (value,)},
    "favourite": lambda value: {"favourite": True},
    "rank": lambda value: {
        "rank_min": int(value.partition("-")[0]),
        "rank_max": int(value.partition("-")[2]) if value.partition("-")[2] else None,
    },
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.db"
    with Catalog.open(path) as catalog:
        large_library.make(catalog, 1500)
    return path


@pytest.mark.parametrize("query", QUERIES)
def test_each_count_is_what_a_search_with_that_value_finds(large: Path, query: SearchQuery) -> None:
    with Catalog.open(large) as catalog:
        facets = catalog.facets(query)
        assert set(facets) == {
            "base", "category", "layout", "architecture", "adapter", "role", "rank", "state", "tag", "favourite",
        }  # fmt: skip
        for name, values in facets.items():
            for facet in values[:4]:
                if facet.value is None or (name == "tag" and query.tags):
                    continue
                wanted = FILTER.get(name, lambda value, name=name: {name: value})(facet.value)
                page = catalog.search(dataclasses.replace(query, **wanted, limit=1))
                assert (name, facet.value, page.total) == (name, facet.value, facet.count)


def test_a_combination_counts_for_a_facet_that_alone_refuses_it() -> None:
    other = ONE._replace(base="SDX", rank=64, condition=4 | 16, entries=5)
    counts = count([ONE, other], SearchQuery(base="FLX"))
    assert (counts["base"], counts["rank"]) == ({"FLX": 3, "SDX": 5}, {"9-16": 3})
    assert counts["state"] == {"ok": 3}
    assert count([ONE, other], SearchQuery(base="FLX", rank_max=16))["base"] == {"FLX": 3}
    assert count([other], SearchQuery())["state"] == {"fallback": 5, "contradiction": 5}
    assert count([ONE], SearchQuery())["adapter"] == {"lora": 3, "dora": 3}


def test_ranks_and_states_are_named_in_their_own_order(large: Path) -> None:
    with Catalog.open(large) as catalog:
        facets = catalog.facets(SearchQuery())
    assert [facet.label for facet in facets["rank"]] == [
        "", "1 to 4", "5 to 8", "9 to 16", "17 to 32", "33 to 64", "65 to 128", "129 and more",
    ]  # fmt: skip
    assert [facet.value for facet in facets["state"]] == [
        "ok", "pending", "fallback", "unreadable", "contradiction", "duplicate",
    ]  # fmt: skip


def test_states_follow_what_a_scan_finds(library: Path, catalog: Catalog, run: RunIndex) -> None:
    write_lora(library / "a.safetensors", "a")
    shutil.copyfile(library / "a.safetensors", library / "copy.safetensors")
    write_lora(library / "gone.safetensors", "gone")
    (library / "torn.safetensors").write_bytes(b"\xff" * 40)
    run()
    (library / "gone.safetensors").unlink()
    run()
    counted = {facet.value: facet.count for facet in catalog.facets(SearchQuery())["state"]}
    assert counted == {"ok": 1, "duplicate": 1, "unreadable": 1, "missing": 1}
    for state, name in (("ok", "a"), ("duplicate", "copy"), ("unreadable", "torn"), ("failed", "torn")):
        page = catalog.search(SearchQuery(state=state))  # type: ignore[arg-type]
        assert [row.filename for row in page.rows] == [f"{name}.safetensors"]
