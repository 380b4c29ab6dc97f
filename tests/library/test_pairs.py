"""The two halves of a LoRA that comes in two files: told by their names, linked in the catalogue."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.inspector.model_hints import resolve_base_model
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.pairs import Candidate, Link, pair_up, paired_architectures
from lora_weights_builder.records import FolderHint, LayoutMatch, LoraRecord, PairLink, SearchQuery
from tests.library import stand_in
from tests.library.library_files import dump, without_what_people_say, write_lora

HIGH, LOW = "high-noise", "low-noise"


def candidate(
    seq: int, path: str, *, root: int = 1, rank: int | None = 16, architecture: str = "wan_14b", base: str = "W22"
) -> Candidate:
    match = LayoutMatch(architecture, (), None, None, (), 0)
    variant = resolve_base_model(match, {}, FolderHint(base_model_code=base), path).variant
    return Candidate(seq, root, path, architecture, rank, variant)


def linked(*names: str) -> list[tuple[str, str]]:
    """The pairs among files of these paths, the high-noise half first."""
    links = pair_up(candidate(seq, name) for seq, name in enumerate(names))
    return sorted((names[one], names[link.partner]) for one, link in links.items() if link.noise == HIGH)


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("x_high_noise", "x_low_noise"),
        ("x-HighNoise", "x-LowNoise"),
        ("xHighNoise", "x_low-noise"),
        ("X High Noise", "x_low_noise"),
        ("x_HN", "x_LN"),
        ("x_h", "x_l"),
        ("wan2.2_HIGH_x_v1", "wan2.2-low-x-V1"),
        ("NSFW-22-H-e8", "NSFW-22-L-e8"),
        ("high_noise", "low_noise"),
        ("high_rise_high", "high_rise_low"),
        ("高噪_x", "低噪_x"),
        ("high/x", "low/x"),
        ("High Noise/x", "low_noise/x"),
        ("t2v_h/02 - Styles/x", "t2v_l/02 - Styles/x"),
        ("high/x_high_noise", "low/x_low_noise"),
        ("high/x_high", "low/x_LN"),
    ],
)
def test_names_that_differ_in_the_word_for_the_half_are_a_pair(high: str, low: str) -> None:
    one, other = f"{high}.safetensors", f"{low}.safetensors"
    assert linked(one, other) == [(one, other)]
    assert linked(other, one) == [(one, other)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x_high_noise", "y_low_noise"),
        ("x_high_noise", "x_high-noise"),
        ("x_high_noise", "x"),
        ("x_h", "x"),
        ("xh", "xl"),
        ("a/x_high_noise", "b/x_low_noise"),
        ("high/x", "low/y"),
        ("high/x", "deep/low/x"),
        ("x_high_noise_v1", "x_low_noise_v2"),
        ("high/x_low_noise", "low/x_high_noise"),
    ],
)
def test_other_names_are_none(one: str, other: str) -> None:
    assert linked(f"{one}.safetensors", f"{other}.safetensors") == []


def test_only_files_of_one_root_architecture_and_rank_are_a_pair() -> None:
    high = candidate(1, "x_high_noise.safetensors")
    low = candidate(2, "x_low_noise.safetensors")
    assert pair_up([high, low]) == {1: Link(2, HIGH), 2: Link(1, LOW)}
    assert pair_up([high, replace(low, root_id=2)]) == {}
    assert pair_up([high, replace(low, rank=32)]) == {}
    assert pair_up([high, replace(low, architecture="wan21_i2v_14b")]) == {}
    assert pair_up([replace(high, rank=None), replace(low, rank=None)]).keys() == {1, 2}


def test_a_model_without_halves_has_no_vague_words_and_other_families_have_none_at_all() -> None:
    names = ("x_h.safetensors", "x_l.safetensors")
    assert pair_up(candidate(n, name, base="W21") for n, name in enumerate(names)) == {}
    names = ("x_high_noise.safetensors", "x_low_noise.safetensors")
    assert pair_up(candidate(n, name, architecture="flux1", base="FLX") for n, name in enumerate(names)) == {}
    assert "wan_14b" in paired_architectures()
    assert "flux1" not in paired_architectures()


def test_what_the_metadata_say_goes_before_a_vague_word() -> None:
    one = replace(candidate(1, "x_h.safetensors"), variant="2.2 low-noise")
    assert pair_up([one, candidate(2, "x_l.safetensors")]) == {}


def test_the_same_folder_comes_before_the_folder_beside() -> None:
    assert linked("high/x_h.safetensors", "high/x_l.safetensors", "low/x_l.safetensors") == [
        ("high/x_h.safetensors", "high/x_l.safetensors")
    ]


def test_of_several_that_would_do_the_first_by_path_take_each_other() -> None:
    names = ("x-high-noise.safetensors", "x_high_noise.safetensors", "x-low-noise.safetensors")
    assert linked(*names) == [("x-high-noise.safetensors", "x-low-noise.safetensors")]
    assert linked(*reversed(names)) == [("x-high-noise.safetensors", "x-low-noise.safetensors")]


_WORDS = st.sampled_from(["high_noise", "LowNoise", "HN", "ln", "h", "L", "High", "low", "", "v2", "t2v"])
_STEMS = st.lists(st.one_of(_WORDS, st.sampled_from(["x", "y"])), min_size=1, max_size=3).map("_".join)
_PATHS = st.tuples(st.lists(_WORDS.filter(bool), max_size=2), _STEMS).map(
    lambda parts: "/".join([*parts[0], f"{parts[1]}.safetensors"])
)
_LIBRARIES = st.lists(
    st.tuples(_PATHS, st.sampled_from([4, 16, None]), st.integers(1, 2)), max_size=12, unique_by=lambda one: one[::2]
)


@given(_LIBRARIES, st.randoms())
def test_links_are_mutual_of_opposite_halves_and_the_same_in_any_order(
    library: list[tuple[str, int | None, int]], random: object
) -> None:
    entries = [candidate(n, path, rank=rank, root=root) for n, (path, rank, root) in enumerate(library)]
    links = pair_up(entries)
    by_id = {one.id: one for one in entries}
    for one, link in links.items():
        assert link.partner != one
        assert links[link.partner].partner == one
        assert {link.noise, links[link.partner].noise} == {HIGH, LOW}
        mine, theirs = by_id[one], by_id[link.partner]
        assert (mine.root_id, mine.rank, mine.architecture) == (theirs.root_id, theirs.rank, theirs.architecture)
        assert {HIGH, LOW} & set((mine.variant or "").split()) <= {link.noise}
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pair_up(shuffled) == links
    # Numbers are given in the order of discovery and must not decide who takes whom.
    renumbered = {one.id: 1000 - one.id for one in entries}
    again = pair_up(replace(one, id=renumbered[one.id]) for one in entries)
    assert again == {renumbered[one]: Link(renumbered[link.partner], link.noise) for one, link in links.items()}


# --- in the catalogue


def inspect(
    path: str, *, hint: FolderHint | None = None, lora_name: str | None = None, measure: bool = True
) -> LoraRecord:
    """The stand-in's record as one of WAN 2.2, its rank the padding of the file."""
    record = stand_in.inspect(path, hint=hint, lora_name=lora_name, measure=measure)
    if record.error is not None:
        return record
    base = resolve_base_model(LayoutMatch("wan_14b", (), None, None, (), 0), record.metadata, hint, lora_name)
    rank = int(record.metadata.get("rank", "4"))
    return replace(record, architecture="wan_14b", model_family="wan", variant=base.variant, rank=rank)


def run(catalog: Catalog, library: Path) -> None:
    index(catalog, [library], options=IndexOptions(inspector=inspect, allow_empty=True))


def pairs_of(catalog: Catalog) -> dict[str, PairLink | None]:
    """File name -> its pair, as the view of each entry has it; lists must say the same."""
    found = {}
    for row in catalog.iterate(SearchQuery(state="any")):
        detail = catalog.detail(row.stable_id)
        assert detail is not None
        assert row.pair_id == detail.row.pair_id == (detail.pair.stable_id if detail.pair else None)
        found[row.filename.removesuffix(".safetensors")] = detail.pair
    return found


@pytest.fixture
def halves(catalog: Catalog, library: Path) -> tuple[Path, Path]:
    high = write_lora(library / "WAN2.2/x_high_noise.safetensors", "high")
    low = write_lora(library / "WAN2.2/x_low_noise.safetensors", "low")
    write_lora(library / "WAN2.2/y_high_noise.safetensors", "other")
    run(catalog, library)
    return high, low


def test_after_a_scan_each_half_knows_the_other(catalog: Catalog, halves: tuple[Path, Path]) -> None:
    ids = {row.filename: row.stable_id for row in catalog.iterate(SearchQuery())}
    assert pairs_of(catalog) == {
        "x_high_noise": PairLink(ids["x_low_noise.safetensors"], LOW),
        "x_low_noise": PairLink(ids["x_high_noise.safetensors"], HIGH),
        "y_high_noise": None,
    }
    [page] = [catalog.search(SearchQuery(text="x_high"))]
    assert [row.pair_id for row in page.rows] == [ids["x_low_noise.safetensors"]]


def test_a_half_that_goes_missing_is_let_go_and_taken_back_when_it_returns(
    catalog: Catalog, library: Path, halves: tuple[Path, Path]
) -> None:
    both = pairs_of(catalog)
    away = library.parent / "away.safetensors"
    halves[0].rename(away)
    run(catalog, library)
    assert set(pairs_of(catalog).values()) == {None}
    away.rename(halves[0])
    run(catalog, library)
    assert pairs_of(catalog) == both


def test_a_half_that_changes_its_nature_is_let_go(catalog: Catalog, library: Path, halves: tuple[Path, Path]) -> None:
    both = pairs_of(catalog)
    write_lora(halves[1], "low", {"rank": "8"})
    run(catalog, library)
    assert set(pairs_of(catalog).values()) == {None}
    write_lora(halves[1], "low")
    run(catalog, library)
    assert pairs_of(catalog) == both


def test_a_half_that_is_renamed_finds_another_partner(
    catalog: Catalog, library: Path, halves: tuple[Path, Path]
) -> None:
    halves[1].rename(halves[1].with_name("y_low_noise.safetensors"))
    run(catalog, library)
    found = pairs_of(catalog)
    assert found["x_high_noise"] is None
    assert found["y_high_noise"] is not None
    assert found["y_low_noise"] is not None


def test_a_root_that_is_taken_off_takes_its_links_along(
    catalog: Catalog, library: Path, halves: tuple[Path, Path]
) -> None:
    both = pairs_of(catalog)
    catalog.remove_root(library)
    assert set(pairs_of(catalog).values()) == {None}
    run(catalog, library)
    assert pairs_of(catalog) == both


def test_a_run_that_was_killed_before_it_linked_is_made_up_for(
    catalog: Catalog, library: Path, halves: tuple[Path, Path]
) -> None:
    both = pairs_of(catalog)
    with catalog.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM lora_pair")
        connection.exec_driver_sql("INSERT INTO work_due VALUES ('pairs')")
    run(catalog, library)
    assert pairs_of(catalog) == both


def test_a_catalogue_from_before_is_backed_up_keeps_its_ids_and_is_linked_by_the_next_run(
    catalog: Catalog, library: Path, halves: tuple[Path, Path]
) -> None:
    both = pairs_of(catalog)
    catalog.close()
    with sqlite3.connect(catalog.path) as plain:
        without_what_people_say(plain)
        for trigger in ("added", "changed", "removed"):
            plain.execute(f"DROP TRIGGER lora_pair_{trigger}")
        for table in ("lora_pair", "lora_profile", "combined_profile"):
            plain.execute(f"DROP TABLE {table}")
        plain.execute("DROP TABLE work_due")
        plain.execute("DROP TABLE lora_sidecar")
        plain.execute("DROP TABLE lora_preview")
        plain.execute("ALTER TABLE lora DROP COLUMN base_model_evidence")
        plain.execute("UPDATE alembic_version SET version_num = '0002'")
    plain.close()
    with Catalog.open(catalog.path) as upgraded:
        assert len(list(catalog.path.parent.glob("lora_master.db.schema-0002-*.backup"))) == 1
        assert pairs_of(upgraded) == dict.fromkeys(both)
        assert index(upgraded, [library], options=IndexOptions(inspector=inspect)).unchanged == 3
        assert pairs_of(upgraded) == both


def test_an_unchanged_library_is_not_written_to(catalog: Catalog, library: Path, halves: tuple[Path, Path]) -> None:
    before = dump(catalog)
    run(catalog, library)
    assert dump(catalog) == before


def test_the_database_holds_no_link_that_is_not_mutual(catalog: Catalog, halves: tuple[Path, Path]) -> None:
    with catalog.database.reading() as connection:
        first, second, third = connection.exec_driver_sql("SELECT id FROM lora ORDER BY id").scalars()
        assert connection.exec_driver_sql("SELECT count(*) FROM lora_pair").scalar() == 2
    for one, other in ((third, first), (third, third)):
        with pytest.raises((sa.exc.IntegrityError, sqlite3.IntegrityError)), catalog.database.writing() as connection:
            connection.exec_driver_sql(f"INSERT INTO lora_pair VALUES ({one}, {other}, 'low-noise')")
    with catalog.database.writing() as connection:
        connection.exec_driver_sql(f"DELETE FROM lora_pair WHERE lora_id = {second}")
        assert connection.exec_driver_sql("SELECT count(*) FROM lora_pair").scalar() == 0
