"""Build hook: puts the built web interface into the wheel and the sdist.

Nothing happens where the present build is of the present sources, so the second of the two runs that installers make
costs nothing, and an sdist (which carries the build) installs without Node. ``LWB_SKIP_UI=1`` leaves the interface out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import build_ui


class UiBuildHook(BuildHookInterface[Any]):
    """Builds ``ui/`` before the files of an archive are collected."""

    def dependencies(self) -> list[str]:
        """A private Node, only where there is something to build and nothing to build it with."""
        if self._nothing_to_do() or build_ui.find_node() is not None:
            return []
        return [build_ui.node_requirement()]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds, or ends the build with one sentence that says what is missing."""
        if self._nothing_to_do():
            return
        try:
            build_ui.build(build_ui.find_node())
        except build_ui.UiBuildError as error:
            self.app.abort(f"lora-weights-builder: {error}")

    @staticmethod
    def _nothing_to_do() -> bool:
        return os.environ.get("LWB_SKIP_UI", "") not in {"", "0"} or build_ui.is_current()
