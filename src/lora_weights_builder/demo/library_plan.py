"""Which files the demo library holds, read from ``library_plan.toml``.

Only the wish list: what numbers and keys a recipe comes to is worked out in ``planted_files``.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from lora_weights_builder.demo.planted_factors import StoredDtype

Naming = Literal["kohya", "kohya_diffusers", "diffusers", "comfyui", "onetrainer"]
Adapter = Literal["lora", "locon", "loha", "lokr", "dora", "full"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file. The fields are those of ``library_plan.toml``, which says what they mean.

    ``rank`` is ``None`` where the factors are not decomposed, ``alpha`` where none is written (scale 1).
    """

    folder: str
    name: str
    architecture: str
    naming: Naming
    profile: str
    adapter: Adapter = "lora"
    modules: tuple[str, ...] = ()
    rank: int | None = 1
    alpha: float | None = 1.0
    peak: float = 1.0
    encoders: tuple[str, ...] = ()
    encoder_profile: str = "bell"
    dtype: StoredDtype = "F16"
    words: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Below the library's root, POSIX."""
        return f"{self.folder}/{self.name}.safetensors"

    @property
    def scale(self) -> float:
        """alpha / rank, 1 where either is absent."""
        return 1.0 if self.alpha is None or self.rank is None else self.alpha / self.rank


@cache
def recipes() -> tuple[Recipe, ...]:
    """Every ordinary file of the library, in the plan's order."""
    text = resources.files(__package__).joinpath("library_plan.toml").read_text(encoding="utf-8")
    return tuple(
        _recipe(folder["path"], entry) for folder in tomllib.loads(text)["folder"] for entry in folder["files"]
    )


def _recipe(folder: str, entry: dict[str, Any]) -> Recipe:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    if values.get("rank") == 0:
        values["rank"] = None
    if values.get("alpha") == "none":
        values["alpha"] = None
    return Recipe(folder, **values)
