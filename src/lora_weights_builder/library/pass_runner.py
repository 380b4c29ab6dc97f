"""Feeds files to an executor and gives the results back in order, with bounded memory and no file lost to another.

Small files travel in chunks, because a round trip to a worker costs as much as inspecting one. Where a chunk's worker
dies, its files are tried again one by one, so only the one that kills gets a record that says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Final

from lora_weights_builder.library.inspections import Inspected, Inspector, Task, failure, inspect_all
from lora_weights_builder.library.workers import Executor, WorkerLost

CHUNK_FILES: Final = 32
CHUNK_BYTES: Final = 4 << 20
HEADER_BYTES: Final = 100_000  # what a header pass reads of a file, about
QUEUED_PER_WORKER: Final = 3


def run_tasks(
    executor: Executor,
    tasks: Sequence[Task],
    sizes: Mapping[str, int],
    inspector: Inspector | None,
    should_stop: Callable[[], bool],
) -> Iterator[Inspected]:
    """Results in the order of the tasks; ends early, after what is under way, once ``should_stop`` says so.

    Args:
        sizes: bytes of each file, by path; decides what travels together.
    """
    chunks = _chunks(tasks, sizes, executor.workers)
    under_way: deque[tuple[list[Task], Future[list[Inspected]]]] = deque()
    room = 1 if executor.workers == 1 else executor.workers * QUEUED_PER_WORKER
    stopped = False
    while True:
        while not stopped and len(under_way) < room:
            stopped = should_stop()
            chunk = None if stopped else next(chunks, None)
            if chunk is None:
                break
            under_way.append((chunk, executor.submit(inspect_all, chunk, inspector)))
        if not under_way:
            return
        chunk, future = under_way.popleft()
        yield from _outcome(executor, chunk, future, inspector)


def _outcome(
    executor: Executor, chunk: list[Task], future: Future[list[Inspected]], inspector: Inspector | None
) -> Iterator[Inspected]:
    try:
        yield from future.result()
    except WorkerLost as loss:
        if len(chunk) == 1:
            yield failure(chunk[0], str(loss), loss.code)
            return
        for task in chunk:
            yield from _outcome(executor, [task], executor.submit(inspect_all, [task], inspector), inspector)


def _chunks(tasks: Sequence[Task], sizes: Mapping[str, int], workers: int) -> Iterator[list[Task]]:
    most = max(1, min(CHUNK_FILES, len(tasks) // (workers * 4)))
    chunk: list[Task] = []
    weight = 0
    for task in tasks:
        cost = sizes[task.path] if task.measure else min(sizes[task.path], HEADER_BYTES)
        if chunk and (len(chunk) >= most or weight + cost > CHUNK_BYTES):
            yield chunk
            chunk, weight = [], 0
        chunk.append(task)
        weight += cost
    if chunk:
        yield chunk
