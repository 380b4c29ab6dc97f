"""Reads the registry's TOML files and checks that they do not contradict themselves.

A file may hold any of the tables; their entries are joined. The format, in short:

* ``components``: the weights of a kind of block, told once. A weight has its native ``name``, its ``shape`` in sizes
  (``["3*width", "width"]``), and its name in other dialects where that differs; a list of names means that the dialect
  splits the weight's rows, into equal parts or as ``rows`` says. ``also`` names dialects of single writers that borrow
  another dialect's place (``xlabs = "native"``) and spell only the weights that mention them.
* ``stacks`` of an architecture: ``count`` blocks of one group of its layout, either all alike (``components`` at a
  template with ``{i}``) or listed one by one (``blocks``, each a list of parts with their own place and sizes). An
  architecture built like another one says so with ``stacks_of``.
* ``only_blocks`` of a weight lists the blocks of the stack that have it, or says ``"last"`` or ``"all_but_last"``.
* ``global_stacks`` are numbered weights outside the layout's blocks (a text connector's layers), with their own
  ``count``.
* ``sizes`` are looked up from the part outwards to the architecture.
* ``loaders`` say how programs address blocks; what of that holds for a base model is derived, never stated.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from lora_weights_builder.errors import RegistryError
from lora_weights_builder.inspector.loaders import reached_base_models
from lora_weights_builder.inspector.registry_model import (
    AmbiguityGroup,
    Architecture,
    BaseModel,
    Bundled,
    Claim,
    Encoder,
    Family,
    Group,
    Layout,
    LayoutTable,
    LegacyStem,
    Loader,
    LoaderForm,
    Mark,
    NotLora,
    Registry,
    Spelling,
)
from lora_weights_builder.inspector.registry_spellings import Table, spell_blocks, spell_single

T = TypeVar("T")


def load(texts: Mapping[str, str]) -> Registry:
    """Build the registry from its files.

    Args:
        texts: file name -> TOML text.

    Raises:
        RegistryError: a file is no TOML, an entry lacks a field, or two entries contradict each other.
    """
    tables = _joined(texts)
    try:
        return _build(tables)
    except KeyError as missing:
        raise RegistryError(f"The registry refers to {missing}, which no entry defines.") from missing
    except (TypeError, ValueError, AttributeError, re.error) as fault:
        raise RegistryError(f"The registry holds a value of the wrong kind: {fault}.") from fault


def _joined(texts: Mapping[str, str]) -> dict[str, list[Table]]:
    tables: dict[str, list[Table]] = {}
    for name in sorted(texts):
        try:
            document = tomllib.loads(texts[name])
        except tomllib.TOMLDecodeError as fault:
            raise RegistryError(f"The registry file {name} is no valid TOML: {fault}.", subject=name) from fault
        for key, entries in document.items():
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise RegistryError(f"The registry file {name} has {key!r}, which is no list of tables.", subject=name)
            tables.setdefault(key, []).extend(entries)
    return tables


def _build(tables: Mapping[str, list[Table]]) -> Registry:
    components = _unique("component", ((entry["id"], entry) for entry in tables.get("components", [])))
    families = _unique("family", ((e["id"], Family(e["id"], e["name"])) for e in tables.get("families", [])))
    encoders = _unique("encoder", ((e["id"], _encoder(e, components)) for e in tables.get("encoders", [])))
    entries = tables.get("architectures", [])
    layouts = _layouts(tables.get("layouts", []), entries, encoders)
    stacks = {entry["id"]: entry["stacks"] for entry in entries if "stacks" in entry}
    architectures = _unique("architecture", ((e["id"], _architecture(e, components, layouts, stacks)) for e in entries))
    loaders = _loaders(tables.get("loaders", []))
    derived = frozenset(loader.capability for loader in loaders.values() if loader.capability)
    bases = _unique("base model", ((e["code"], _base_model(e, derived)) for e in tables.get("base_models", [])))
    registry = Registry(
        families=families,
        layouts=LayoutTable(list(layouts.values()), [_legacy(entry) for entry in tables.get("legacy_layouts", [])]),
        architectures=architectures,
        encoders=encoders,
        base_models=bases,
        ambiguity_groups=tuple(_ambiguity(entry) for entry in tables.get("ambiguity_groups", [])),
        claims=tuple(_claim(entry) for entry in tables.get("claims", [])),
        marks=tuple(_mark(entry) for entry in tables.get("marks", [])),
        not_loras=tuple(_not_lora(entry) for entry in tables.get("not_loras", [])),
        bundled=tuple(Bundled(entry["what"], re.compile(entry["names"])) for entry in tables.get("bundled", [])),
        layout_aliases={entry["alias"]: entry["layout"] for entry in tables.get("layout_aliases", [])},
        loaders=loaders,
    )
    _check_references(registry)
    return replace(registry, base_models=_with_loaders(registry))


def _unique(what: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for key, value in pairs:
        if key in found:
            raise RegistryError(f"The registry defines the {what} {key!r} twice.", subject=key)
        found[key] = value
    return found


def _encoder(entry: Table, components: Mapping[str, Table]) -> Encoder:
    layers = entry["layers"]
    stack = {"components": entry["components"], "native": entry["template"]}
    sizes = entry["sizes"]
    spellings = [
        *spell_blocks(stack, layers, 0, components, sizes, kind="text_encoder"),
        *spell_single(entry.get("globals", []), components, sizes, kind="text_encoder"),
    ]
    group = Group(entry["id"], entry["name"], entry["abbreviation"], 0, layers)
    return Encoder(entry["id"], entry["name"], group, tuple(spellings))


def _layouts(entries: list[Table], architectures: list[Table], encoders: Mapping[str, Encoder]) -> dict[str, Layout]:
    owners: dict[str, list[str]] = {}
    for architecture in architectures:
        for layout_id in (architecture["layout"], *architecture.get("also_layouts", ())):
            owners.setdefault(layout_id, []).append(architecture["id"])
    wholes = {entry["id"]: entry for entry in entries}
    found: dict[str, Layout] = {}
    for entry in entries:
        groups: list[Group] = []
        for key, title, abbreviation, count in _group_rows(entry, wholes, encoders):
            start = groups[-1].start + groups[-1].count if groups else 0
            groups.append(Group(key, title, abbreviation, start, count))
        layout = Layout(
            id=entry["id"],
            family=entry["family"],
            kind=entry["kind"],
            title=entry["title"],
            groups=tuple(groups),
            architectures=tuple(owners.get(entry["id"], ())),
            part_of=entry.get("part_of"),
            encoders=tuple(entry.get("encoders", ())),
            legacy=entry.get("legacy", False),
        )
        if layout.id in found:
            raise RegistryError(f"The registry defines the layout {layout.id!r} twice.", subject=layout.id)
        if not layout.id.endswith(f"_{layout.block_count}"):
            raise RegistryError(
                f"The layout {layout.id!r} has {layout.block_count} blocks; its id must end in that number.",
                subject=layout.id,
            )
        found[layout.id] = layout
    return found


def _group_rows(
    entry: Table, wholes: Mapping[str, Table], encoders: Mapping[str, Encoder]
) -> list[tuple[str, str, str, int]]:
    """(key, title, abbreviation, count) a group: from the encoders, from the layout it is part of, or its own."""
    if "encoders" in entry:
        groups = [encoders[encoder].group for encoder in entry["encoders"]]
        return [(group.key, group.title, group.abbreviation, group.count) for group in groups]
    rows = entry["groups"]
    if "part_of" in entry:
        whole = {row["key"]: row for row in wholes[entry["part_of"]]["groups"]}
        rows = [whole[key] for key in rows]
    return [(row["key"], row["title"], row["abbreviation"], row["count"]) for row in rows]


def _architecture(
    entry: Table,
    components: Mapping[str, Table],
    layouts: Mapping[str, Layout],
    stacks_of: Mapping[str, list[Table]],
) -> Architecture:
    layout = layouts[entry["layout"]]
    groups = {group.key: group for group in layout.groups}
    stacks = stacks_of[entry.get("stacks_of", entry["id"])]
    if sorted(stack["group"] for stack in stacks) != sorted(groups):
        raise RegistryError(f"The stacks of {entry['id']!r} are not the groups of {layout.id!r}.", subject=entry["id"])
    sizes = entry["sizes"]
    spellings: list[Spelling] = []
    for stack in stacks:
        group = groups[stack["group"]]
        spellings += spell_blocks(stack, group.count, group.start, components, {**sizes, **stack.get("sizes", {})})
    for stack in entry.get("global_stacks", ()):
        here = {**sizes, **stack.get("sizes", {})}
        spellings += spell_blocks(stack, stack["count"], None, components, here, kind="global")
    spellings += spell_single(entry.get("globals", []), components, sizes)
    return Architecture(
        id=entry["id"],
        name=entry["name"],
        family=entry["family"],
        layout_id=layout.id,
        layouts=tuple(layouts[one].id for one in (layout.id, *entry.get("also_layouts", ()))),
        base_code=entry["base_code"],
        encoders={encoder: tuple(parts) for encoder, parts in entry.get("encoders", {}).items()},
        spellings=tuple(spellings),
        not_written_as=frozenset((one["prefix"], one["spelling"]) for one in entry.get("not_written_as", ())),
    )


def _base_model(entry: Table, derived: frozenset[str]) -> BaseModel:
    if stated := derived & entry.get("capabilities", {}).keys():
        raise RegistryError(
            f"The base model {entry['code']!r} states {', '.join(sorted(stated))}, which follows from the loaders.",
            subject=entry["code"],
        )
    return BaseModel(
        code=entry["code"],
        name=entry["name"],
        family=entry.get("family"),
        folders=tuple(entry.get("folders", ())),
        architectures=tuple(entry.get("architectures", ())),
        support_level=entry["support_level"],
        capabilities=dict(entry.get("capabilities", {})),
        fallback_layout=entry.get("fallback_layout"),
        variant=entry.get("variant"),
    )


def _loaders(entries: list[Table]) -> dict[str, Loader]:
    tables = _unique("loader", ((entry["id"], entry) for entry in entries))
    return {key: _loader(entry, tables[entry.get("forms_of", key)]) for key, entry in tables.items()}


def _loader(entry: Table, lender: Table) -> Loader:
    """One loader; ``lender`` is the loader whose forms and places it shares, as a rule itself."""
    forms = {len(form["entries"]): form for form in lender.get("forms", ())}
    if absent := {form["within"] for form in forms.values() if "within" in form} - forms.keys():
        raise RegistryError(f"The loader {entry['id']!r} has no form of {absent.pop()} entries.", subject=entry["id"])
    return Loader(
        id=entry["id"],
        name=entry["name"],
        program=entry["program"],
        addressing=entry["addressing"],
        capability=entry.get("capability"),
        sections=tuple(entry.get("sections", ())),
        places=dict(lender.get("places", {})),
        forms=tuple(
            LoaderForm(tuple(forms[length]["entries"]), forms[length].get("within"))
            for length in entry.get("lengths", forms)
        ),
    )


def _with_loaders(registry: Registry) -> dict[str, BaseModel]:
    """The base models, with what the loaders can do for them among their capabilities."""
    bases = dict(registry.base_models)
    for loader in registry.loaders.values():
        if loader.capability:
            reached = reached_base_models(registry, loader)
            for code, base in bases.items():
                bases[code] = replace(base, capabilities={**base.capabilities, loader.capability: code in reached})
    return bases


def _legacy(entry: Table) -> LegacyStem:
    group = Group(entry["group"], entry["group_title"], entry["abbreviation"], 0, 0)
    return LegacyStem(entry["stem"], entry["family"], entry["kind"], entry["title"], group)


def _ambiguity(entry: Table) -> AmbiguityGroup:
    return AmbiguityGroup(
        frozenset(entry["members"]), tuple(entry.get("prior_rank", ())), entry.get("report_all", False)
    )


def _claim(entry: Table) -> Claim:
    return Claim(
        fields=tuple(entry["fields"]),
        values=frozenset(value.lower() for value in entry["values"]),
        architectures=tuple(entry.get("architectures", ())),
        base_code=entry.get("base_code"),
        variant=entry.get("variant"),
    )


def _mark(entry: Table) -> Mark:
    return Mark(
        family=entry["family"],
        axis=entry["axis"],
        variant=entry["variant"],
        words=_word_pattern(entry.get("words", ())),
        hashes=tuple(value.lower() for value in entry.get("hashes", ())),
        base_code=entry.get("base_code"),
        checkpoints=_word_pattern(entry.get("checkpoints", ())),
        paired_words=_word_pattern(entry.get("paired_words", ())),
        of=entry.get("of"),
    )


def _not_lora(entry: Table) -> NotLora:
    return NotLora(entry["id"], entry["reason"], re.compile(entry["names"]), entry.get("decides", False))


def _word_pattern(words: Sequence[str]) -> re.Pattern[str] | None:
    """A mark stands as a word of its own: "krea" in "flux1-krea-dev", never in "krealistic"."""
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(words)})(?![a-z0-9])") if words else None


def _check_references(registry: Registry) -> None:
    """Every name that one entry uses for another exists; what the types cannot say."""
    known = {
        "family": set(registry.families),
        "layout": set(registry.layouts),
        "architecture": set(registry.architectures),
        "base model": set(registry.base_models),
        "encoder": set(registry.encoders),
        "variant": {mark.variant for mark in registry.marks},
    }
    uses: list[tuple[str, str, str]] = []  # (kind, name, used by)
    for layout in registry.layouts.values():
        uses.append(("family", layout.family, layout.id))
    for one in registry.architectures.values():
        uses += [("family", one.family, one.id), ("base model", one.base_code, one.id)]
        uses += [("encoder", encoder, one.id) for encoder in one.encoders]
    for base in registry.base_models.values():
        uses += [("family", base.family, base.code)] if base.family else []
        uses += [("architecture", architecture, base.code) for architecture in base.architectures]
        uses += [("layout", base.fallback_layout, base.code)] if base.fallback_layout else []
    for group in registry.ambiguity_groups:
        uses += [("architecture", member, "an ambiguity group") for member in group.members | set(group.prior_rank)]
    for claim in registry.claims:
        uses += [("architecture", architecture, "a claim") for architecture in claim.architectures]
        uses += [("base model", claim.base_code, "a claim")] if claim.base_code else []
    for mark in registry.marks:
        uses.append(("family", mark.family, mark.variant or mark.axis))
        uses += [("base model", mark.base_code, mark.variant or mark.axis)] if mark.base_code else []
        uses += [("variant", mark.of, mark.variant)] if mark.of else []
    uses += [("layout", layout, alias) for alias, layout in registry.layout_aliases.items()]
    for kind, name, user in uses:
        if name not in known[kind]:
            raise RegistryError(
                f"The registry's {user!r} names the {kind} {name!r}, which does not exist.", subject=name
            )
    _check_folders(registry)


def _check_folders(registry: Registry) -> None:
    owners: dict[str, str] = {}
    for base in registry.base_models.values():
        for folder in base.folders:
            other = owners.setdefault(folder.casefold(), base.code)
            if other != base.code:
                raise RegistryError(f"The folder {folder!r} belongs to both {other} and {base.code}.", subject=folder)
