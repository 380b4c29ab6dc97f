"""Finds the browser of the end-to-end tests; used by ``dev.py`` and by the tests themselves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

INSTALL_HINT: Final = (
    "no Chromium, Chrome or Edge found, which the end-to-end tests need. Install one (Debian: `apt install chromium`; "
    "Fedora: `dnf install chromium`; macOS: `brew install --cask chromium`; Windows has Edge) or name it in CHROME."
)
_NAMES: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_MACOS: Final = ("Google Chrome", "Chromium", "Microsoft Edge")
_WINDOWS: Final = ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")


def find_browser(env: Mapping[str, str] | None = None) -> Path | None:
    """``CHROME`` if set, else a Chromium, Chrome or Edge by name on ``PATH``, else in its usual place, else ``None``.

    Raises:
        FileNotFoundError: ``CHROME`` is set, but to nothing that can be run.
    """
    variables = os.environ if env is None else env
    search = variables.get("PATH", os.defpath)
    if chosen := variables.get("CHROME"):
        if found := shutil.which(chosen, path=search):
            return Path(found)
        raise FileNotFoundError(f"CHROME is {chosen!r}, which is not a program that can be run.")
    for name in _NAMES:
        if found := shutil.which(name, path=search):
            return Path(found)
    places = [Path(f"/Applications/{name}.app/Contents/MacOS/{name}") for name in _MACOS]
    for variable in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"):
        if folder := variables.get(variable):
            places += [Path(folder, place) for place in _WINDOWS]
    return next((place for place in places if place.is_file()), None)
