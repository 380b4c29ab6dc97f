"""Brings the catalogue up to what the library's folders hold.

    walk -> which files are new or changed -> read their headers -> settle which entry each is -> store
         -> read the data of those that only had their header read -> mark duplicates, link pairs

Files that look as they did when they were last read are not opened. Inspections run in the executor that is handed in
and are kept in the database as they come, so a killed run is taken up where it stopped; ids and rows are written in
the order of paths, whichever worker was first. What identity means is in ``identity.py``, the SQL in
``index_store.py``.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lora_weights_builder.library import identity, index_store, paths, relations, rows, sidecar_run
from lora_weights_builder.library.catalog import Catalog, save_root
from lora_weights_builder.library.conventions import Conventions, load_conventions
from lora_weights_builder.library.folders import FoundFile
from lora_weights_builder.library.id_assigner import IdAssigner, prefix_of
from lora_weights_builder.library.index_store import KnownRow, Place, Staged
from lora_weights_builder.library.inspections import TRANSIENT, Inspected, Inspector, Task, decode
from lora_weights_builder.library.library_scan import Comparison, LibraryScan
from lora_weights_builder.library.locks import index_lease
from lora_weights_builder.library.pass_runner import run_tasks
from lora_weights_builder.library.workers import Executor, SerialExecutor
from lora_weights_builder.records import PathProblem, ProgressEvent, ScanPhase, ScanSummary

MEASURE_AT_ONCE_BYTES: Final = 4 << 20  # opening a small file a second time costs more than reading it through
COMMIT_FILES: Final = 500  # a kill costs at most this many files' work, or so many seconds or bytes of it
COMMIT_SECONDS: Final = 2.0
COMMIT_BYTES: Final = 16 << 20
EVENT_SECONDS: Final = 0.1
GONE: Final = "not_found"  # deleted between walking and reading: a new file that never was


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How a run goes about it.

    ``full`` reads every file again, also those that have not changed; ``again`` only those of these storable paths.
    ``headers_only`` is for a first look: what is new is listed with all that its header says, and waits for the next
    run to be measured; data is read only where nothing else tells which entry a file is. ``allow_empty`` believes a
    root that is suddenly empty. ``conventions`` are the packaged ones if ``None``; ``inspector`` is the real one if
    ``None``. Files of at most ``measure_at_once`` bytes are read whole in the first pass.
    """

    full: bool = False
    again: frozenset[str] = frozenset()
    headers_only: bool = False
    allow_empty: bool = False
    conventions: Conventions | None = None
    inspector: Inspector | None = None
    measure_at_once: int = MEASURE_AT_ONCE_BYTES


def index(
    catalog: Catalog,
    roots: Sequence[str | os.PathLike[str]] = (),
    *,
    executor: Executor | None = None,
    options: IndexOptions | None = None,
    on_event: Callable[[ProgressEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ScanSummary:
    """Bring the catalogue up to what these roots hold; the saved ones if none are given.

    Args:
        roots: folders; each is saved as a root of the library.
        executor: where inspections run; this process if ``None``. It is not closed.
        on_event: told how far it is, at most ten times a second and at each phase's start and end.
        should_stop: asked between files; once true, the run ends after storing what is done.

    Returns:
        What was found and done. Bad files and unavailable roots are in ``errors``, they stop nothing.

    Raises:
        Busy: another process is indexing this database. CatalogError: the database cannot be written.
    """
    with index_lease(catalog.path):
        run = _Run(
            catalog,
            executor or SerialExecutor(),
            options or IndexOptions(),
            on_event or (lambda event: None),
            should_stop or (lambda: False),
        )
        return run.run(roots)


class _Run:
    def __init__(
        self,
        catalog: Catalog,
        executor: Executor,
        options: IndexOptions,
        on_event: Callable[[ProgressEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._database = catalog.database
        self._executor = executor
        self._options = options
        self._conventions = options.conventions or load_conventions()
        self._on_event = on_event
        self._should_stop = should_stop
        self._began = time.monotonic()
        self._last_event = 0.0
        self._outcome: dict[str, str] = {}  # path -> added, updated, moved, failed; the rest is unchanged
        self._unchanged = 0
        self._problems: list[PathProblem] = []
        self._missing = 0
        self._duplicates = 0
        self._stopped = False

    # --- the run

    def run(self, roots: Sequence[str | os.PathLike[str]]) -> ScanSummary:
        with self._database.reading() as connection:
            saved = index_store.saved_roots(connection)
            self._scan = LibraryScan(index_store.known_rows(connection), self._conventions)
        chosen = list(dict.fromkeys(map(paths.absolute, roots))) or [paths.to_os(path) for path in saved.values()]
        with self._database.writing() as connection:
            scan_id = index_store.begin_scan(connection, [paths.to_text(root) for root in chosen], rows.now())
        status = "failed"
        try:
            self._go(chosen, saved)
            status = "stopped" if self._stopped else "done"
        finally:
            summary = self._summary()
            with self._database.writing() as connection:
                index_store.end_scan(connection, scan_id, status, summary, rows.now())
        self._tell("done", len(self._scan.files), len(self._scan.files), force=True)
        return summary

    def _go(self, roots: Sequence[str], saved: dict[int, str]) -> None:
        self._tell("walk", 0, 0, force=True)
        self._scan.walk(roots, saved, allow_empty=self._options.allow_empty, save=self._save_root)
        comparison = self._scan.compare(full=self._options.full, again=self._options.again)
        self._store_unopened(comparison)
        self._inspect_changed(comparison.changed)
        pending = comparison.pending
        if not self._stopped:
            pending = [*pending, *self._settle_and_store()]
        if not self._stopped and not self._options.headers_only:
            self._measure(pending)
        sidecar_run.settle(self._database, self._scan.files, self._scan.beside, self._should_stop)
        self._tell("duplicates", 0, 0)
        self._duplicates = relations.settle(self._database)

    def _save_root(self, path: str) -> int:
        with self._database.writing() as connection:
            return save_root(connection, path)

    def _summary(self) -> ScanSummary:
        problems = [*self._scan.problems, *self._problems]
        return ScanSummary(
            **self._counts(),
            missing=self._missing,
            duplicates=self._duplicates,
            seconds=time.monotonic() - self._began,
            errors=tuple(sorted(problems, key=lambda problem: (problem.path, problem.reason))),
            stopped=self._stopped,
            roots_unavailable=tuple(self._scan.unavailable),
        )

    def _counts(self) -> dict[str, int]:
        outcomes = Counter(self._outcome.values())
        outcomes["unchanged"] += self._unchanged
        counts = {name: outcomes[name] for name in ("added", "updated", "moved", "unchanged", "failed")}
        return {"discovered": sum(counts.values()), **counts}

    # --- files that are not opened

    def _store_unopened(self, comparison: Comparison) -> None:
        """Write what stamps alone say: files that are back as they were, and those out of sight for now."""
        self._unchanged = comparison.unchanged
        self._outcome |= dict.fromkeys((row.file_path for row in comparison.returned), "updated")
        pending = "unchanged" if self._options.headers_only else "updated"
        self._outcome |= dict.fromkeys((row.file_path for row in comparison.pending), pending)
        self._outcome |= dict.fromkeys((row.file_path for row in comparison.failed), "failed")
        if comparison.failed:
            with self._database.reading() as connection:
                reasons = index_store.errors_of(connection, [row.id for row in comparison.failed])
            self._problems += [
                PathProblem(row.file_path, reasons[row.id], row.error_code or "unreadable") for row in comparison.failed
            ]
        if comparison.returned or comparison.visible_again or comparison.hidden:
            with self._database.writing() as connection:
                at = rows.now()
                index_store.return_unchanged(connection, comparison.returned, at)
                index_store.mark_fresh(connection, [row.id for row in comparison.visible_again], at)
                reason = "the folder cannot be listed (permission denied)"
                index_store.mark_stale(connection, {row.id: reason for row in comparison.hidden}, at)

    # --- reading headers (and small files whole)

    def _inspect_changed(self, changed: Sequence[FoundFile]) -> None:
        """Inspect what is new or changed, unless an interrupted run did; results go to the staging table."""
        with self._database.reading() as connection:
            earlier = index_store.staged(connection)
        wanted = {file.path for file in changed}
        outdated = [path for path in earlier if path not in wanted]
        if outdated:
            with self._database.writing() as connection:
                index_store.delete_staged(connection, outdated)
        limit = -1 if self._options.headers_only else self._options.measure_at_once
        tasks = [
            self._task(file, measure=file.stamp.size <= limit)
            for file in sorted(changed, key=lambda file: paths.sort_key(file.relative))
            if not self._still_holds(earlier.get(file.path), file)
        ]
        self._stage("headers", tasks)
        if changed and not self._stopped:
            self._stage("identity", self._tasks_needing_content())

    def _still_holds(self, kept: Staged | None, file: FoundFile) -> bool:
        if kept is None or kept.error_code in TRANSIENT:
            return False
        return kept.stamp == file.stamp and kept.hint == self._scan.hint(file)

    def _task(self, file: FoundFile, *, measure: bool) -> Task:
        return Task(file.path, file.os_path, file.relative, self._conventions.hint(file.relative), measure)

    def _stage(self, phase: ScanPhase, tasks: Sequence[Task]) -> None:
        files = self._scan.files

        def store(results: Sequence[Inspected]) -> None:
            with self._database.writing() as connection:
                index_store.stage(
                    connection,
                    [(found, files[found.path].stamp, self._scan.hint(files[found.path])) for found in results],
                )

        self._run_pass(phase, tasks, store)

    def _tasks_needing_content(self) -> list[Task]:
        """Files that could be an entry gone from its path, told by their tensor table: these are read in full."""
        with self._database.reading() as connection:
            staged = index_store.staged(connection)
            waiting = index_store.waiting_ids(connection)
        sought = {row.table_hash for row in self._scan.astray(_tables(staged))}
        sought |= {entry.table_hash for entry in waiting}
        # A ledger from elsewhere may know contents without their tables: then any file could be one of them.
        any_table = any(entry.content_hash and not entry.table_hash for entry in waiting)
        twins = Counter(self._scan.files[path].relative for path in staged)
        files = [
            self._scan.files[path]
            for path, kept in staged.items()
            if kept.content_hash is None
            and kept.error_code is None
            and (any_table or kept.table_hash in sought or twins[self._scan.files[path].relative] > 1)
        ]
        return [self._task(file, measure=True) for file in sorted(files, key=lambda f: paths.sort_key(f.relative))]

    # --- settling and storing

    def _settle_and_store(self) -> list[KnownRow]:
        """Decide which entry each inspected file is and store it; returns the entries whose data is to be read."""
        with self._database.reading() as connection:
            staged = index_store.staged(connection)
            waiting = index_store.waiting_ids(connection) if staged else []
            assigner = IdAssigner(index_store.ever_given(connection) if staged else ())
        astray = self._scan.astray(_tables(staged))
        decisions = identity.settle(
            map(self._candidate, staged.values()), [*map(_entry, astray), *map(_waiting_entry, waiting)]
        )
        self._store_missing(astray, decisions)
        by_id = {row.id: row for row in astray}
        done = 0
        for batch in index_store.batches(decisions, COMMIT_FILES):
            if self._should_stop():
                self._stopped = True
                break
            self._store_batch(batch, by_id, staged, assigner)
            done += len(batch)
            self._tell("store", done, len(decisions))
        stored = {decision.candidate.path for decision in decisions[:done]}
        if not stored:
            return []
        with self._database.reading() as connection:
            return [row for row in index_store.pending_rows(connection) if row.file_path in stored]

    def _candidate(self, kept: Staged) -> identity.Candidate:
        file = self._scan.files[kept.file_path]
        root = self._scan.root_paths[self._scan.root_of[file.path]]
        return identity.Candidate(file.path, file.relative, root, file.stamp, kept.table_hash, kept.content_hash)

    def _store_missing(self, astray: Sequence[KnownRow], decisions: Sequence[identity.Decision]) -> None:
        """First of all, clear the paths: whoever is not where it was leaves its path free for the one that is there."""
        new_path = {decision.entry.seq: decision.candidate.path for decision in decisions if decision.entry}
        here = self._scan.root_paths
        lost = [row for row in astray if row.id not in new_path and (row.root_id in here)]
        newly = [row for row in lost if row.state == "present"]
        moving = [
            row for row in astray if row.state == "present" and new_path.get(row.id, row.file_path) != row.file_path
        ]
        self._missing = len(lost)
        if newly or moving:
            with self._database.writing() as connection:
                at = rows.now()
                index_store.mark_missing(connection, newly, at, noted=True)
                index_store.mark_missing(connection, moving, at, noted=False)

    def _store_batch(
        self,
        batch: Sequence[identity.Decision],
        by_id: dict[int, KnownRow],
        staged: dict[str, Staged],
        assigner: IdAssigner,
    ) -> None:
        with self._database.writing() as connection:
            at = rows.now()
            file_paths = [decision.candidate.path for decision in batch]
            encoded = index_store.staged_columns(connection, file_paths)
            new = []
            for decision in batch:
                path = decision.candidate.path
                columns = decode(encoded[path])
                known = by_id.get(decision.entry.seq) if decision.entry else None
                self._outcome[path] = _outcome_of(decision, columns, known)
                if columns["error"] is not None:
                    self._problems.append(PathProblem(path, columns["error"], columns["error_code"]))
                if known is not None and columns["error_code"] in TRANSIENT:
                    if known.error_code != columns["error_code"]:
                        index_store.mark_stale(connection, {known.id: columns["error"]}, at)
                    continue
                place = self._place(path, staged[path].hint)
                if known is not None:
                    moved = decision.change == "moved"
                    index_store.update_entry(connection, known, place, columns, at, moved=moved)
                elif columns["error_code"] != GONE:
                    seq = decision.entry.seq if decision.entry else None
                    prefix = prefix_of(columns["base_model_code"], columns["category_code"])
                    stable_id = decision.entry.stable_id if decision.entry else assigner.next_id(prefix)
                    new.append((stable_id, seq, place, columns))
            index_store.add_entries(connection, new, at)
            index_store.delete_staged(connection, file_paths)

    def _place(self, path: str, hint: str) -> Place:
        file = self._scan.files[path]
        return Place(path, file.relative, self._scan.root_of[path], file.stamp, hint)

    # --- reading the data of large files

    def _measure(self, pending: Sequence[KnownRow]) -> None:
        by_path = {row.file_path: row for row in pending}
        files = [self._scan.files[path] for path in by_path]
        tasks = [self._task(file, measure=True) for file in sorted(files, key=lambda f: paths.sort_key(f.relative))]

        def store(results: Sequence[Inspected]) -> None:
            with self._database.writing() as connection:
                at = rows.now()
                for result in results:
                    if result.error is not None:
                        self._outcome[result.path] = "failed"
                        self._problems.append(PathProblem(result.path, result.error, result.error_code or "unreadable"))
                    index_store.store_measurement(connection, by_path[result.path], result.decoded(), at)

        self._run_pass("data", tasks, store)

    # --- shared by the passes

    def _run_pass(self, phase: ScanPhase, tasks: Sequence[Task], store: Callable[[Sequence[Inspected]], None]) -> None:
        """Inspect in the executor and store in the tasks' order, every so many files, seconds or bytes."""
        if not tasks:
            return
        sizes = {task.path: self._scan.files[task.path].stamp.size for task in tasks}
        total_bytes = sum(sizes.values())
        done = done_bytes = held = 0
        waiting: list[Inspected] = []
        last_commit = time.monotonic()
        self._tell(phase, 0, len(tasks), 0, total_bytes, force=True)
        for result in run_tasks(self._executor, tasks, sizes, self._options.inspector, self._should_stop):
            waiting.append(result)
            done += 1
            done_bytes += sizes[result.path]
            held += len(result.columns)
            late = time.monotonic() - last_commit >= COMMIT_SECONDS
            if late or len(waiting) >= COMMIT_FILES or held >= COMMIT_BYTES:
                store(waiting)
                waiting, held = [], 0
                last_commit = time.monotonic()
            self._tell(phase, done, len(tasks), done_bytes, total_bytes, path=result.path)
        if waiting:
            store(waiting)
        self._stopped = done < len(tasks)
        self._tell(phase, done, len(tasks), done_bytes, total_bytes, force=True)

    def _tell(
        self,
        phase: ScanPhase,
        done: int,
        total: int,
        done_bytes: int = 0,
        total_bytes: int = 0,
        *,
        path: str | None = None,
        force: bool = False,
    ) -> None:
        moment = time.monotonic()
        if not force and moment - self._last_event < EVENT_SECONDS:
            return
        self._last_event = moment
        counts = {"missing": self._missing, "duplicates": self._duplicates, **self._counts()}
        self._on_event(ProgressEvent(phase, done, total, done_bytes, total_bytes, path, counts, moment - self._began))


def _tables(staged: dict[str, Staged]) -> Collection[str | None]:
    return {kept.table_hash for kept in staged.values()} - {None}


def _outcome_of(decision: identity.Decision, columns: dict[str, Any], known: KnownRow | None) -> str:
    if columns["error"] is not None:
        return "failed"
    if known is None:
        return "added"
    return "moved" if decision.change == "moved" else "updated"


def _entry(row: KnownRow) -> identity.Entry:
    return identity.Entry(
        seq=row.id,
        stable_id=row.stable_id,
        path=row.file_path,
        relative=row.rel_path,
        present=row.state == "present",
        table_hash=row.table_hash,
        content_hash=row.content_hash,
        stamp=row.stamp,
    )


def _waiting_entry(entry: index_store.Waiting) -> identity.Entry:
    return identity.Entry(
        seq=entry.seq,
        stable_id=entry.stable_id,
        path=None,
        relative=entry.rel_path or "",
        present=False,
        table_hash=entry.table_hash,
        content_hash=entry.content_hash,
        stamp=None,
    )
