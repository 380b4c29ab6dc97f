"""Writes the demo library into a folder, and touches nothing there that it did not write itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from lora_weights_builder.demo.library_plan import Recipe, recipes
from lora_weights_builder.demo.planted_factors import Draw, StoredTensor, stored
from lora_weights_builder.demo.planted_files import Planted, planted, tensors
from lora_weights_builder.demo.safetensors_writer import encode
from lora_weights_builder.demo.training_notes import training_notes
from lora_weights_builder.errors import Conflict, LwbError
from lora_weights_builder.library.conventions import load_conventions

MARKER: Final = ".lwb-demo.json"
"""Lists the files written, so that a second run may replace these and no others."""

_FOREIGN_PATH: Final = "FLUX/02 - Styles/unknown_trainer_export.safetensors"
_TRUNCATED_PATH: Final = "FLUX/08 - Clothing/interrupted_download.safetensors"
_TRUNCATED_SOURCE: Final = "FLUX/08 - Clothing/waxed_cotton_coat.safetensors"
_TRUNCATED_SHARE: Final = 0.6  # of the bytes arrived
_COPIES: Final = {
    # The same tensors under another name; the second also with other metadata, as a site that rewrites it serves it.
    "FLUX/08 - Clothing/waxed_cotton_coat (1).safetensors": ("FLUX/08 - Clothing/waxed_cotton_coat.safetensors", None),
    "SDXL/01 - People/grandmother_renamed_download.safetensors": (
        "SDXL/01 - People/studio_grandmother_xl.safetensors",
        {"modelspec.title": "Grandmother (re-upload)"},
    ),
}
FileKind = Literal["ordinary", "copy", "truncated", "foreign"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of the demo library and what must be found in it.

    ``path`` is POSIX, below the library's root. ``planted`` is ``None`` for the two files that cannot be measured
    (``truncated``: cut off; ``foreign``: keys that no model has). ``copy_of`` is the path of the original.
    """

    path: str
    kind: FileKind
    base_code: str | None
    category_code: str | None
    architecture: str | None
    planted: Planted | None
    recipe: Recipe | None = None
    copy_of: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenLibrary:
    """What :func:`write_library` wrote: paths below ``folder`` (POSIX) and their bytes together."""

    folder: Path
    files: tuple[str, ...]
    size_bytes: int


def plan() -> tuple[PlannedFile, ...]:
    """Every file of the library, in the order of their paths."""
    ordinary = {recipe.path: recipe for recipe in recipes()}
    files = [_planned(path, "ordinary", recipe) for path, recipe in ordinary.items()]
    files += [_planned(path, "copy", ordinary[source], source) for path, (source, _) in _COPIES.items()]
    files += [_planned(_TRUNCATED_PATH, "truncated"), _planned(_FOREIGN_PATH, "foreign")]
    return tuple(sorted(files, key=lambda file: file.path))


def _planned(path: str, kind: FileKind, recipe: Recipe | None = None, copy_of: str | None = None) -> PlannedFile:
    hint = load_conventions().hint(path)
    return PlannedFile(
        path=path,
        kind=kind,
        base_code=hint.base_model_code,
        category_code=hint.category_code,
        architecture=recipe.architecture if recipe else None,
        planted=planted(recipe) if recipe else None,
        recipe=recipe,
        copy_of=copy_of,
    )


def write_library(folder: Path, *, force: bool = False) -> WrittenLibrary:
    """Write every file of :func:`plan` below ``folder``, which is made if need be.

    Args:
        folder: empty, absent, or one that an earlier run wrote.
        force: also take a folder that holds other files. Those are left alone in any case.

    Raises:
        Conflict: the folder holds other files (without ``force``), or one of them stands where a file would go.
        LwbError: the folder cannot be written.
    """
    written_before = _marked(folder)
    if written_before is None and not force and folder.is_dir() and any(folder.iterdir()):
        raise Conflict(
            f"{folder} holds other files; give an empty folder, or --force to write beside them.", subject=str(folder)
        )
    files = plan()
    for file in files:
        if file.path not in (written_before or ()) and (folder / PurePosixPath(file.path)).exists():
            raise Conflict(
                f"{folder / file.path} is there already and was not written by the demo; move it away first.",
                subject=file.path,
            )
    try:
        return _write(folder, files)
    except OSError as error:
        raise LwbError(f"Cannot write the demo library to {folder}: {error.strerror or error}.") from error


def _marked(folder: Path) -> frozenset[str] | None:
    """The paths an earlier run wrote; ``None`` where none did."""
    try:
        listed = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return frozenset(path for path in listed if isinstance(path, str)) if isinstance(listed, list) else None


def _write(folder: Path, files: tuple[PlannedFile, ...]) -> WrittenLibrary:
    folder.mkdir(parents=True, exist_ok=True)
    # The marker goes first, so that a run that was interrupted can be repeated.
    marker = json.dumps([file.path for file in files], indent=0)
    (folder / MARKER).write_text(marker, encoding="utf-8", newline="\n")
    size_bytes = 0
    for file in files:
        target = folder / PurePosixPath(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = file_bytes(file)
        target.write_bytes(content)
        size_bytes += len(content)
    return WrittenLibrary(folder, tuple(file.path for file in files), size_bytes)


def file_bytes(file: PlannedFile) -> bytes:
    """The whole file; the same on every platform."""
    if file.recipe is None:
        return _truncated() if file.kind == "truncated" else encode(tuple(_foreign_tensors()), {"format": "pt"})
    notes = training_notes(file.recipe)
    changed = _COPIES[file.path][1] if file.kind == "copy" else None
    return encode(tuple(tensors(file.recipe)), notes | (changed or {}))


def _truncated() -> bytes:
    source = next(recipe for recipe in recipes() if recipe.path == _TRUNCATED_SOURCE)
    whole = encode(tuple(tensors(source)), training_notes(source))
    return whole[: int(len(whole) * _TRUNCATED_SHARE)]


def _foreign_tensors() -> Iterator[StoredTensor]:
    """A well-formed LoRA of a model that does not exist."""
    draw = Draw(_FOREIGN_PATH)
    for layer in range(6):
        for role, shape in (("lora_down", (2, 448)), ("lora_up", (448, 2))):
            name = f"lora_unet_crystal_lattice_{layer}_facet_mix.{role}.weight"
            yield stored(name, draw.integers(shape, 127) * 2.0**-12, "F16")
