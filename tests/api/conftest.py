"""One small real library, indexed through the library's own functions, for all read-only tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.api.support import Running, make_library, make_settings, running


@pytest.fixture(scope="session")
def library_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("library") / "loras")


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory, library_root: Path) -> Iterator[Running]:
    """A server whose catalogue holds :func:`make_library`; tests only read from it."""
    with running(make_settings(tmp_path_factory.mktemp("indexed")), index_at_start=[library_root]) as server:
        server.app.state.jobs.wait(60)
        yield server


@pytest.fixture
def client(indexed: Running) -> Iterator[httpx2.Client]:
    with indexed.client() as one:
        yield one
