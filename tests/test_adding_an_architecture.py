"""docs/adding-an-architecture.md, followed to the letter in a copy of the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.inspector.key_lists import expand
from tests.inspector.lora_files import write

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "adding-an-architecture.md").read_text("utf-8")
TOML = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
FILES = re.findall(r"^`(pebble_\w+\.json)`.*?\n\n```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the steps of the page need, with the page's files in their places."""
    copy = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("ui_dist*", "__pycache__"))
    shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (toml,) = TOML
    registry = copy / "src" / "lora_weights_builder" / "inspector" / "registry"
    (registry / "pebble.toml").write_text(toml, "utf-8")
    for name, text in FILES:
        (copy / "tests" / "layouts" / name).write_text(text, "utf-8")
    return copy


def run(where: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Python with the copy's package, never this checkout's."""
    env = {**os.environ, "PYTHONPATH": str(where / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *command], cwd=where, env=env, capture_output=True, text=True, check=False)


def lora_file(folder: Path, case: dict[str, Any]) -> Path:
    """A file of small weights with the names and shapes of a data file."""
    tensors = {name: np.full(shape, 0.01) for name, shape in expand(case).items()}
    return write(folder / "pebble.safetensors", tensors, "F16", {"ss_base_model_version": "pebble-1"})


@pytest.mark.parametrize(("name", "text"), FILES, ids=[name for name, _ in FILES])
def test_the_captures_on_the_page_are_what_the_command_prints(
    checkout: Path, tmp_path: Path, name: str, text: str
) -> None:
    path = lora_file(tmp_path, json.loads(text))
    answer = run(checkout, "-m", "lora_weights_builder", "capture", path)
    printed = json.loads(answer.stdout)
    assert printed.pop("metadata") == {"ss_base_model_version": "pebble-1"}
    assert printed == json.loads(text)
    assert name.startswith(f"{printed['layout']}__")


def test_before_the_entry_the_file_is_not_recognised_and_its_rows_are_those_of_the_page(tmp_path: Path) -> None:
    path = lora_file(tmp_path, json.loads(FILES[0][1]))
    answer = run(ROOT, "-m", "lora_weights_builder", "capture", path)
    assert json.loads(answer.stdout)["expected"] is None
    (shown,) = re.findall(r"^```console\n(\{.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert all(f"  {line}\n" in answer.stdout for line in shown.splitlines())


def test_with_the_entry_the_file_is_recognised_and_measured(checkout: Path, tmp_path: Path) -> None:
    path = lora_file(tmp_path, json.loads(FILES[0][1]))
    found = json.loads(run(checkout, "-m", "lora_weights_builder", "inspect", "--json", path).stdout)
    assert (found["architecture"], found["architecture_evidence"]) == ("pebble", "tensors")
    assert (found["block_layout"], found["base_model_code"], found["unmatched_tensor_count"]) == (
        "pebble_transformer_6",
        "PBL",
        0,
    )
    assert [block["label"] for block in found["blocks"]] == ["SH00", "SH01", "DP00", "DP01", "DP02", "DP03"]
    assert all(block["raw_strength"] > 0 for block in found["blocks"])


def test_the_tests_of_layouts_take_the_data_files_as_they_are(checkout: Path) -> None:
    answer = run(
        checkout, "-m", "pytest", "-q", "tests/inspector/test_layout_files.py", "-k", "pebble or placed or data_file"
    )
    assert answer.returncode == 0, answer.stdout
    assert re.search(r"\b\d+ passed", answer.stdout)
