"""Asking the catalogue: search, facets, details, roots, the ledger."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_weights_builder.errors import Busy, Conflict, NotFound, UsageError
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.catalog_search import SORT_KEYS
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.locks import index_lease
from lora_weights_builder.records import SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, ids_by_path, write_lora

ODD = [
    "100% wool",
    "100x wool",
    "a_b",
    "aXb",
    "back\\slash",
    'say "hi"',
    "it's",
    "a* OR b",
    "NEAR(x y)",
    "x AND y",
    "ß Ü İ",
]


@pytest.fixture
def filled(library: Path, catalog: Catalog, run: RunIndex) -> Catalog:
    for number, name in enumerate(ODD):
        write_lora(library / "FLUX/08 - Clothing" / f"{name}.safetensors", f"odd {number}")
    for number in range(30):
        write_lora(library / "SDXL/02 - Styles" / f"s{number:02}.safetensors", f"{number}", padding=number % 3 * 2)
    (library / "FLUX/broken.safetensors").write_bytes(b"\x80\x04 pickle")
    shutil.copyfile(library / "SDXL/02 - Styles/s00.safetensors", library / "zz copy.safetensors")
    run()
    return catalog


def names(catalog: Catalog, text: str) -> set[str]:
    return {row.filename.removesuffix(".safetensors") for row in catalog.iterate(SearchQuery(text=text))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100%", {"100% wool"}), ("a_b", {"a_b"}), ("k\\s", {"back\\slash"}), ('"hi"', {'say "hi"'}),
        ("t's", {"it's"}), ("a* OR b", {"a* OR b"}), ("NEAR(x", {"NEAR(x y)"}), ("x and y", {"x AND y"}),
        ("%", {"100% wool"}), ("_b", {"a_b"}), ("\\", {"back\\slash"}), ('"', {'say "hi"'}), ("*", {"a* OR b"}),
        ("ss ü", {"ß Ü İ"}), ("WOOL", {"100% wool", "100x wool"}), ("a%b", set()), ("x or", set()),
        ("\x00\x00\x00", set()),
        ("\ud800abc", set()), ("sdxl-zzz", set()), ("FLX-CLT-001", {"100% wool"}),
    ],
)  # fmt: skip
def test_search_text_is_literal_and_ignores_case(filled: Catalog, text: str, expected: set[str]) -> None:
    assert names(filled, text) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("ab%_\\\"'*- OR()xXyYßİ\u0131.^:"), min_size=1, max_size=6))
def test_search_finds_what_contains_the_text_and_nothing_else(filled: Catalog, text: str) -> None:
    rows = list(filled.iterate(SearchQuery(state="any")))
    expected = {
        row.stable_id
        for row in rows
        if any(text.casefold() in part.casefold() for part in (row.stable_id, row.filename, row.rel_path))
    }
    assert {row.stable_id for row in filled.iterate(SearchQuery(text=text, state="any"))} == expected


def test_filters_count_together_and_all_means_any(filled: Catalog) -> None:
    assert filled.search(SearchQuery(base="SDX", category="STL")).total == 30
    assert filled.search(SearchQuery(base="ALL", category="", layout="all")).total == 43
    assert filled.search(SearchQuery(has_blocks=True)).total == 42
    assert filled.search(SearchQuery(has_blocks=False)).total == 1
    assert filled.search(SearchQuery(adapter="lora", role="style")).total == 30
    assert filled.search(SearchQuery(adapter="lo")).total == 0
    assert filled.search(SearchQuery(layout="flux_transformer_38", architecture="flux1")).total == 42
    assert [row.filename for row in filled.search(SearchQuery(state="failed")).rows] == ["broken.safetensors"]
    assert [row.filename for row in filled.search(SearchQuery(state="fallback")).rows] == ["broken.safetensors"]
    assert [row.filename for row in filled.search(SearchQuery(state="duplicate")).rows] == ["zz copy.safetensors"]


@pytest.mark.parametrize("sort", [*SORT_KEYS, *(f"-{key}" for key in SORT_KEYS)])
def test_pages_by_cursor_and_by_offset_are_the_whole_in_one_order(filled: Catalog, sort: str) -> None:
    whole = [row.stable_id for row in filled.iterate(SearchQuery(sort=sort))]
    assert len(whole) == len(set(whole)) == 43
    by_cursor: list[str] = []
    cursor = None
    while True:
        page = filled.search(SearchQuery(sort=sort, limit=7, cursor=cursor))
        assert page.offset == len(by_cursor)
        by_cursor += [row.stable_id for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert by_cursor == whole
    by_offset = [filled.search(SearchQuery(sort=sort, limit=10, offset=n)).rows for n in range(0, 50, 10)]
    assert [row.stable_id for rows in by_offset for row in rows] == whole
    reverse = [
        row.stable_id
        for row in filled.iterate(SearchQuery(sort=sort.removeprefix("-") if sort[0] == "-" else f"-{sort}"))
    ]
    assert reverse == whole[::-1]


@pytest.mark.parametrize(
    ("query", "subject"),
    [
        (SearchQuery(sort="metadata"), "sort"), (SearchQuery(sort="--rank"), "sort"), (SearchQuery(limit=0), "limit"),
        (SearchQuery(limit=501), "limit"), (SearchQuery(offset=-1), "offset"), (SearchQuery(text="x" * 501), "search"),
        (SearchQuery(state="gone"), "state"),  # type: ignore[arg-type]
        (SearchQuery(cursor="rubbish!"), "cursor"),
        (SearchQuery(cursor="W10"), "cursor"), (SearchQuery(cursor="WyJyYW5rIiwwLDEsMl0"), "cursor"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_meant_is_refused_by_field(catalog: Catalog, query: SearchQuery, subject: str) -> None:
    with pytest.raises(UsageError) as caught:
        catalog.search(query)
    assert caught.value.subject == subject


def test_facets_count_under_the_other_filters_and_not_their_own(filled: Catalog) -> None:
    facets = filled.facets(SearchQuery(base="SDX"))
    assert [(facet.value, facet.label, facet.count) for facet in facets["base"]] == [
        ("SDX", "Stable Diffusion XL", 30), ("FLX", "Flux", 12), ("UNK", "Unknown", 1)
    ]  # fmt: skip
    assert [(facet.value, facet.count) for facet in facets["category"]] == [("STL", 30)]
    assert [(facet.value, facet.count) for facet in facets["adapter"]] == [("lora", 30)]


def test_details_hold_blocks_metadata_history_and_duplicates(filled: Catalog) -> None:
    detail = filled.detail("SDX-STL-001")
    assert detail is not None
    assert (len(detail.blocks), detail.blocks[0].label, detail.blocks[1].present) == (38, "S00", False)
    assert max(block.weight for block in detail.blocks) == 1.0
    assert detail.row.weights == tuple(block.weight for block in detail.blocks)
    assert [event.kind for event in detail.history] == ["added"]
    assert detail.duplicates == ("UNK-UNC-001",)
    broken = filled.search(SearchQuery(state="failed")).rows[0]
    fallback = filled.detail(broken.stable_id)
    assert fallback is not None
    assert fallback.row.block_layout == "flux_fallback_16"
    assert [(block.weight, block.raw_strength) for block in fallback.blocks] == [(1.0, None)] * 16
    assert filled.detail("FLX-CLT-999") is None
    assert filled.get("no such id é") is None


def test_a_plain_sqlite_reader_sees_one_row_a_block(filled: Catalog) -> None:
    with sqlite3.connect(filled.path) as plain:
        rows = plain.execute(
            "SELECT block_index, weight, raw_strength FROM lora_block_weights WHERE stable_id = 'SDX-STL-001'"
            " ORDER BY block_index"
        ).fetchall()
    detail = filled.detail("SDX-STL-001")
    assert detail is not None
    assert rows == [(block.block_index, block.weight, block.raw_strength) for block in detail.blocks]


def test_the_summary_counts_present_entries(filled: Catalog, library: Path, run: RunIndex) -> None:
    (library / "SDXL/02 - Styles/s05.safetensors").unlink()
    run()
    summary = filled.summary()
    assert (summary.total_loras, summary.with_blocks, summary.missing, summary.failed) == (42, 41, 1, 1)
    assert (summary.duplicates, summary.fallbacks, summary.pending) == (1, 1, 0)
    assert summary.last_scan is not None
    scans = filled.scans()
    assert [scan.status for scan in scans] == ["done", "done"]
    assert scans[0].summary.missing == 1
    assert scans[0].summary.errors[0].path == str(library / "FLUX/broken.safetensors")


def test_roots_are_saved_listed_and_taken_off_without_losing_ids(
    filled: Catalog, library: Path, tmp_path: Path, run: RunIndex
) -> None:
    before = ids_by_path(filled)
    other = tmp_path / "other"
    other.mkdir()
    assert filled.add_root(other).entries == 0
    assert [(info.path, info.entries, info.available) for info in filled.roots()] == [
        (str(library), 43, True), (str(other), 0, True)
    ]  # fmt: skip
    with pytest.raises(UsageError, match="not a folder"):
        filled.add_root(tmp_path / "nowhere")
    with pytest.raises(NotFound):
        filled.remove_root(tmp_path)
    assert filled.remove_root(library) == 43
    assert [info.path for info in filled.roots()] == [str(other)]
    assert ids_by_path(filled) == {}
    run()
    assert ids_by_path(filled) == before


def test_only_a_missing_entry_can_be_forgotten(filled: Catalog) -> None:
    with pytest.raises(Conflict):
        filled.forget("SDX-STL-001")
    with pytest.raises(NotFound):
        filled.forget("SDX-STL-999")


def test_whole_file_hashes_are_kept_until_the_file_changes(filled: Catalog, library: Path, run: RunIndex) -> None:
    filled.set_hashes("SDX-STL-001", "b" * 64, "c" * 64, "d" * 12)
    row = filled.get("SDX-STL-001")
    assert row is not None
    assert (row.hashes.blake3, row.hashes.sha256, row.hashes.autov3) == ("b" * 64, "c" * 64, "d" * 12)
    write_lora(library / "SDXL/02 - Styles/s00.safetensors", "0", {"metadata": "edited"})
    run()
    row = filled.get("SDX-STL-001")
    assert row is not None
    assert row.hashes.blake3 is None
    with pytest.raises(NotFound):
        filled.set_hashes("SDX-STL-999", "b" * 64, "c" * 64, None)


def test_a_rebuild_with_the_ledger_gives_the_same_ids_and_never_a_retired_one(
    filled: Catalog, library: Path, tmp_path: Path, run: RunIndex
) -> None:
    # Ids that no rebuild could guess: given in another order than that of the paths, moved, retired, revised.
    write_lora(library / "SDXL/02 - Styles/a first.safetensors", "late comer")
    (library / "SDXL/02 - Styles/s29.safetensors").unlink()
    run()
    filled.forget("SDX-STL-030")
    (library / "SDXL/02 - Styles/s03.safetensors").rename(library / "FLUX/s03.safetensors")
    run()
    before = ids_by_path(filled)
    lines = list(filled.export_ids())
    assert json.loads(lines[0]).keys() == {"stable_id", "content_hash", "table_hash", "path", "retired"}
    (library / "FLUX/s03.safetensors").rename(library / "while away.safetensors")
    write_lora(library / "SDXL/02 - Styles/s04.safetensors", "edited while away")
    expected = {
        ("while away.safetensors" if path == "FLUX/s03.safetensors" else path): stable_id
        for path, stable_id in before.items()
    }
    for stripped in (False, True):  # also with a ledger that knows contents but not tables
        with Catalog.open(tmp_path / f"rebuilt {stripped}.db") as rebuilt:
            given_lines = [line.replace('"table_hash"', '"_"') for line in lines] if stripped else lines
            assert rebuilt.import_ids(given_lines) == len(lines)
            assert rebuilt.import_ids(lines) == 0
            index(rebuilt, [library], options=IndexOptions(inspector=stand_in.inspect, measure_at_once=0))
            assert ids_by_path(rebuilt) == expected
            write_lora(library / "SDXL/02 - Styles/zzz.safetensors", "one more")
            index(rebuilt, [library], options=IndexOptions(inspector=stand_in.inspect))
            assert ids_by_path(rebuilt)["SDXL/02 - Styles/zzz.safetensors"] == "SDX-STL-032"
            (library / "SDXL/02 - Styles/zzz.safetensors").unlink()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", UsageError), ("[]", UsageError), ('{"stable_id": "x"}', UsageError),
        ('{"stable_id": "SDX-STL-077", "content_hash": "zz"}', UsageError),
        ('{"stable_id": "SDX-STL-077", "path": "/etc/passwd"}', UsageError),
        ('{"stable_id": "SDX-STL-077", "retired": 1}', UsageError),
        ('{"stable_id": "SDX-STL-001", "content_hash": "' + "0" * 64 + '"}', Conflict),
        ('{"stable_id": "SDX-STL-001", "retired": true}', Conflict),
        ('{"stable_id": "SDX-STL-500"}', Conflict),
    ],
)  # fmt: skip
def test_a_ledger_that_is_wrong_anywhere_imports_nothing(filled: Catalog, line: str, error: type[Exception]) -> None:
    before = list(filled.export_ids())
    with pytest.raises(error):
        filled.import_ids(['{"stable_id": "SDX-STL-500"}', line])
    assert list(filled.export_ids()) == before


def test_no_ids_are_imported_while_an_indexer_runs(filled: Catalog) -> None:
    with index_lease(filled.path), pytest.raises(Busy):
        filled.import_ids([])


def test_totals_are_exact_up_to_ten_thousand_and_a_fair_estimate_beyond(
    library: Path, catalog: Catalog, run: RunIndex
) -> None:
    write_lora(library / "FLUX/red dress.safetensors", "x")
    run()
    with sqlite3.connect(catalog.path) as plain:
        columns = [name for _, name, *_ in plain.execute("PRAGMA table_info(lora)")]
        same = ", ".join(name for name in columns if name not in ("id", "stable_id", "file_path", "base_model_code"))
        numbers = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) "
        plain.execute(
            f"INSERT INTO id_ledger (seq, stable_id, created_at) {numbers} SELECT i, 'FLX-UNC-' || i, '' FROM n"
        )
        plain.execute(
            f"INSERT INTO lora (id, stable_id, file_path, base_model_code, {same}) {numbers}"
            f" SELECT i, 'FLX-UNC-' || i, 'p' || i, CASE WHEN i % 10 THEN 'FLX' ELSE 'SDX' END, {same} FROM n, lora"
            " WHERE lora.id = 1"
        )
    plain.close()
    for text in ("", "red dress", "re"):
        page = catalog.search(SearchQuery(text=text))
        assert not page.total_is_exact
        assert 27_000 <= page.total <= 33_000
        page = catalog.search(SearchQuery(text=text, base="SDX", sort="-modified"))
        assert (page.total, page.total_is_exact, len(page.rows)) == (3_000, True, 50)
    assert catalog.search(SearchQuery(text="no such")).total == 0
    assert [(facet.value, facet.count) for facet in catalog.facets(SearchQuery(text="red dress"))["base"]] == [
        ("FLX", 27_000), ("SDX", 3_000)
    ]  # fmt: skip
