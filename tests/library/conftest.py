"""A library folder and a real database for each test, and the indexer with the stand-in inspector."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.records import ScanSummary
from tests.library import stand_in
from tests.library.library_files import RunIndex

# Windows has no user to become whom chmod would stop.
collect_ignore = [] if os.name == "posix" else ["test_without_rights.py"]


@pytest.fixture
def library(tmp_path: Path) -> Path:
    root = tmp_path / "library"
    root.mkdir()
    return root


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(tmp_path / "lora_master.db") as opened:
        yield opened


@pytest.fixture
def run(catalog: Catalog, library: Path) -> RunIndex:
    """Index the library with the stand-in inspector."""

    def run(*roots: Path, **options: object) -> ScanSummary:
        executor = options.pop("executor", None)
        options.setdefault("inspector", stand_in.inspect)
        return index(catalog, roots or (library,), executor=executor, options=IndexOptions(**options))  # type: ignore[arg-type]

    return run
