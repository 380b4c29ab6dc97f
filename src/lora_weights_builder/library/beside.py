"""Which files beside a LoRA belong to it: its preview image and what other programs wrote about it.

Told by names alone, out of a folder's listing; nothing here touches the file system. What is in such files is in
``sidecar_files.py`` and ``preview_file.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

Marks = tuple[int, int, int, int]
"""The fields of a :class:`~lora_weights_builder.records.FileStamp`."""

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
PREVIEW: Final = ".preview"
PICTURE: Final = "preview"


class SidecarKind(NamedTuple):
    """A kind of sidecar: how its name ends and whose it is."""

    suffix: str
    program: str


KINDS: Final[Mapping[str, SidecarKind]] = {
    "user": SidecarKind(".json", "Automatic1111 or Forge"),
    "lora_manager": SidecarKind(".metadata.json", "LoRA Manager"),
    "stability_matrix": SidecarKind(".cm-info.json", "Stability Matrix"),
    "civitai": SidecarKind(".civitai.info", "Civitai Helper"),
}
"""The kinds by id, most trusted first: what a person typed goes before what was downloaded."""

_ROLES: Final = (
    *((f"{PREVIEW}{suffix}", PICTURE, rank) for rank, suffix in enumerate(IMAGE_SUFFIXES)),
    *((suffix, PICTURE, len(IMAGE_SUFFIXES) + rank) for rank, suffix in enumerate(IMAGE_SUFFIXES)),
    *((kind.suffix, name, 0) for name, kind in KINDS.items()),
)
"""(suffix, what such a file is, rank among those of the kind; the lowest one is taken)."""
# By what follows the last dot, shortest suffix first: a big library asks for tens of thousands of names.
_BY_ENDING: Final = {
    f".{ending}": sorted((role for role in _ROLES if role[0].endswith(f".{ending}")), key=lambda role: len(role[0]))
    for ending in {suffix.rpartition(".")[2] for suffix, _, _ in _ROLES}
}
_ENDINGS: Final = tuple(_BY_ENDING)


class SidecarFound(NamedTuple):
    """A sidecar on disk: its storable name, where to read it, and what it looks like now."""

    name: str
    os_path: str
    marks: Marks


@dataclass(slots=True)
class Beside:
    """What lies beside one LoRA file: the storable name of its preview image, and its sidecars by kind."""

    preview: str | None = None
    sidecars: dict[str, SidecarFound] = field(default_factory=dict)


def may_belong(name: str) -> bool:
    """Whether a file of this name can be beside a LoRA; asked of every other file of a library, so it is quick."""
    return name.lower().endswith(_ENDINGS)


def match(names: Iterable[str], stems: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Give the files of one folder to the LoRAs in it.

    The longest LoRA name that a file's name begins with has it, in the same letters if there is such a LoRA, else in
    other case. Of several files for one purpose the order of :data:`_ROLES` decides, then the same letters, then the
    name, so the listing's order does not matter.

    Args:
        names: storable names of files. stems: the LoRAs' names without ``.safetensors`` -> what to call each.

    Returns:
        What a LoRA is called -> ``preview`` or a kind of :data:`KINDS` -> the name of its file.
    """
    folded: dict[str, list[str]] = {}
    for stem in stems:
        folded.setdefault(stem.casefold(), []).append(stem)
    best: dict[tuple[str, str], tuple[int, bool, str]] = {}
    for name in names:
        for stem, role, rank, exact in _owners(name, stems, folded):
            key, claim = (stem, role), (rank, not exact, name)
            if key not in best or claim < best[key]:
                best[key] = claim
    found: dict[str, dict[str, str]] = {}
    for (stem, role), (_, _, name) in best.items():
        found.setdefault(stems[stem], {})[role] = name
    return found


def _owners(name: str, stems: Mapping[str, str], folded: Mapping[str, list[str]]) -> list[tuple[str, str, int, bool]]:
    """(stem, role, rank, in the same letters) of the LoRAs that a file belongs to; more than one only by case."""
    lower = name.lower()
    # The shortest suffix leaves the longest name: `a.preview.png` is of the LoRA `a.preview` if there is one.
    for suffix, role, rank in _BY_ENDING.get(lower[lower.rfind(".") :], ()):
        if not lower.endswith(suffix):
            continue
        stem = name[: -len(suffix)]
        if stem in stems:
            return [(stem, role, rank, True)]
        if alike := folded.get(stem.casefold()):
            return [(other, role, rank, False) for other in alike]
    return []
