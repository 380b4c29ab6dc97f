"""A look at the library's roots beside what the catalogue knows: which files need inspecting, which entries are astray.

Nothing here opens a file or writes an entry. Walking one folder tree is in ``folders.py``; what becomes of the files
that need inspecting is in ``indexer.py``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from lora_weights_builder.library import folders, paths, rows
from lora_weights_builder.library.beside import Beside
from lora_weights_builder.library.conventions import Conventions
from lora_weights_builder.library.folders import FoundFile
from lora_weights_builder.library.index_store import KnownRow
from lora_weights_builder.library.inspections import TRANSIENT
from lora_weights_builder.records import PathProblem


@dataclass(slots=True)
class Comparison:
    """What stamps alone say. Every list holds entries but ``changed``, which holds the files to inspect."""

    changed: list[FoundFile] = field(default_factory=list)
    pending: list[KnownRow] = field(default_factory=list)  # header read, data not; not changed since
    failed: list[KnownRow] = field(default_factory=list)  # could not be read, and has not changed since
    returned: list[KnownRow] = field(default_factory=list)  # was missing, is there as it was
    visible_again: list[KnownRow] = field(default_factory=list)  # was stale, can be looked at and has not changed
    hidden: list[KnownRow] = field(default_factory=list)  # lies in a folder that cannot be listed now
    unchanged: int = 0


class LibraryScan:
    """The files of some roots, and the catalogue's entries as they were before the run.

    ``root_paths`` are the roots that were walked, by id; ``unavailable`` those that were not, as storable paths, each
    with a reason in ``problems``.
    """

    def __init__(self, entries: Sequence[KnownRow], conventions: Conventions) -> None:
        self.entries = entries
        self.files: dict[str, FoundFile] = {}
        self.beside: dict[str, Beside] = {}
        self.root_of: dict[str, int] = {}
        self.root_paths: dict[int, str] = {}
        self.problems: list[PathProblem] = []
        self.unavailable: list[str] = []
        self._conventions = conventions
        self._skipped_roots: set[int] = set()
        self._unreadable: list[str] = []
        self._changed: set[str] = set()
        self._hint_texts: dict[str, str] = {}
        self._present = {entry.file_path: entry for entry in entries if entry.state == "present"}
        self._missing: dict[str, list[KnownRow]] = {}
        for entry in entries:
            if entry.state == "missing":
                self._missing.setdefault(entry.file_path, []).append(entry)

    def walk(
        self, roots: Sequence[str], saved: dict[int, str], *, allow_empty: bool, save: Callable[[str], int]
    ) -> None:
        """List every root that can be listed; the others are reported and none of their entries will be touched.

        Args:
            roots: absolute OS paths. saved: the library's roots, id -> storable path.
            allow_empty: believe a root that holds no file though the catalogue has entries there.
            save: gives a new root its id; called only for a root that could be listed.
        """
        ids = {path: seq for seq, path in saved.items()}
        listed = [*roots, *(paths.to_os(path) for path in saved.values())]
        held = Counter(entry.root_id for entry in self._present.values())
        for root in roots:
            text = paths.to_text(root)
            known = ids.get(text, 0)
            try:
                walked = folders.walk(root, skips=self._conventions.skips, listed_roots=listed)
            except folders.RootUnreadable as fault:
                self._skip_root(text, known, f"the root cannot be read: {fault}; none of its entries was changed")
                continue
            if not walked.files and held[known] and not allow_empty:
                self._skip_root(
                    text,
                    known,
                    f"the root holds no LoRA file, but the catalogue has {held[known]} of it (an unmounted drive?); "
                    "none was changed. If it is meant to be empty, index with --allow-empty",
                )
                continue
            known = known or save(text)
            self.root_paths[known] = text
            self.problems += walked.problems
            self._unreadable += walked.unreadable
            self.beside |= walked.beside
            for file in walked.files:
                self.files[file.path] = file
                self.root_of[file.path] = known

    def _skip_root(self, text: str, known: int, reason: str) -> None:
        self.problems.append(PathProblem(text, reason, "root_unavailable"))
        self.unavailable.append(text)
        self._skipped_roots.add(known)

    def hint(self, file: FoundFile) -> str:
        """What the file's folder says, as stored."""
        place = file.relative.rpartition("/")[0] if self._conventions.by_folder else file.relative
        text = self._hint_texts.get(place)
        if text is None:
            text = self._hint_texts[place] = rows.hint_text(self._conventions.hint(file.relative))
        return text

    def compare(self, *, full: bool, again: Collection[str] = ()) -> Comparison:
        """Sort the files by what their stamps say; those in ``again``, or with ``full`` all, are to be inspected."""
        result = Comparison()
        for path, file in self.files.items():
            entry = self._present.get(path) or self._returned(file)
            if entry is None or full or path in again or self._needs_inspection(file, entry):
                self._changed.add(path)
                result.changed.append(file)
                continue
            if entry.state == "missing":
                self._present[path] = entry
                result.returned.append(entry)
            elif entry.stale:
                result.visible_again.append(entry)
            if entry.error_code is not None:
                result.failed.append(entry)
            elif not entry.measured:
                result.pending.append(entry)
            elif entry.state == "present":
                result.unchanged += 1
        if self._unreadable:
            result.hidden = [entry for entry in self._present.values() if self._is_hidden(entry)]
        return result

    def _returned(self, file: FoundFile) -> KnownRow | None:
        return next((entry for entry in self._missing.get(file.path, ()) if entry.marks == file.marks), None)

    def _needs_inspection(self, file: FoundFile, entry: KnownRow) -> bool:
        if entry.marks != file.marks or entry.root_id != self.root_of[file.path]:
            return True
        return entry.error_code in TRANSIENT or entry.hint != self.hint(file)

    def _is_hidden(self, entry: KnownRow) -> bool:
        """Whether an entry's file lies where this scan could not look, so that its absence means nothing."""
        if entry.root_id not in self.root_paths or entry.file_path in self.files:
            return False
        path = entry.file_path
        return any(path == folder or path.startswith(folder + os.sep) for folder in self._unreadable)

    def astray(self, tables: Collection[str | None]) -> list[KnownRow]:
        """Entries whose path does not hold what they hold, as far as stamps tell: the ones a changed file may be.

        Args:
            tables: tensor tables of the changed files; an entry of a root outside this run is looked for only if it
                has one of them.
        """
        return [entry for entry in self.entries if self._is_astray(entry, tables)]

    def _is_astray(self, entry: KnownRow, tables: Collection[str | None]) -> bool:
        path = entry.file_path
        if path in self.files:
            return path in self._changed or self._present.get(path) is not entry
        if entry.root_id in self.root_paths:
            return entry.state == "missing" or not self._is_hidden(entry)
        if entry.root_id in self._skipped_roots:
            return False
        return entry.state == "missing" or (entry.table_hash in tables and not os.path.lexists(paths.to_os(path)))
