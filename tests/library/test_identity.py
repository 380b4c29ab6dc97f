"""The rules of identity, pure."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from lora_weights_builder.library.identity import Candidate, Entry, settle
from lora_weights_builder.records import FileStamp


def stamp(inode: int = 0, size: int = 100, mtime: int = 1) -> FileStamp:
    return FileStamp(size, mtime, 1, inode)


def file(path: str, content: str | None, *, inode: int = 0, table: str | None = "t") -> Candidate:
    return Candidate("/r/" + path, path, "/r", stamp(inode), table, content)


def entry(
    number: int, path: str, content: str | None, *, present: bool = True, inode: int = 0, table: str | None = "t"
) -> Entry:
    return Entry(number, f"FLX-CLT-{number:03}", "/r/" + path, path, present, table, content, stamp(inode))


def decided(files: list[Candidate], entries: list[Entry]) -> dict[str, tuple[str, int | None]]:
    return {d.candidate.relative: (d.change, d.entry.seq if d.entry else None) for d in settle(files, entries)}


def test_the_same_path_with_the_same_content_is_itself() -> None:
    assert decided([file("a", "X")], [entry(1, "a", "X"), entry(2, "b", "X")]) == {"a": ("same", 1)}


def test_moves_are_settled_before_paths() -> None:
    # b took a's name and new content came to b: a path rule that went first would give b's id to the new content.
    files = [file("a", "B"), file("b", "NEW")]
    assert decided(files, [entry(1, "a", "A"), entry(2, "b", "B")]) == {"a": ("moved", 2), "b": ("new", None)}


def test_a_path_with_other_content_is_a_revision_where_the_old_content_is_nowhere() -> None:
    assert decided([file("a", "NEW")], [entry(1, "a", "OLD")]) == {"a": ("revised", 1)}


def test_of_several_entries_with_the_content_the_one_of_that_file_name_is_meant_then_the_lowest_id() -> None:
    entries = [entry(12, "x/a", "X"), entry(3, "x/b", "X"), entry(1000, "x/c", "X")]
    assert decided([file("y/a", "X")], entries) == {"y/a": ("moved", 12)}
    assert decided([file("y/other", "X")], entries) == {"y/other": ("moved", 3)}
    assert decided([file("y/b", "X"), file("y/1", "X")], entries) == {"y/b": ("moved", 3), "y/1": ("moved", 12)}


def test_a_present_entry_at_a_path_comes_before_one_that_is_missing_there() -> None:
    entries = [entry(1, "a", "OLD", present=False), entry(2, "a", "NEWER")]
    assert decided([file("a", "NEWEST")], entries) == {"a": ("revised", 2)}


def test_an_entry_that_was_never_read_to_the_end_is_known_by_its_inode() -> None:
    unread = entry(1, "a", None, inode=7)
    assert decided([file("b", "X", inode=7)], [unread]) == {"b": ("moved", 1)}
    assert decided([file("b", "X", inode=8)], [unread]) == {"b": ("new", None)}
    damaged = entry(1, "a", None, inode=7, table=None)
    assert decided([file("b", None, inode=7, table=None)], [damaged]) == {"b": ("moved", 1)}
    assert decided([file("b", None)], [entry(1, "a", None)]) == {"b": ("new", None)}


def test_an_imported_id_waits_for_its_content_and_then_for_its_path() -> None:
    by_content = Entry(1, "FLX-CLT-001", None, "a", False, None, "X", None)
    by_path = Entry(2, "FLX-CLT-002", None, "b", False, None, None, None)
    files = [file("elsewhere", "X"), file("b", "Y")]
    assert decided(files, [by_content, by_path]) == {"elsewhere": ("moved", 1), "b": ("revised", 2)}
    assert decided([file("a", "X"), file("z", "X")], [by_content]) == {"a": ("same", 1), "z": ("new", None)}


def test_fresh_ids_follow_the_bytes_of_the_path() -> None:
    files = [file(name, name) for name in ("é", "z", "a/b", "a b", "B")]
    assert [d.candidate.relative for d in settle(files, [])] == ["B", "a b", "a/b", "z", "é"]


NAMES = st.sampled_from("abcd")
CONTENTS = st.sampled_from("WXYZ")


@given(
    st.dictionaries(NAMES, CONTENTS), st.dictionaries(NAMES, CONTENTS), st.dictionaries(NAMES, CONTENTS), st.integers()
)
def test_any_order_gives_one_outcome_and_no_entry_twice(
    on_disk: dict[str, str], known: dict[str, str], lost: dict[str, str], seed: int
) -> None:
    files = [file(name, content) for name, content in on_disk.items()]
    entries = [entry(n + 1, name, content) for n, (name, content) in enumerate(known.items())]
    entries += [entry(n + 10, name, content, present=False) for n, (name, content) in enumerate(lost.items())]
    expected = decided(files, entries)
    random.Random(seed).shuffle(files)
    random.Random(seed).shuffle(entries)
    assert decided(files, entries) == expected
    taken = [seq for _, seq in expected.values() if seq is not None]
    assert len(taken) == len(set(taken))
    assert set(expected) == set(on_disk)
    # A file whose content some entry has is never new while such an entry is left over.
    left = [e for e in entries if e.seq not in taken]
    for name, (change, _) in expected.items():
        if change in ("new", "revised"):
            assert all(e.content_hash != on_disk[name] for e in left)
    # Settling again on what came out changes nothing.
    settled = [
        entry(seq or 100 + n, name, on_disk[name]) for n, (name, (_, seq)) in enumerate(sorted(expected.items()))
    ]
    assert {change for change, _ in decided(files, settled).values()} <= {"same"}
