"""Which entry of the catalogue each new or changed file is: the rules of identity, pure.

    0. itself: the same path with the same content
    1. content: an entry with this content whose own path no longer holds it -> the same entry, moved
    2. path: an entry at this path with other content -> the same entry, revised
    3. otherwise a new entry

All of 0 is settled before any of 1, all of 1 before any of 2: two files that swapped names swap paths, not ids. The
outcome depends on nothing but the values given here, in whatever order they come. Reading files, giving numbers and
storing are elsewhere.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from lora_weights_builder.library import paths
from lora_weights_builder.library.id_assigner import id_key
from lora_weights_builder.records import FileStamp

Change = Literal["same", "moved", "revised", "new"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A known entry whose path does not hold its content as far as a glance could tell: gone, changed, or unseen.

    ``seq`` is its row. ``path`` is ``None`` for an id that an imported ledger brought and that waits for its file:
    then the root-relative path alone says where it belongs. ``stamp`` is what its file looked like when it was read.
    """

    seq: int
    stable_id: str
    path: str | None
    relative: str
    present: bool
    table_hash: str | None
    content_hash: str | None
    stamp: FileStamp | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that is new at its path or has changed there. ``root`` breaks ties between equal relative paths."""

    path: str
    relative: str
    root: str
    stamp: FileStamp
    table_hash: str | None
    content_hash: str | None

    @property
    def order(self) -> tuple[bytes, str, bytes]:
        """Fresh ids follow the relative path's bytes, then the content; the root only tells true twins apart."""
        return paths.sort_key(self.relative), self.content_hash or "", paths.sort_key(self.root)


@dataclass(frozen=True, slots=True)
class Decision:
    """Which entry a file is; ``entry`` is ``None`` for one that needs a fresh id."""

    candidate: Candidate
    entry: Entry | None
    change: Change


def settle(candidates: Iterable[Candidate], entries: Iterable[Entry]) -> list[Decision]:
    """Decide for every candidate, in the order in which fresh ids are to be given.

    Args:
        candidates: new and changed files, each path once.
        entries: every entry that may be one of them: those whose path is among the candidates, those whose file is
            gone, and ids that wait for a file. Entries whose file is unchanged, or cannot be looked at, are left out.
    """
    return _Settlement(candidates, entries).decisions()


class _Settlement:
    def __init__(self, candidates: Iterable[Candidate], entries: Iterable[Entry]) -> None:
        self._files = sorted(candidates, key=lambda file: file.order)
        self._entries = sorted(entries, key=lambda entry: id_key(entry.stable_id))
        self._taken: set[int] = set()
        self._settled: dict[str, Decision] = {}

    def decisions(self) -> list[Decision]:
        self._settle_same()
        self._settle_moved()
        self._settle_revised()
        return [self._settled.get(file.path) or Decision(file, None, "new") for file in self._files]

    def _take(self, file: Candidate, entry: Entry, change: Change) -> None:
        self._taken.add(entry.seq)
        self._settled[file.path] = Decision(file, entry, change)

    def _open_files(self) -> list[Candidate]:
        return [file for file in self._files if file.path not in self._settled]

    def _settle_same(self) -> None:
        by_place = self._by_place()
        for file in self._files:
            for entry in by_place.get(file.path, ()) or by_place.get(("", file.relative), ()):
                if entry.seq not in self._taken and _same_content(file, entry):
                    self._take(file, entry, "same")
                    break

    def _settle_moved(self) -> None:
        named: dict[Hashable, deque[Entry]] = defaultdict(deque)
        for entry in self._entries:  # in the order of ids, so the first of a queue is the lowest
            if entry.seq not in self._taken:
                for mark in _entry_marks(entry):
                    named[mark, _name(entry.relative)].append(entry)
                    named[mark].append(entry)
        for same_name in (True, False):  # where several match: the same file name, then the lowest id
            for file in self._open_files():
                for mark in _file_marks(file):
                    found = self._first(named.get((mark, _name(file.relative)) if same_name else mark))
                    if found is not None:
                        self._take(file, found, "moved")
                        break

    def _first(self, queue: deque[Entry] | None) -> Entry | None:
        while queue and queue[0].seq in self._taken:
            queue.popleft()
        return queue[0] if queue else None

    def _settle_revised(self) -> None:
        by_place = self._by_place()
        for file in self._open_files():
            for entry in by_place.get(file.path, ()) or by_place.get(("", file.relative), ()):
                if entry.seq not in self._taken:
                    self._take(file, entry, "revised")
                    break

    def _by_place(self) -> dict[Hashable, list[Entry]]:
        """Entries at a path, one that is there before those that were; ids that wait are under ("", relative)."""
        places: dict[Hashable, list[Entry]] = defaultdict(list)
        for entry in sorted(self._entries, key=lambda entry: not entry.present):
            if entry.seq not in self._taken:
                places[("", entry.relative) if entry.path is None else entry.path].append(entry)
        return places


def _same_content(file: Candidate, entry: Entry) -> bool:
    """Equal hashes; where the entry has none (it was never read to the end), the very same file by its inode."""
    if entry.content_hash is not None:
        return entry.content_hash == file.content_hash
    return (
        entry.stamp is not None
        and _file_mark(file.stamp, file.table_hash) == _file_mark(entry.stamp, entry.table_hash)
        and file.stamp.inode != 0
    )


def _file_mark(stamp: FileStamp, table_hash: str | None) -> Hashable:
    return stamp.inode, stamp.size, stamp.mtime_ns, table_hash


def _entry_marks(entry: Entry) -> list[Hashable]:
    if entry.content_hash is not None:
        return [entry.content_hash]
    return [_file_mark(entry.stamp, entry.table_hash)] if entry.stamp is not None and entry.stamp.inode else []


def _file_marks(file: Candidate) -> list[Hashable]:
    marks: list[Hashable] = [] if file.content_hash is None else [file.content_hash]
    return [*marks, _file_mark(file.stamp, file.table_hash)]


def _name(relative: str) -> str:
    return relative.rpartition("/")[2]
