"""What the archives hold: a wheel that misses a data file fails only on users' machines."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "lora_weights_builder"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist of the tree as it is; the interface is not built for it."""
    folder = tmp_path_factory.mktemp("archives")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "LWB_SKIP_UI": "1"}, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return folder


def package_files() -> set[str]:
    """Every file of the package as it lies in the tree, the built interface included."""
    return {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "ui_dist.new" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_package(archives: Path) -> None:
    with zipfile.ZipFile(next(archives.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        entry_points = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        assert "lwb = lora_weights_builder.cli.main:main" in wheel.read(entry_points).decode()
    assert names == package_files()
    assert {"lora_weights_builder/py.typed", "lora_weights_builder/library/conventions.toml"} <= names
    assert any(name.endswith(".toml") and "/inspector/registry/" in name for name in names)
    assert any("/library/migrations/" in name for name in names)


def test_the_sdist_holds_what_a_build_from_it_needs(archives: Path) -> None:
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in package_files()} <= names
    assert {"pyproject.toml", "hatch_build.py", "scripts/build_ui.py", "README.md", "LICENSE"} <= names
    assert {"ui/package.json", "ui/package-lock.json", "ui/index.html", "ui/vite.config.ts"} <= names
    assert not any("node_modules" in name or name.endswith((".db", ".safetensors")) for name in names)
