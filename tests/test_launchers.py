"""The launchers under the file names of the original workflow, run as scripts run them, in a copy of their folder."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from lora_weights_builder.library.catalog import Catalog

ROOT = Path(__file__).resolve().parents[1]
LAUNCHERS = [
    "phase2_smoke_check",
    "lora_api_server",
    "lora_indexer",
    "lora_id_assigner",
    "delta_inspector_engine",
    "block_layouts",
]
HEALTHY = """\
[CHECK] Flux rows with null block_layout
  value=0
  PASS

[CHECK] Duplicate stable_id groups
  value=0
  PASS
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but the launchers, so that no test meets a real catalogue."""
    shutil.copytree(ROOT / "Database", tmp_path / "Database", ignore=shutil.ignore_patterns("*.db*", "__pycache__"))
    return tmp_path


def run(checkout: Path, launcher: str, *arguments: str | Path, python: tuple[str, ...] = (sys.executable,)) -> Done:
    """Runs a launcher from the checkout's root."""
    env = {**os.environ, "PYTHONPATH": "", "LWB_DB": str(checkout / "not-this-one.db")}
    return subprocess.run(
        [*python, f"Database/backend/{launcher}.py", *map(str, arguments)],
        cwd=checkout, env=env, capture_output=True, text=True, encoding="utf-8", timeout=100,
    )  # fmt: skip


Done = subprocess.CompletedProcess[str]


@pytest.fixture
def library(checkout: Path) -> Path:
    """The demo library, beside the launchers."""
    folder = checkout / "library"
    command = [sys.executable, "-m", "lora_weights_builder", "demo", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    return folder


@pytest.mark.parametrize("launcher", ["phase2_smoke_check", "lora_id_assigner"])
def test_without_a_catalogue_nothing_passes(checkout: Path, launcher: str) -> None:
    done = run(checkout, launcher)
    assert done.returncode == 2
    assert "PASS" not in done.stdout
    assert "there is no catalogue at" in done.stderr
    assert not (checkout / "Database" / "lora_master.db").exists()


@pytest.mark.parametrize("launcher", ["lora_indexer", "lora_api_server"])
def test_without_roots_or_a_catalogue_that_knows_some_it_is_a_usage_error(checkout: Path, launcher: str) -> None:
    done = run(checkout, launcher)
    assert (done.returncode, done.stdout) == (2, "")
    assert not (checkout / "Database" / "lora_master.db").exists()


@pytest.mark.parametrize("launcher", ["lora_indexer", "lora_api_server"])
def test_a_catalogue_without_saved_roots_is_a_usage_error(checkout: Path, launcher: str) -> None:
    Catalog.open(str(checkout / "Database" / "lora_master.db")).close()
    done = run(checkout, launcher)
    assert done.returncode == 2
    assert "no library folder was given" in done.stderr


def test_index_then_check_then_ids_on_the_catalogue_beside_them(checkout: Path, library: Path) -> None:
    indexed = run(checkout, "lora_indexer", library, "--json")
    assert indexed.returncode == 0, indexed.stderr
    assert (checkout / "Database" / "lora_master.db").is_file()
    assert not (checkout / "not-this-one.db").exists()
    checked = run(checkout, "phase2_smoke_check")
    assert checked.returncode == 0
    assert checked.stdout.startswith(HEALTHY)
    assert "FAIL" not in checked.stdout
    ledger = run(checkout, "lora_id_assigner")
    assert ledger.returncode == 0
    assert '"FLX-' in ledger.stdout
    again = run(checkout, "lora_indexer", "--json")  # the saved roots
    assert again.returncode == 0, again.stderr
    assert '"added":0' in again.stdout.replace(" ", "")


def test_one_file_is_inspected_without_a_catalogue(checkout: Path, library: Path) -> None:
    file = sorted(library.rglob("*.safetensors"))[0]
    done = run(checkout, "delta_inspector_engine", file, "--json")
    assert done.returncode == 0, done.stderr
    assert f'"{file.name}"' in done.stdout
    assert not (checkout / "Database" / "lora_master.db").exists()


def test_a_database_named_in_the_call_wins(checkout: Path, library: Path) -> None:
    done = run(checkout, "lora_indexer", library, "--json", "--db", checkout / "other.db")
    assert done.returncode == 0, done.stderr
    assert (checkout / "other.db").is_file()
    assert not (checkout / "Database" / "lora_master.db").exists()


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_help_needs_no_catalogue(checkout: Path, launcher: str) -> None:
    done = run(checkout, launcher, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: lwb" in done.stdout


def test_a_python_without_the_package_hands_over_to_the_checkouts_environment(checkout: Path) -> None:
    venv.create(checkout / ".venv", with_pip=False, symlinks=os.name != "nt")
    packages = next((checkout / ".venv").rglob("site-packages"))
    # What an install would have put there.
    lines = [str(ROOT / "src"), *site.getsitepackages()]
    (packages / "project.pth").write_text("\n".join(lines), "utf-8")
    done = run(checkout, "block_layouts", python=(sys.executable, "-S"))
    assert done.returncode == 0, done.stderr
    assert "flux_unet_57" in done.stdout


def test_a_python_without_the_package_and_no_environment_says_what_to_run(checkout: Path) -> None:
    done = run(checkout, "phase2_smoke_check", python=(sys.executable, "-S"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "Run `python3 dev.py up`" in done.stderr
