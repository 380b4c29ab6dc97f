"""What metadata, folder and file name say about the model, apart from the tensors: base model and variant.

Tensors tell the architecture; they cannot tell Pony from SDXL, Kontext from Flux.1 dev or WAN 2.2 from 2.1. The claims
and marks that can are data of the registry (``registry/metadata.toml``). Only fields that name a model are read; a data
set's tags and folder names say what was painted, not with what, and are never searched.

Who is believed: for the base model the folder, then the metadata, then the tensors; for each axis of the variant the
metadata, then the folder of the base model, then the file's name, then the names of the other folders. Who says
something else is reported. What does not belong here: which architecture it is (``layout_match``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.inspector.metadata_values import Metadata, parsed_object
from lora_weights_builder.inspector.registry_model import BaseModel, Claim, Mark
from lora_weights_builder.records import BaseEvidence, FolderHint, LayoutMatch

UNKNOWN: Final = "UNK"

# In order of trust. The first group is compared as a whole with known values, the second is read for marks.
_CLAIMING_FIELDS: Final = (
    "ss_base_model_version", "modelspec.architecture", "architecture", "general.architecture", "ss_network_module",
    "ss_v2", "ot_config.model_type",
)  # fmt: skip
_CHECKPOINT_FIELDS: Final = ("ss_sd_model_name", "ot_config.base_model_name")
_NAMING_FIELDS: Final = (*_CLAIMING_FIELDS[:4], *_CHECKPOINT_FIELDS, "modelspec.title", "ss_output_name", "name")
_HASH_FIELDS: Final = ("ss_new_sd_model_hash", "ss_sd_model_hash")
_NESTED: Final = ("ot_config",)  # fields that hold the objects which the names above look into
_LONGEST_NAME: Final = 512  # longer values are prose

# Who says something of the variant, as a warning names them, in order of trust.
_METADATA: Final = "the metadata say"
_FOLDER: Final = "the folder says"  # that of the base model or the mode
_NAME: Final = "the file name says"
_PLACE: Final = "a folder's name says"  # that of any other
_CODES: Final = {_METADATA: "metadata", _FOLDER: "folder", _NAME: "name", _PLACE: "folder"}


@dataclass(frozen=True, slots=True)
class BaseModelHint:
    """What metadata (and the file's name, for the variant) say. All of it may be absent, and none of it is proof.

    ``variants`` are (axis, variant), one an axis; an empty one says that it is the plain model.
    """

    architectures: tuple[str, ...] = ()
    base_code: str | None = None
    variants: tuple[tuple[str, str], ...] = ()
    family: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedBase:
    """The base model that a file is filed under. ``family`` is that of the architecture, where it is known."""

    code: str
    name: str | None
    family: str | None
    variant: str | None
    warnings: tuple[str, ...]
    evidence: BaseEvidence | None = None


class _Statement(NamedTuple):
    """What somebody says on one axis. An empty ``variant`` means the plain model."""

    source: str
    axis: str
    variant: str
    base_code: str | None = None
    of: str | None = None


def base_model_hint(metadata: Metadata, filename: str | None = None) -> BaseModelHint:
    """Read the claims and marks of a file's metadata; the file's name adds variants only."""
    claims = _claims(metadata)
    architectures = _claimed_architectures(claims)
    known = registry().architectures
    family = next((known[one].family for one in architectures), None) or _first_family(metadata)
    said = _said_by_metadata(metadata, claims, family)
    named = _said_by_name(_NAME, PurePosixPath(filename).stem, family) if filename else ()
    variants = tuple((one.axis, one.variant) for one in (*said, *named) if one.variant)
    return BaseModelHint(architectures, _base_code(said, claims), variants, family)


def resolve_base_model(
    match: LayoutMatch, metadata: Metadata, hint: FolderHint | None, name: str | None = None
) -> ResolvedBase:
    """Name the base model: a recognised folder, else metadata, else the architecture's own, else ``UNK``.

    Metadata that contradicts the tensors is not believed; a folder that does is, with a warning, because people put
    files where they want to find them.

    Args:
        name: the file's name, with the folders below the library's root where they are known.
    """
    bases, known = registry().base_models, registry().architectures
    architecture = known.get(match.architecture) if match.architecture else None
    possible = [match.architecture] if match.architecture else list(match.candidates)
    family = architecture.family if architecture else _shared_family(match.candidates)
    folder = bases.get(hint.base_model_code) if hint and hint.base_model_code else None
    warnings: list[str] = []
    if folder is not None and _contradicts(folder, possible):
        warnings.append(f"folder_contradiction: the folder says {folder.name}, the tensors say {_names(possible)}")
    from_metadata, said, doubts = _believed(metadata, possible, family)
    warnings += doubts
    own = bases.get(architecture.base_code) if architecture else None
    base = folder or from_metadata or own or bases[UNKNOWN]
    family = family or base.family
    said = [*said, *_said_by_folder(folder, hint, family), *_said_by_path(name, family)]
    warnings += _disagreements(said)
    return ResolvedBase(
        code=base.code,
        name=base.name,
        family=family,
        variant=_variant(family, said),
        warnings=tuple(warnings),
        evidence="folder" if folder else "metadata" if from_metadata else "tensors" if own else None,
    )


# --- Metadata


def _believed(
    metadata: Metadata, possible: Sequence[str], family: str | None
) -> tuple[BaseModel | None, list[_Statement], list[str]]:
    """What metadata say as far as the tensors allow it: base model, variants, and a warning for what they do not."""
    bases = registry().base_models
    claims = _claims(metadata)
    claimed = _claimed_architectures(claims)
    family = family or next((registry().architectures[one].family for one in claimed), None) or _first_family(metadata)
    said = _said_by_metadata(metadata, claims, family)
    base = bases.get(_base_code(said, claims) or "")
    if possible and claimed and not set(possible) & set(claimed):
        named, base, said = _names(claimed), None, []
    elif base is not None and _contradicts(base, possible):
        named, said, base = base.name, [one for one in said if one.base_code != base.code], None
    else:
        return base, said, []
    return base, said, [f"metadata_contradiction: the metadata say {named}, the tensors say {_names(possible)}"]


@cache
def _known_claims() -> Mapping[tuple[str, str], Claim]:
    return {
        (name, value): claim
        for claim in reversed(registry().claims)  # the first of two stays
        for name in claim.fields
        for value in claim.values
    }


def _claims(metadata: Metadata) -> list[Claim]:
    """What the fields say whose value is a known one, in order of trust."""
    known = _known_claims()
    found = (known.get((name, value)) for name in _CLAIMING_FIELDS if (value := _value(metadata, name)))
    return [claim for claim in found if claim is not None]


def _claimed_architectures(claims: Sequence[Claim]) -> tuple[str, ...]:
    """Those of the first claim, narrowed by the later ones as far as they agree with it."""
    left: tuple[str, ...] = ()
    for claim in claims:
        left = tuple(one for one in left if one in claim.architectures) or left or claim.architectures
    return left


def _base_code(said: Iterable[_Statement], claims: Iterable[Claim]) -> str | None:
    """That of a variant, which is the narrower one, else the first claim's that names one."""
    codes = (*(one.base_code for one in said), *(claim.base_code for claim in claims))
    return next((code for code in codes if code), None)


def _value(metadata: Metadata, name: str) -> str:
    value = metadata.get(name)
    if value is None:
        outer, _, inner = name.partition(".")
        value = parsed_object(metadata, outer).get(inner) if outer in _NESTED and outer in metadata else None
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        return ""
    return value.strip().lower().removesuffix("/lora")


def _said_by_metadata(metadata: Metadata, claims: Sequence[Claim], family: str | None) -> list[_Statement]:
    """One statement an axis, the most trusted."""
    found: dict[str, _Statement] = {}
    for claim in claims:
        if claim.variant and (axis := _axis_of(family, claim.variant)):
            found.setdefault(axis, _Statement(_METADATA, axis, claim.variant, claim.base_code))
    for marks in _marks_of_metadata(metadata, family):
        for mark in sorted(marks, key=lambda mark: not mark.variant):  # a name that says both means the variant
            found.setdefault(mark.axis, _statement(_METADATA, mark))
    return list(found.values())


def _marks_of_metadata(metadata: Metadata, family: str | None) -> Iterator[Sequence[Mark]]:
    """The marks of each field, in order of trust."""
    for name in _HASH_FIELDS:
        if value := _value(metadata, name):
            yield [mark for mark in _marks(family) if mark.hashes and value.startswith(mark.hashes)]
    for name in _NAMING_FIELDS:
        # A known value means what its claim says: one trainer writes "wan2.1" for 2.2 as well.
        if (value := _value(metadata, name)) and (name, value) not in _known_claims():
            yield _marks_in(family, value, checkpoint=name in _CHECKPOINT_FIELDS)


def _first_family(metadata: Metadata) -> str | None:
    """The family of the first mark, where no claim and no tensor names one."""
    return next((mark.family for marks in _marks_of_metadata(metadata, None) for mark in marks), None)


# --- Marks


@cache
def _marks(family: str | None) -> tuple[Mark, ...]:
    """The marks of a family; of all where it is not known."""
    return tuple(mark for mark in registry().marks if family in (None, mark.family))


@lru_cache(maxsize=4096)  # checkpoints and folders come again and again
def _marks_in(family: str | None, text: str, *, checkpoint: bool = False) -> tuple[Mark, ...]:
    text = text.replace("_", " ")  # "_" is a letter to no one who names files
    found = []
    for mark in _marks(family):
        patterns = (mark.words, mark.checkpoints) if checkpoint else (mark.words,)
        if any(pattern is not None and pattern.search(text) for pattern in patterns):
            found.append(mark)
    return tuple(found)


def _statement(source: str, mark: Mark) -> _Statement:
    return _Statement(source, mark.axis, mark.variant, mark.base_code, mark.of)


@cache
def _axis_of(family: str | None, variant: str) -> str | None:
    return next((mark.axis for mark in _marks(family) if mark.variant == variant), None)


# --- Folder and name


def _said_by_folder(base: BaseModel | None, hint: FolderHint | None, family: str | None) -> Iterator[_Statement]:
    if base is not None and base.variant and (axis := _axis_of(family, base.variant)):
        yield _Statement(_FOLDER, axis, base.variant, base.code)
    if hint is not None and hint.mode:
        yield from _said_by_name(_FOLDER, hint.mode, family)


def _said_by_path(name: str | None, family: str | None) -> Iterator[_Statement]:
    """What the file's name says, then the folders that it lies in, the nearest first."""
    if not name or family is None:
        return
    path = PurePosixPath(name.replace("\\", "/"))
    yield from _said_by_name(_NAME, path.stem, family)
    for folder in reversed(path.parts[:-1]):
        yield from _said_by_name(_PLACE, folder, family)


def _said_by_name(source: str, name: str, family: str | None) -> Iterator[_Statement]:
    for mark in _marks_in(family, name.lower()):
        yield _Statement(source, mark.axis, mark.variant, mark.base_code, mark.of)


# --- Agreement


def _disagreements(said: Sequence[_Statement]) -> Iterator[str]:
    """Two who say different things on one axis, and a variant of a model that another one rules out."""
    by_axis: dict[str, dict[str, list[_Statement]]] = {}
    for one in said:
        if one.variant:  # the plain model contradicts nothing: its LoRAs are used with its descendants
            by_axis.setdefault(one.axis, {}).setdefault(one.source, []).append(one)
    for sources in by_axis.values():
        for trusted, other in combinations(sources, 2):
            agree = any(_agree(one, two) for one in sources[trusted] for two in sources[other])
            if not agree and {trusted, other} != {_FOLDER, _PLACE}:
                yield _contradiction(sources[trusted][0], sources[other][0])
    for one in said:
        sources = by_axis.get(_axis_of(None, one.of) or "", {}) if one.of else {}
        whole = [other for found in sources.values() for other in found]
        if whole and all(other.variant != one.of for other in whole):
            yield _contradiction(whole[0], one)
            return


def _agree(one: _Statement, other: _Statement) -> bool:
    """Whether both can be true: NoobAI is one of those that are filed as Illustrious."""
    if one.variant == other.variant:
        return True
    base = registry().base_models.get(one.base_code) if one.base_code == other.base_code and one.base_code else None
    return base is not None and base.variant is not None


def _contradiction(trusted: _Statement, other: _Statement) -> str:
    detail = f" (of {other.of})" if other.axis != trusted.axis else ""
    return (
        f"{_CODES[other.source]}_contradiction: {other.source} {other.variant}{detail}, "
        f"{trusted.source} {trusted.variant}"
    )


def _contradicts(base: BaseModel, architectures: Sequence[str]) -> bool:
    return bool(architectures) and bool(base.architectures) and not set(architectures) & set(base.architectures)


def _names(architectures: Iterable[str]) -> str:
    known = registry().architectures
    return " or ".join(known[one].name for one in architectures)


def _shared_family(candidates: Sequence[str]) -> str | None:
    families = {registry().architectures[one].family for one in candidates}
    return families.pop() if len(families) == 1 else None


def _variant(family: str | None, said: Iterable[_Statement]) -> str | None:
    """One variant for each axis of the family, the most trusted; in the order in which the registry has the axes."""
    axes = dict.fromkeys(mark.axis for mark in _marks(family)) if family else {}
    found: dict[str, str] = {}
    for one in said:
        if one.variant:
            found.setdefault(one.axis, one.variant)
    return " ".join(found[axis] for axis in axes if axis in found) or None
