"""A chunk of files inspected in one go."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_weights_builder.library.inspections import Task, inspect_all
from lora_weights_builder.records import FolderHint, LoraRecord
from tests.library.library_files import write_lora


@pytest.fixture(autouse=True)
def _collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def inspect(
    path: str, *, hint: FolderHint | None = None, lora_name: str | None = None, measure: bool = True
) -> LoraRecord:
    """Says whether the collector was at work, or slips."""
    if "slip" in path:
        raise ZeroDivisionError
    return LoraRecord(path, Path(path).name, 0, error=f"collecting: {gc.isenabled()}")


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_rests_during_a_chunk_and_is_afterwards_what_it_was(tmp_path: Path, before: bool) -> None:
    tasks = [
        Task(str(path), str(path), path.name, FolderHint(), measure=False)
        for path in (write_lora(tmp_path / f"{name}.safetensors", name) for name in ("a", "slip"))
    ]
    if not before:
        gc.disable()
    found = inspect_all(tasks, inspect)
    assert [result.error for result in found] == [
        "collecting: False", "slip.safetensors: ZeroDivisionError: "
    ]  # fmt: skip
    assert gc.isenabled() is before
