"""The marks that figures are held to, read from ``marks.toml``, and how one is printed beside its figure."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Mark:
    """A ratio to reach: at least or at most ``mark``; ``goal`` is what lies beyond."""

    id: str
    title: str
    at: Literal["least", "most"]
    mark: float
    goal: float

    def reached(self, value: float) -> bool:
        """Whether a figure is on the good side."""
        return value >= self.mark if self.at == "least" else value <= self.mark

    def beside(self, value: float) -> str:
        """``0.42 (>= 0.35, goal 0.85)``; a figure that misses its mark says so."""
        sign = ">=" if self.at == "least" else "<="
        verdict = "" if self.reached(value) else " MISSED"
        return f"{value:.2f} ({sign} {self.mark:.2f}, goal {self.goal:.2f}){verdict}"


def load_marks() -> dict[str, Mark]:
    """All marks by id."""
    entries = tomllib.loads((Path(__file__).parent / "marks.toml").read_text(encoding="utf-8"))["marks"]
    return {entry["id"]: Mark(**entry) for entry in entries}


def strengths_mark(rank: int) -> Mark | None:
    """The mark of a file's strengths; there is none beyond rank 32."""
    marks = load_marks()
    return marks["strengths_rank_16"] if rank <= 16 else marks["strengths_rank_32"] if rank <= 32 else None
