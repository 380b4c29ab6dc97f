"""Who may write: a short lock around every write transaction, and the lease that one indexer holds for its run.

Both are locks of the operating system on files beside the database, so a killed process frees them.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from lora_weights_builder.errors import Busy, CatalogError

WRITE_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.005


@contextlib.contextmanager
def write_lock(database: Path) -> Iterator[None]:
    """Held during one write transaction, of whatever process. Raises CatalogError where it is not freed in a minute."""
    lock = FileLock(f"{database}.write-lock", timeout=WRITE_TIMEOUT_S, poll_interval=_POLL_S)
    try:
        lock.acquire()
    except Timeout as fault:
        raise CatalogError(
            f"Another process has been writing to {database} for {WRITE_TIMEOUT_S:.0f} seconds; try again later.",
            subject=str(database),
        ) from fault
    except OSError as fault:
        raise CatalogError(
            f"The lock file {database}.write-lock cannot be made: {fault.strerror}.", subject=str(database)
        ) from fault
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def index_lease(database: Path) -> Iterator[None]:
    """Held while indexing (or importing ids): one holder at a time.

    Raises:
        Busy: somebody else holds it; the message names process, machine and since when.
    """
    lock = FileLock(f"{database}.index-lease", timeout=0)
    holder = Path(f"{database}.index-holder")
    try:
        lock.acquire()
    except Timeout as fault:
        raise Busy(
            f"The library of {database} is being indexed by {_holder(holder)}; wait until that is done.",
            subject=str(database),
        ) from fault
    except OSError as fault:
        raise CatalogError(
            f"The lock file {database}.index-lease cannot be made: {fault.strerror}.", subject=str(database)
        ) from fault
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        held = json.loads(path.read_text())
        return f"process {held['pid']} on {held['host']} since {held['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has only just begun and not yet said who it is
