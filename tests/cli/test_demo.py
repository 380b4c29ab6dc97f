"""``lwb demo``: writes the library, refuses what is not its own."""

from __future__ import annotations

from pathlib import Path

from tests.cli.support import Lwb


def test_it_writes_and_says_what_comes_next(lwb: Lwb, tmp_path: Path) -> None:
    answer = lwb("demo", tmp_path / "new" / "library")
    assert answer.code == 0
    assert answer.out == ""
    assert answer.err.splitlines()[-1] == f"Next: lwb serve {tmp_path / 'new' / 'library'}"
    assert len(list((tmp_path / "new").rglob("*.safetensors"))) == 65


def test_a_folder_with_other_files_is_refused(lwb: Lwb, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    answer = lwb("demo", tmp_path)
    assert answer.code == 8
    assert "--force" in answer.err
    assert not list(tmp_path.rglob("*.safetensors"))
