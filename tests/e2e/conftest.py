"""A real server on a small real library, and a real browser driven by ``browser.mjs``.

A missing browser, Node or built interface fails the tests: skipped ones would look like passed ones.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_weights_builder.config import UI_DIRECTORY
from tests.e2e.browser import Browser


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo library, indexed: the database's path. The LoRAs lie beside it."""
    folder = tmp_path_factory.mktemp("library")
    database = folder / "e2e.db"
    for arguments in (["demo", str(folder / "loras")], ["index", str(folder / "loras"), "--db", str(database)]):
        _lwb(*arguments)
    return database


def _lwb(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lora_weights_builder", *arguments], capture_output=True, text=True, timeout=110
    )
    if done.returncode != 0:
        pytest.fail(f"lwb {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@pytest.fixture(scope="session")
def address(library: Path) -> Iterator[str]:
    """The address of a server on the indexed library."""
    if not (UI_DIRECTORY / "index.html").is_file():
        pytest.fail(f"No built interface in {UI_DIRECTORY}; `npm run build` in ui/ makes one.")
    log = library.with_name("serve.log")
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "lora_weights_builder", "serve", "--no-open", "--port", "0", "--db", str(library)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            yield _address_from(server, log)
        finally:
            server.terminate()
            server.communicate(timeout=20)
            output.flush()


def _address_from(server: subprocess.Popen[str], log: Path) -> str:
    assert server.stdout is not None
    lines: list[str] = []
    for line in server.stdout:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    return pytest.fail(f"The server ended without telling its address ({log}):\n{''.join(lines)}")


@pytest.fixture(scope="session")
def browser(address: str, tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A browser for the server, with a folder of its own for screenshots."""
    return Browser(address, tmp_path_factory.mktemp("screenshots"))
