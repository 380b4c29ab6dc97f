"""Starts ``browser.mjs``, which holds the scenarios, with the browser and Node that this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("browser.mjs")
BROWSER_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SCENARIO_SECONDS = 110


def _required(variable: str, *names: str) -> str:
    found = os.environ.get(variable) or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail(f"The end-to-end tests need {names[0]} on PATH, or its path in {variable}.")
    return found


@dataclass(frozen=True)
class Browser:
    """Runs scenarios of ``browser.mjs`` against one server."""

    address: str
    screenshots: Path

    def run(self, scenario: str) -> None:
        """Fails with what the scenario printed where it failed."""
        environment = {
            **os.environ,
            "CHROME": _required("CHROME", *BROWSER_NAMES),
            "LWB_E2E_URL": self.address,
            "LWB_E2E_SHOTS": str(self.screenshots),
        }
        done = subprocess.run(
            [_required("LWB_NODE", "node"), SCRIPT, scenario],
            env=environment, capture_output=True, text=True, timeout=SCENARIO_SECONDS,
        )  # fmt: skip
        if done.returncode != 0:
            pytest.fail(f"{scenario} failed; screenshots in {self.screenshots}\n{done.stdout}{done.stderr}")
