"""What metadata, folder and file name say about the model, apart from the tensors: base model and variant.

Tensors tell the architecture; they cannot tell Pony from SDXL, Kontext from Flux.1 dev or WAN 2.2 from 2.1. The claims
and marks that can are data of the registry (``registry/metadata.toml``). Only fields that name a model are read; a data
set's tags and folder names say what was painted, not with what, and are never searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.registry_model import BaseModel, Claim, Mark
from lora_weights_builder.records import FolderHint, LayoutMatch

UNKNOWN: Final = "UNK"

# In order of trust. The first group is compared as a whole with known values, the second is read for marks.
_CLAIMING_FIELDS: Final = ("ss_base_model_version", "modelspec.architecture", "architecture", "general.architecture")
_NAMING_FIELDS: Final = (*_CLAIMING_FIELDS, "ss_sd_model_name", "modelspec.title", "ss_output_name", "name")
_HASH_FIELDS: Final = ("ss_new_sd_model_hash", "ss_sd_model_hash")
_LONGEST_NAME: Final = 512  # longer values are prose


@dataclass(frozen=True, slots=True)
class BaseModelHint:
    """What metadata (and the file's name, for the variant) say. All of it may be absent, and none of it is proof."""

    architectures: tuple[str, ...] = ()
    base_code: str | None = None
    variants: tuple[tuple[str, str], ...] = ()  # (axis, variant), in the order of trust
    family: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedBase:
    """The base model that a file is filed under. ``family`` is that of the architecture, where it is known."""

    code: str
    name: str | None
    family: str | None
    variant: str | None
    warnings: tuple[str, ...]


def base_model_hint(metadata: Mapping[str, str], filename: str | None = None) -> BaseModelHint:
    """Read the claims and marks of a file's metadata; the file's name adds variants only."""
    claim = _claim(metadata)
    marks = [*_marked_by_hash(metadata), *_marked_by_name(_naming_values(metadata))]
    architectures = claim.architectures if claim else ()
    known = registry().architectures
    family = next((known[one].family for one in architectures), None) or next((mark.family for mark in marks), None)
    code = next((mark.base_code for mark in marks if mark.base_code and mark.family == family), None)
    variants = [(_axis_of(claim.variant), claim.variant)] if claim and claim.variant else []
    variants += [(mark.axis, mark.variant) for mark in marks if mark.family == family]
    if filename:
        in_name = _marked_by_name([PurePath(filename).stem.lower()])
        variants += [(mark.axis, mark.variant) for mark in in_name]
    return BaseModelHint(
        architectures=architectures,
        base_code=code or (claim.base_code if claim else None),
        variants=tuple(variants),
        family=family,
    )


def resolve_base_model(
    match: LayoutMatch, metadata: Mapping[str, str], hint: FolderHint | None, filename: str | None = None
) -> ResolvedBase:
    """Name the base model: a recognised folder, else metadata, else the architecture's own, else ``UNK``.

    Metadata that contradicts the tensors is not believed; a folder that does is, with a warning, because people put
    files where they want to find them.
    """
    bases, known = registry().base_models, registry().architectures
    claimed = base_model_hint(metadata)
    named = base_model_hint({}, filename)
    architecture = known.get(match.architecture) if match.architecture else None
    possible = [match.architecture] if match.architecture else list(match.candidates)
    folder = bases.get(hint.base_model_code) if hint and hint.base_model_code else None
    from_metadata = bases.get(claimed.base_code) if claimed.base_code else None
    warnings: list[str] = []
    if folder is not None and _contradicts(folder, possible):
        warnings.append(f"folder_contradiction: the folder says {folder.name}, the tensors say {_names(possible)}")
    if possible and claimed.architectures and not set(possible) & set(claimed.architectures):
        said = _names(claimed.architectures)
        warnings.append(f"metadata_contradiction: the metadata say {said}, the tensors say {_names(possible)}")
        from_metadata = None
    elif from_metadata is not None and _contradicts(from_metadata, possible):
        warnings.append(
            f"metadata_contradiction: the metadata say {from_metadata.name}, the tensors say {_names(possible)}"
        )
        from_metadata = None
    base = folder or from_metadata or bases.get(architecture.base_code if architecture else UNKNOWN) or bases[UNKNOWN]
    family = architecture.family if architecture else _shared_family(match.candidates) or base.family
    return ResolvedBase(
        code=base.code,
        name=base.name,
        family=family,
        variant=_variant(family, (*claimed.variants, *_of_folder(folder, hint), *named.variants)),
        warnings=tuple(warnings),
    )


def _claim(metadata: Mapping[str, str]) -> Claim | None:
    """The first field, in the order of trust, whose value is a known one."""
    for name in _CLAIMING_FIELDS:
        value = _value(metadata, name)
        for claim in registry().claims if value else ():
            if name in claim.fields and value in claim.values:
                return claim
    return None


def _value(metadata: Mapping[str, str], name: str) -> str:
    value = metadata.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        return ""
    return value.strip().lower().removesuffix("/lora")


def _naming_values(metadata: Mapping[str, str]) -> list[str]:
    return [value for name in _NAMING_FIELDS if (value := _value(metadata, name))]


def _marked_by_name(values: Sequence[str]) -> Iterable[Mark]:
    for value in values:
        # "_" is a letter to no one who names files
        text = value.replace("_", " ")
        yield from (mark for mark in registry().marks if mark.words is not None and mark.words.search(text))


def _marked_by_hash(metadata: Mapping[str, str]) -> Iterable[Mark]:
    for value in (value for name in _HASH_FIELDS if (value := _value(metadata, name))):
        yield from (mark for mark in registry().marks if mark.hashes and value.startswith(mark.hashes))


def _axis_of(variant: str) -> str:
    return next((mark.axis for mark in registry().marks if mark.variant == variant), "model")


def _contradicts(base: BaseModel, architectures: Sequence[str]) -> bool:
    return bool(architectures) and bool(base.architectures) and not set(architectures) & set(base.architectures)


def _names(architectures: Iterable[str]) -> str:
    known = registry().architectures
    return " or ".join(known[one].name for one in architectures)


def _shared_family(candidates: Sequence[str]) -> str | None:
    families = {registry().architectures[one].family for one in candidates}
    return families.pop() if len(families) == 1 else None


def _of_folder(base: BaseModel | None, hint: FolderHint | None) -> Iterable[tuple[str, str]]:
    if base is not None and base.variant:
        yield _axis_of(base.variant), base.variant
    if hint is not None and hint.mode:
        yield "mode", hint.mode.lower()


def _variant(family: str | None, offered: Iterable[tuple[str, str]]) -> str | None:
    """One variant for each axis of the family, the first offered; in the order in which the registry has the axes."""
    known = [(mark.axis, mark.variant) for mark in registry().marks if mark.family == family]
    found: dict[str, str] = {}
    for axis, variant in offered:
        if (axis, variant) in known:
            found.setdefault(axis, variant)
    return " ".join(found[axis] for axis in dict.fromkeys(axis for axis, _ in known) if axis in found) or None
