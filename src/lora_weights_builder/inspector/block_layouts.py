"""The registry: which models exist, how their blocks are laid out, and how each writer names their weights.

Adding an architecture is one entry in ``registry/*.toml`` and one data file in ``tests/layouts``; nothing in Python
names a model. This is the only door to that data: ``registry()`` reads and checks it once a process.

What does not belong here: deciding which model a file belongs to (``layout_match``), and every measurement.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from lora_weights_builder.inspector.registry_loader import load
from lora_weights_builder.inspector.registry_model import (
    Architecture,
    BaseModel,
    Block,
    Family,
    Group,
    Layout,
    Registry,
)

__all__ = ["Architecture", "BaseModel", "Block", "Family", "Group", "Layout", "Registry", "registry"]


@cache
def registry() -> Registry:
    """The registry, read once.

    Raises:
        RegistryError: the data contradicts itself; it says which file and entry.
    """
    folder = resources.files(__package__) / "registry"
    texts = {entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")}
    return load(texts)
