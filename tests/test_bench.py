"""The benchmarks run, on little, and say beside each figure what it is held to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import detection, large_library
from bench.marks import load_marks, strengths_mark
from lora_weights_builder.inspector.tensor_file import read_header


def test_there_are_enough_distinct_key_lists() -> None:
    assert len(detection.key_lists()) >= 50


def test_a_written_header_is_that_of_its_key_list(tmp_path: Path) -> None:
    detection.write_header(tmp_path / "a.safetensors", {"x.lora_down.weight": [4, 8], "x.lora_up.weight": [8, 4]})
    header = read_header(tmp_path / "a.safetensors")
    assert [(tensor.name, tensor.shape) for tensor in header.tensors] == [
        ("x.lora_down.weight", (4, 8)), ("x.lora_up.weight", (8, 4)),
    ]  # fmt: skip


def test_detection_is_measured_and_reported_with_its_mark() -> None:
    result = detection.run(rounds=1, copies=1, most=4)
    assert result["key_lists"] == 4
    for times in result["steps_ms"].values():
        assert set(times) == {"whole", "parse", "group", "match", "base model, metadata", "orjson"}
        assert min(times.values()) > 0
    assert {order: found["files"] for order, found in result["headers_index"].items()} == {"together": 4, "apart": 4}
    for line in detection.report(result).splitlines()[-2:]:
        assert "(>= 0.40, goal 0.80)" in line


@pytest.mark.parametrize(
    ("value", "shown"), [(0.42, "0.42 (>= 0.40, goal 0.80)"), (0.2, "0.20 (>= 0.40, goal 0.80) MISSED")]
)
def test_a_figure_that_misses_its_mark_says_so(value: float, shown: str) -> None:
    assert load_marks()["headers_index"].beside(value) == shown


def test_strengths_have_marks_up_to_rank_32() -> None:
    marks = [strengths_mark(rank) for rank in (4, 16, 32, 64)]
    assert [mark and mark.mark for mark in marks] == [0.35, 0.35, 0.30, None]


def test_a_large_library_is_made_and_asked(tmp_path: Path) -> None:
    result = large_library.run(tmp_path / "large.db", entries=120, rounds=1)
    assert result["entries"] == 120
    assert {"first page", "last page", "one tag", "facets"} <= set(result["milliseconds"])
    assert min(result["milliseconds"].values()) > 0
    assert large_library.report(result).splitlines()[0].startswith("120 entries, ")
