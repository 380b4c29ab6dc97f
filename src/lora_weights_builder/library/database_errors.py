"""What the database driver's errors mean to people, and what they can do. Everything that opens a database uses it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from lora_weights_builder.errors import CatalogError

_SENTENCES: Final = (
    ("disk image is malformed", "is damaged; restore a copy with `lwb restore` or index anew into another file"),
    ("file is not a database", "is not a database; choose another file with --db, or remove it"),
    ("disk is full", "cannot grow because the disk is full; free some space and run again, nothing committed is lost"),
    ("readonly database", "cannot be written; make the file and its folder writable"),
    ("database is locked", "is locked by another program; close that and try again"),
    ("unable to open", "cannot be opened; look at the permissions of the file and its folder"),
    ("disk I/O error", "cannot be read or written (disk I/O error); look at the disk"),
)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the database driver's errors into a :class:`CatalogError` that names the file and what to do."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as fault:
        cause: Any = fault.orig if isinstance(fault, sa.exc.DBAPIError) else fault
        text = str(cause)
        if isinstance(cause, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError):
            raise  # a slip of this program, not a state of the file
        sentence = next((sentence for mark, sentence in _SENTENCES if mark in text), f"cannot be used: {text}")
        raise CatalogError(f"The database {path} {sentence}.", subject=str(path)) from fault
    except OSError as fault:
        if fault.filename is not None and os.fspath(fault.filename).startswith(str(path)):
            raise CatalogError(f"The database {path} cannot be used: {fault.strerror}.", subject=str(path)) from fault
        raise
