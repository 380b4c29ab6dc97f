"""One entry's file read again on demand: that file alone, unless it is no longer what the entry was."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_weights_builder.errors import NotFound
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.reread import reread
from lora_weights_builder.records import ScanSummary, SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, ids_by_path, write_lora


def again(catalog: Catalog, stable_id: str) -> ScanSummary:
    return reread(catalog, stable_id, options=IndexOptions(inspector=stand_in.inspect))


@pytest.fixture
def ids(library: Path, catalog: Catalog, run: RunIndex) -> dict[str, str]:
    for name in ("a", "b"):
        write_lora(library / f"{name}.safetensors", name)
    run()
    return ids_by_path(catalog)


def spoil(catalog: Catalog) -> None:
    """Make every row say something else than its file."""
    with catalog.database.writing() as connection:
        connection.exec_driver_sql("UPDATE lora SET rank = 99")


def ranks(catalog: Catalog) -> dict[str, int | None]:
    return {row.filename: row.rank for row in catalog.iterate(SearchQuery())}


def test_an_unchanged_file_is_read_again_and_no_other(library: Path, catalog: Catalog, ids: dict[str, str]) -> None:
    spoil(catalog)
    write_lora(library / "new.safetensors", "new")
    summary = again(catalog, ids["a.safetensors"])
    assert (summary.discovered, summary.updated, summary.added) == (1, 1, 0)
    assert ranks(catalog) == {"a.safetensors": 4, "b.safetensors": 99}
    assert len(catalog.scans()) == 1, "no scan of the root"
    detail = catalog.detail(ids["a.safetensors"])
    assert detail is not None
    assert ([event.kind for event in detail.history], detail.row.revision) == (["added"], 1)


def test_other_content_is_settled_over_the_whole_root(library: Path, catalog: Catalog, ids: dict[str, str]) -> None:
    one, other = library / "a.safetensors", library / "b.safetensors"
    one.rename(library / "c")
    other.rename(one)
    (library / "c").rename(other)
    again(catalog, ids["a.safetensors"])
    assert ids_by_path(catalog) == {"a.safetensors": ids["b.safetensors"], "b.safetensors": ids["a.safetensors"]}


def test_a_file_that_changed_behind_its_stamps_is_a_new_revision(
    library: Path, catalog: Catalog, ids: dict[str, str], run: RunIndex
) -> None:
    path = write_lora(library / "a.safetensors", "changed")
    found = path.stat()
    with catalog.database.writing() as connection:  # ctime cannot be set back on disk, so the row is set forward
        connection.exec_driver_sql(
            "UPDATE lora SET mtime_ns = ?, ctime_ns = ?, inode = ?, size_bytes = ? WHERE rel_path = 'a.safetensors'",
            (found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size),
        )
    assert run().unchanged == 2
    again(catalog, ids["a.safetensors"])
    row = catalog.get(ids["a.safetensors"])
    assert row is not None
    assert row.revision == 2


def test_a_file_that_is_gone_is_looked_for_in_its_root(library: Path, catalog: Catalog, ids: dict[str, str]) -> None:
    (library / "a.safetensors").rename(library / "moved.safetensors")
    assert again(catalog, ids["a.safetensors"]).moved == 1
    assert ids_by_path(catalog)["moved.safetensors"] == ids["a.safetensors"]
    (library / "moved.safetensors").unlink()
    assert again(catalog, ids["a.safetensors"]).missing == 1
    assert again(catalog, ids["a.safetensors"]).missing == 1


def test_what_awaits_its_measurement_gets_it(library: Path, catalog: Catalog) -> None:
    options = IndexOptions(inspector=stand_in.inspect, headers_only=True)
    for name in ("a", "b"):
        write_lora(library / f"{name}.safetensors", name)
    index(catalog, [library], options=options)
    stable_id = ids_by_path(catalog)["a.safetensors"]
    again(catalog, stable_id)
    assert {row.filename: row.pending for row in catalog.iterate(SearchQuery())} == {
        "a.safetensors": False, "b.safetensors": True,
    }  # fmt: skip
    detail = catalog.detail(stable_id)
    assert detail is not None
    assert [(event.kind, event.after) for event in detail.history] == [("added", detail.row.content_hash)]


def test_a_link_is_followed_only_into_the_library(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    write_lora(library / "store" / "a.safetensors", "a")
    (library / "link.safetensors").symlink_to(library / "store" / "a.safetensors")
    run()
    stable_id = ids_by_path(catalog)["link.safetensors"]
    assert again(catalog, stable_id).updated == 1
    outside = write_lora(tmp_path / "outside.safetensors", "secret")
    (library / "link.safetensors").unlink()
    (library / "link.safetensors").symlink_to(outside)
    assert again(catalog, stable_id).missing == 1
    (library / "link.safetensors").unlink()
    (library / "link.safetensors").symlink_to(library / "link.safetensors")
    assert again(catalog, stable_id).missing == 1


def test_an_unknown_entry_and_one_of_a_removed_root_are_named(
    library: Path, catalog: Catalog, ids: dict[str, str]
) -> None:
    with pytest.raises(NotFound, match="FLX-CLT-999"):
        again(catalog, "FLX-CLT-999")
    catalog.remove_root(library)
    with pytest.raises(NotFound, match="no longer one of the library's"):
        again(catalog, ids["a.safetensors"])
