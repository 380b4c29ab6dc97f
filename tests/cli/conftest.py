"""A small library of demo files, indexed once, and a way to run command lines in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_weights_builder.cli.main import main
from lora_weights_builder.demo.library_writer import file_bytes, plan
from tests.cli.support import FILES, Answer, Lwb


@pytest.fixture
def lwb(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lwb:
    """``lwb("search", "coat")``: run a command line against a database of this test's own, unless it names another."""
    monkeypatch.setenv("LWB_DB", str(tmp_path / "lora_master.db"))
    monkeypatch.setenv("LWB_JOBS", "1")
    monkeypatch.setenv("LWB_CONVENTIONS", str(tmp_path / "conventions.toml"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(leaving.value.code, int)
        return Answer(leaving.value.code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's root; tests that change files copy it first."""
    root = tmp_path_factory.mktemp("library") / "loras"
    planned = {file.path: file for file in plan()}
    for path in FILES:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(file_bytes(planned[path]))
    return root


@pytest.fixture
def indexed(lwb: Lwb, folder: Path) -> Lwb:
    """``lwb`` with the library already in its database."""
    assert lwb("index", folder).code == 0
    return lwb
