"""Ids survive what happens to files, end to end: real files, real database, the real reader's hashes."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.workers import ProcessPool, SerialExecutor
from lora_weights_builder.records import SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, dump, ids_by_path, write_lora

CLOTHING = "FLUX/08 - Clothing"
TIMES = ("at", "added_at", "created_at", "updated_at", "mtime_ns", "ctime_ns", "inode", "last_modified")


def fill(folder: Path, count: int, start: int = 0) -> list[Path]:
    return [write_lora(folder / f"f{n:04}.safetensors", f"content {n}") for n in range(start, start + count)]


def test_1200_files_of_one_group_get_the_numbers_001_to_1200_in_the_order_of_paths(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    fill(library / CLOTHING, 1200)
    summary = run()
    assert (summary.discovered, summary.added, summary.failed) == (1200, 1200, 0)
    ids = ids_by_path(catalog)
    assert ids[f"{CLOTHING}/f0000.safetensors"] == "FLX-CLT-001"
    assert ids[f"{CLOTHING}/f0998.safetensors"] == "FLX-CLT-999"
    assert ids[f"{CLOTHING}/f0999.safetensors"] == "FLX-CLT-1000"
    assert ids[f"{CLOTHING}/f1199.safetensors"] == "FLX-CLT-1200"
    last = catalog.search(SearchQuery(sort="-stable_id", limit=2)).rows
    assert [row.stable_id for row in last] == ["FLX-CLT-1200", "FLX-CLT-1199"]


def test_ids_survive_renaming_moving_editing_deleting_and_adding(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    clothing, styles = library / CLOTHING, library / "FLUX/02 - Styles"
    files = fill(clothing, 600)
    run()
    before = ids_by_path(catalog)
    expected: dict[str, str] = {}

    def relative(path: Path) -> str:
        return path.relative_to(library).as_posix()

    for path in files[:100]:
        target = path.with_name(f"renamed {path.name}")
        path.rename(target)
        expected[relative(target)] = before[relative(path)]
    styles.mkdir()
    for path in files[100:200]:
        target = styles / path.name
        path.rename(target)
        expected[relative(target)] = before[relative(path)]
    for path in files[200:300]:
        write_lora(path, f"content {int(path.stem[1:])}", {"edited": "yes, and longer than before"})
        expected[relative(path)] = before[relative(path)]
    for path in files[300:400]:
        path.unlink()
    for path in files[400:]:
        expected[relative(path)] = before[relative(path)]
    fill(clothing, 100, start=5000)

    summary = run()
    assert (summary.moved, summary.updated, summary.added, summary.unchanged) == (200, 100, 100, 200)
    assert (summary.missing, summary.failed, summary.discovered) == (100, 0, 600)
    after = ids_by_path(catalog)
    assert {path: after[path] for path in expected} == expected
    fresh = {stable_id for path, stable_id in after.items() if path not in expected}
    assert fresh == {f"FLX-CLT-{number}" for number in range(601, 701)}
    moved = catalog.get(before[f"{CLOTHING}/f0150.safetensors"])
    assert moved is not None
    assert (moved.category_code, moved.role) == ("STL", "style")


def test_a_second_run_opens_no_file_and_changes_no_row(library: Path, catalog: Catalog, run: RunIndex) -> None:
    fill(library / CLOTHING, 20)
    (library / "broken.safetensors").write_bytes(b"not a header at all")
    first = run()
    before = dump(catalog)
    opened: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and str(arguments[0]).endswith(".safetensors"):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    second = run()
    watching = False
    assert opened == []
    assert dump(catalog) == before
    assert (first.added, first.failed) == (20, 1)
    assert (second.added, second.unchanged, second.failed, second.discovered) == (0, 20, 1, 21)
    assert [problem.path for problem in second.errors] == [str(library / "broken.safetensors")]


def test_copies_of_a_library_get_the_same_ids_whatever_the_order_and_the_workers(tmp_path: Path) -> None:
    original = tmp_path / "a"
    fill(original / CLOTHING, 40)
    fill(original / "SDXL/02 - Styles", 40)
    write_lora(original / "unsorted ö.safetensors", "x")
    backwards = tmp_path / "b"
    for path in sorted(original.rglob("*.safetensors"), reverse=True):
        target = backwards / path.relative_to(original)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    options = IndexOptions(inspector=stand_in.inspect, measure_at_once=0)
    with Catalog.open(tmp_path / "a.db") as one, Catalog.open(tmp_path / "b.db") as two:
        index(one, [original], executor=SerialExecutor(), options=options)
        with ProcessPool(3) as pool:
            index(two, [backwards], executor=pool, options=options)
        assert ids_by_path(one) == ids_by_path(two)
        without = (*TIMES, "path", "file_path")
        assert dump(one, without=without) == dump(two, without=without)


def test_two_files_that_swap_names_swap_paths_and_not_ids(library: Path, catalog: Catalog, run: RunIndex) -> None:
    one, two = fill(library, 2)
    run()
    before = ids_by_path(catalog)
    spare = library / "spare"
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    summary = run()
    assert (summary.moved, summary.updated, summary.added, summary.missing) == (2, 0, 0, 0)
    assert ids_by_path(catalog) == {
        "f0000.safetensors": before["f0001.safetensors"],
        "f0001.safetensors": before["f0000.safetensors"],
    }


def test_other_content_at_the_same_path_is_a_new_revision_of_the_same_entry(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    path = write_lora(library / "a.safetensors", "one")
    run()
    old = catalog.get("UNK-UNC-001")
    write_lora(path, "another")
    summary = run()
    new = catalog.get("UNK-UNC-001")
    assert (summary.updated, summary.added) == (1, 0)
    assert old is not None
    assert new is not None
    assert (old.revision, new.revision) == (1, 2)
    detail = catalog.detail("UNK-UNC-001")
    assert detail is not None
    assert [(event.kind, event.before, event.after) for event in detail.history] == [
        ("added", None, old.content_hash),
        ("revised", old.content_hash, new.content_hash),
    ]


def test_a_copy_beside_its_original_is_a_new_entry_and_says_of_which(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    path = write_lora(library / "z.safetensors", "one")
    run()
    shutil.copyfile(path, library / "a copy.safetensors")
    summary = run()
    assert (summary.added, summary.duplicates) == (1, 1)
    copy = catalog.get("UNK-UNC-002")
    assert copy is not None
    assert (copy.filename, copy.duplicate_of) == ("a copy.safetensors", "UNK-UNC-001")
    path.unlink()
    summary = run()
    assert (summary.missing, summary.duplicates) == (1, 0)
    assert catalog.search(SearchQuery(state="duplicate")).total == 0


def test_a_file_replaced_by_another_and_moved_away_keeps_its_id_at_the_new_place(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    path = write_lora(library / "a.safetensors", "one")
    run()
    path.rename(library / "b.safetensors")
    write_lora(path, "two")
    summary = run()
    assert (summary.moved, summary.added) == (1, 1)
    assert ids_by_path(catalog) == {"b.safetensors": "UNK-UNC-001", "a.safetensors": "UNK-UNC-002"}


def test_a_deleted_file_is_missing_and_comes_back_with_its_id_from_anywhere(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    path = write_lora(library / "a.safetensors", "one")
    write_lora(library / "b.safetensors", "two")
    run()
    path.unlink()
    assert run().missing == 1
    missing = catalog.get("UNK-UNC-001")
    assert missing is not None
    assert missing.state == "missing"
    assert catalog.search(SearchQuery()).total == 1
    assert catalog.search(SearchQuery(state="missing")).rows[0].stable_id == "UNK-UNC-001"
    write_lora(library / "elsewhere" / "c.safetensors", "one")
    assert run().moved == 1
    assert ids_by_path(catalog) == {"elsewhere/c.safetensors": "UNK-UNC-001", "b.safetensors": "UNK-UNC-002"}


def test_a_retired_number_is_not_given_again(library: Path, catalog: Catalog, run: RunIndex) -> None:
    path = write_lora(library / "a.safetensors", "one")
    write_lora(library / "b.safetensors", "two")
    run()
    path.unlink()
    run()
    catalog.forget("UNK-UNC-001")
    assert catalog.get("UNK-UNC-001") is None
    write_lora(path, "one")
    run()
    assert ids_by_path(catalog) == {"a.safetensors": "UNK-UNC-003", "b.safetensors": "UNK-UNC-002"}


def test_an_unplugged_root_keeps_every_row_while_the_others_are_indexed(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    other = tmp_path / "other"
    fill(other, 3)
    write_lora(library / "a.safetensors", "one")
    run(library, other)
    rows = {row.stable_id: row for row in catalog.iterate(SearchQuery())}
    unplugged = tmp_path / "unplugged"
    other.rename(unplugged)
    write_lora(library / "b.safetensors", "two")
    summary = run(library, other)
    assert (summary.discovered, summary.added, summary.missing) == (2, 1, 0)
    assert summary.roots_unavailable == (str(other),)
    assert [problem.code for problem in summary.errors] == ["root_unavailable"]
    assert {row.stable_id: row for row in catalog.iterate(SearchQuery()) if row.stable_id in rows} == rows

    other.mkdir()  # the mount point without its drive
    summary = run(library, other)
    assert (summary.roots_unavailable, summary.missing) == ((str(other),), 0)
    assert run(library, other, allow_empty=True).missing == 3
    other.rmdir()
    unplugged.rename(other)
    before = {path: stable_id for path, stable_id in ids_by_path(catalog).items() if path.startswith("f")}
    assert before == {}
    run(library, other)
    assert {row.stable_id for row in catalog.iterate(SearchQuery())} >= set(rows)


def test_a_library_moved_as_a_whole_keeps_its_ids(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    fill(library / CLOTHING, 10)
    run()
    before = ids_by_path(catalog)
    library.rename(tmp_path / "new place")
    summary = run(tmp_path / "new place")
    assert (summary.moved, summary.added) == (10, 0)
    assert ids_by_path(catalog) == before


def test_a_nested_root_takes_its_files_over_with_their_ids(library: Path, catalog: Catalog, run: RunIndex) -> None:
    fill(library / "sub", 3)
    write_lora(library / "top.safetensors", "top")
    run()
    before = {row.filename: row.stable_id for row in catalog.iterate(SearchQuery())}
    summary = run(library, library / "sub")
    assert (summary.added, summary.missing, summary.discovered) == (0, 0, 4)
    assert {row.filename: row.stable_id for row in catalog.iterate(SearchQuery())} == before
    assert ids_by_path(catalog).keys() == {
        "f0000.safetensors",
        "f0001.safetensors",
        "f0002.safetensors",
        "top.safetensors",
    }


def test_large_files_get_their_ids_from_the_header_and_are_measured_afterwards(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    files = fill(library, 5)
    run(measure_at_once=0)
    rows = list(catalog.iterate(SearchQuery()))
    assert [row.pending for row in rows] == [False] * 5
    assert all(row.content_hash and row.weights for row in rows)
    files[0].rename(library / "moved.safetensors")
    files[1].rename(library / "f0000.safetensors")
    summary = run(measure_at_once=0)
    assert (summary.moved, summary.updated, summary.unchanged) == (2, 0, 3)
    assert ids_by_path(catalog)["moved.safetensors"] == "UNK-UNC-001"
    assert ids_by_path(catalog)["f0000.safetensors"] == "UNK-UNC-002"


def test_a_changed_convention_updates_the_columns_and_not_the_id(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    from lora_weights_builder.library.conventions import load_conventions

    write_lora(library / "mine" / "a.safetensors", "one")
    run()
    own = tmp_path / "conventions.toml"
    own.write_text('[[rule]]\nglob = "mine/**"\nbase = "SDX"\ncategory = "STL"\n')
    summary = run(conventions=load_conventions(own))
    row = catalog.get("UNK-UNC-001")
    assert summary.updated == 1
    assert row is not None
    assert (row.base_model_code, row.category_code, row.role) == ("SDX", "STL", "style")


# What each system lets a name be: bytes on POSIX, text with lone surrogates on Windows.
ODD_NAMES = [
    os.fsdecode(name)
    for name in (
        [b"caf\xe9", b"new\nline", b'it\'s "quoted"', b"\x1asub", b"x" * 240]
        if os.name == "posix"
        else [b"caf\xed\xa0\x80", b"it's", b"x" * 200]
    )
] + ["\u202eevil", "🙂"]


def test_names_that_no_encoding_holds_are_stored_and_found_again(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    for number, name in enumerate(ODD_NAMES):
        write_lora(library / f"{name}.safetensors", str(number))
    assert run().added == len(ODD_NAMES)
    before = dump(catalog)
    assert run().unchanged == len(ODD_NAMES)
    assert dump(catalog) == before
