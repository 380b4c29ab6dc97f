"""One file or a handful inspected in a worker, and the result in a form that is cheap to send back and to store.

This is the boundary that must survive anything: whatever goes wrong with a file, even in the inspector itself, comes
back as a record with a reason. How workers run is in ``workers.py``.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import orjson

from lora_weights_builder.library import paths, rows
from lora_weights_builder.records import FolderHint, LoraRecord

TRANSIENT: Final = frozenset(
    {"permission_denied", "io_error", "not_found", "changed_during_scan", "worker_died", "timed_out"}
)
"""Error codes that say nothing about the content: an earlier row is kept, and the next scan tries again."""

FACTS: Final = "module_facts"  # among the decoded columns, although a table of its own holds it
_END_OF_JSON: Final = b"\n"  # compact JSON has none, so the bytes after the first are the facts as they are


class Inspector(Protocol):
    """What inspects a file; must be importable by name, because workers are other processes."""

    def __call__(self, path: str, *, hint: FolderHint | None, lora_name: str | None, measure: bool) -> LoraRecord: ...


@dataclass(frozen=True, slots=True)
class Task:
    """A file to inspect: ``path`` storable, ``os_path`` where to read it; ``measure`` false reads the header only."""

    path: str
    os_path: str
    relative: str
    hint: FolderHint
    measure: bool


@dataclass(frozen=True, slots=True)
class Inspected:
    """What came out: the few values that identity needs; in ``columns`` all that is stored, see :func:`decode`."""

    path: str
    measured: bool
    table_hash: str | None
    content_hash: str | None
    error: str | None
    error_code: str | None
    columns: bytes

    def decoded(self) -> dict[str, Any]:
        """What is stored of the file, see :func:`decode`."""
        return decode(self.columns)


def decode(columns: bytes) -> dict[str, Any]:
    """The columns of ``lora`` that come from the file, and under :data:`FACTS` its packed module facts or ``None``."""
    text, _, facts = columns.partition(_END_OF_JSON)
    decoded: dict[str, Any] = orjson.loads(text)
    decoded[FACTS] = facts or None
    return decoded


def inspect_all(tasks: Sequence[Task], inspector: Inspector | None = None) -> list[Inspected]:
    """Inspect files one after the other, in a worker; results are in the tasks' order."""
    if inspector is None:
        # Only here, because it loads the arithmetic, which a process that merely reads the catalogue does without.
        from lora_weights_builder.inspector.delta_inspector import inspect

        inspector = inspect
    with _without_collection():
        return [_inspect_one(task, inspector) for task in tasks]


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Reading headers makes objects by the thousand, none of them in a cycle; the search for cycles among them would
    cost a third of the time. It is put off to the end of the chunk, whose size is bounded."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _inspect_one(task: Task, inspector: Inspector) -> Inspected:
    try:
        record = inspector(task.os_path, hint=task.hint, lora_name=paths.lora_name(task.relative), measure=task.measure)
        return _encode(task, record)
    except Exception as fault:  # the named boundary: a slip of the program costs this file only
        return failure(task, f"{type(fault).__name__}: {fault}", "internal_error")


def failure(task: Task, reason: str, code: str) -> Inspected:
    """The result for a file whose inspection did not come to an end."""
    name = task.relative.rpartition("/")[2]
    record = LoraRecord(
        file_path=task.path,
        filename=name,
        size_bytes=0,
        base_model_code=task.hint.base_model_code or "UNK",
        base_model_name=task.hint.base_model_name,
        error=f"{paths.display(name)}: {reason}",
        error_code=code,
    )
    return _encode(task, record)


def _encode(task: Task, record: LoraRecord) -> Inspected:
    if record.error is not None and record.error_code is None:
        record = replace(record, error_code="unreadable")
    columns = rows.columns(record, task.hint)
    return Inspected(
        path=task.path,
        measured=record.measured,
        table_hash=record.table_hash,
        content_hash=record.content_hash,
        error=columns["error"],
        error_code=record.error_code,
        columns=_END_OF_JSON.join((rows.dumps(columns).encode(), record.module_facts or b"")),
    )
