"""The demo library, written once for all tests of this folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from lora_weights_builder.demo import WrittenLibrary, write_library


@dataclass(frozen=True)
class Timed:
    """The library and how long it took to write."""

    library: WrittenLibrary
    seconds: float


@pytest.fixture(scope="session")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    began = time.perf_counter()
    library = write_library(tmp_path_factory.mktemp("demo") / "library")
    return Timed(library, time.perf_counter() - began)


@pytest.fixture
def root(timed: Timed) -> Path:
    return timed.library.folder
