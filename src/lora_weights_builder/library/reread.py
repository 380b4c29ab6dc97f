"""Reads the file of one entry again, whatever its stamps say, with what lies beside it, and touches nothing else.

Only as long as the file is still what the entry was: once its content is another, or the file is gone, which entry is
which can be told from the whole root alone, and that is the indexer's part.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from lora_weights_builder.errors import NotFound
from lora_weights_builder.library import folders, index_store, paths, relations, rows, sidecar_run
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.conventions import Conventions, load_conventions
from lora_weights_builder.library.index_store import KnownRow, Place
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.inspections import Inspected, Task
from lora_weights_builder.library.locks import index_lease
from lora_weights_builder.library.pass_runner import run_tasks
from lora_weights_builder.library.workers import Executor, SerialExecutor
from lora_weights_builder.records import ProgressEvent, ScanSummary


def reread(
    catalog: Catalog,
    stable_id: str,
    *,
    executor: Executor | None = None,
    options: IndexOptions | None = None,
    on_event: Callable[[ProgressEvent], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ScanSummary:
    """Bring one entry up to what its file holds, reading it in full.

    The arguments are those of :func:`~lora_weights_builder.library.indexer.index`.

    Returns:
        What was found: one file, or those of its root where the entry is no longer what it was.

    Raises:
        NotFound: there is no such entry, or its root is no longer one of the library's.
        Busy: another process is indexing this database. CatalogError: the database cannot be written.
    """
    options = options or IndexOptions()
    with index_lease(catalog.path):
        with catalog.database.reading() as connection:
            roots = index_store.saved_roots(connection)
            known = index_store.known_row(connection, stable_id)
        if known is None:
            raise NotFound(f"No entry has the id {stable_id!r}.", subject=stable_id)
        if known.root_id not in roots:
            raise NotFound(
                f"The root that {stable_id!r} was found in is no longer one of the library's.", subject=stable_id
            )
        done = _in_place(catalog, known, roots, executor or SerialExecutor(), options, should_stop or (lambda: False))
    return done or index(
        catalog,
        [paths.to_os(roots[known.root_id])],
        executor=executor,
        options=replace(options, again=frozenset({known.file_path})),
        on_event=on_event,
        should_stop=should_stop,
    )


def _in_place(
    catalog: Catalog,
    known: KnownRow,
    roots: dict[int, str],
    executor: Executor,
    options: IndexOptions,
    should_stop: Callable[[], bool],
) -> ScanSummary | None:
    """Read the entry's file; ``None`` where it is not, or may not be, what the entry was."""
    began = time.monotonic()
    listed = [paths.to_os(root) for root in roots.values()]
    try:
        found = folders.look(known.file_path, known.rel_path, listed_roots=listed)
    except OSError:
        return None
    if known.state != "present" or found is None:
        return None
    conventions: Conventions = options.conventions or load_conventions()
    hint = conventions.hint(found.relative)
    task = Task(found.path, found.os_path, found.relative, hint, measure=True)
    results = list(run_tasks(executor, [task], {found.path: found.stamp.size}, options.inspector, should_stop))
    if not results:
        return ScanSummary(stopped=True, seconds=time.monotonic() - began)
    [result] = results
    place = Place(found.path, found.relative, known.root_id, found.stamp, rows.hint_text(hint))
    if not _is_the_same(known, place, result):
        return None
    with catalog.database.writing() as connection:
        if known.measured:
            index_store.update_entry(connection, known, place, result.decoded(), rows.now(), moved=False)
        else:
            index_store.store_measurement(connection, known, result.decoded(), rows.now())
    with contextlib.suppress(OSError):  # what is known of a folder that cannot be listed now stays as it is
        beside = folders.look_beside(found.path, listed_roots=listed)
        sidecar_run.settle(catalog.database, [found.path], {found.path: beside} if beside else {}, should_stop)
    duplicates = relations.settle(catalog.database)
    return ScanSummary(discovered=1, updated=1, duplicates=duplicates, seconds=time.monotonic() - began)


def _is_the_same(known: KnownRow, place: Place, result: Inspected) -> bool:
    if result.content_hash is None or result.error is not None:
        return False
    if known.measured:
        return result.content_hash == known.content_hash
    # Its data has not been read before, so there is no hash to compare; nothing else may have changed.
    unchanged = place.stamp == known.stamp and place.hint == known.hint
    return known.error_code is None and unchanged and result.table_hash == known.table_hash
