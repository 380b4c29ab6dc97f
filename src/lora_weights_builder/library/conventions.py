"""What the path of a file says about it: base model, category, role, mode.

The rules are data: the packaged ``conventions.toml``, of which a user's own file may replace any part. The folder
names of base models come from the layout registry, their one home. This module reads no library folder; it is handed
root-relative paths.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, Final

from lora_weights_builder.errors import ConfigError
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library.id_assigner import UNKNOWN_CATEGORY
from lora_weights_builder.records import FolderHint

DEFAULT_ROLE: Final = "other"
_CODE: Final = re.compile(r"[A-Z0-9]{2,8}", re.ASCII)
_NUMBERED: Final = re.compile(r"([0-9]{1,3})(?![0-9])[\s._-]*(.*)", re.ASCII)
_PLACEHOLDERS: Final = ("{base}", "{mode}", "{category}")
_CACHE_LIMIT: Final = 65_536  # folders remembered; beyond that the table starts anew
_TABLES: Final = frozenset({"skip_folders", "patterns", "modes", "bases", "category", "rule"})


@dataclass(frozen=True, slots=True)
class Category:
    """A category of LoRAs, its number in folder names, and the role its files play when several are stacked."""

    number: int
    code: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Rule:
    """An exception to the patterns: files whose root-relative path fits ``glob`` are what the other fields say."""

    glob: tuple[str, ...]
    base: str | None
    category: str | None
    role: str | None
    mode: str | None


class Conventions:
    """Turns root-relative POSIX paths into :class:`FolderHint`. Remembers folders, so it is cheap per file."""

    def __init__(
        self,
        *,
        skip_folders: Sequence[str],
        patterns: Sequence[str],
        modes: Sequence[str],
        bases: Mapping[str, tuple[str, str]],
        categories: Sequence[Category],
        rules: Sequence[Rule],
    ) -> None:
        self.skip_folders = tuple(skip_folders)
        self.categories = tuple(categories)
        self._patterns = [tuple(pattern.split("/")) for pattern in patterns]
        self._modes = {mode.casefold(): mode for mode in modes}
        self._bases = bases  # casefolded folder name -> (code, name)
        self._base_names = dict(bases.values())
        self._by_number = {category.number: category for category in categories}
        self._by_name = {category.name.casefold(): category for category in categories}
        self._by_code = {category.code: category for category in categories}
        self._rules = tuple(rules)
        self._folders: dict[str, FolderHint] = {}

    def skips(self, folder: str) -> bool:
        """Whether a folder of this name is never entered: hidden, or a system's bin."""
        if folder.startswith("."):
            return True
        folded = folder.casefold()
        return any(fnmatchcase(folded, pattern.casefold()) for pattern in self.skip_folders)

    @property
    def base_names(self) -> dict[str, str]:
        """Code -> name of every base model that a folder may be named after."""
        return dict(self._base_names)

    @property
    def by_folder(self) -> bool:
        """Whether all files of one folder have the same hint."""
        return not self._rules

    def hint(self, relative: str) -> FolderHint:
        """What the path (POSIX, below the root, ending in the file's name) says; silent fields are ``None``."""
        folder = relative.rpartition("/")[0]
        known = self._folders.get(folder)
        if known is None:
            if len(self._folders) >= _CACHE_LIMIT:
                self._folders.clear()
            known = self._folders[folder] = self._by_patterns(folder.split("/") if folder else [])
        return self._by_rules(relative, known) if self._rules else known

    def _by_patterns(self, parts: list[str]) -> FolderHint:
        for pattern in self._patterns:
            found: dict[str, str] = {}
            if self._fits(pattern, parts, found):
                base = self._bases[found["{base}"].casefold()] if "{base}" in found else None
                category = self._category(found["{category}"]) if "{category}" in found else None
                return FolderHint(
                    base_model_code=base[0] if base else None,
                    base_model_name=base[1] if base else None,
                    category_code=category.code if category else None,
                    category_name=category.name if category else None,
                    role=category.role if category else None,
                    mode=self._modes[found["{mode}"].casefold()] if "{mode}" in found else None,
                )
        return FolderHint()

    def _fits(self, pattern: Sequence[str], parts: Sequence[str], found: dict[str, str]) -> bool:
        """Match segment by segment, keeping what the placeholders took; ``**`` takes any number of segments."""
        if not pattern:
            return not parts
        head, rest = pattern[0], pattern[1:]
        if head == "**":
            return any(self._fits(rest, parts[skipped:], found) for skipped in range(len(parts) + 1))
        if not parts or not self._fits_one(head, parts[0]):
            return False
        if not self._fits(rest, parts[1:], found):
            return False
        if head in _PLACEHOLDERS:
            found[head] = parts[0]
        return True

    def _fits_one(self, segment: str, part: str) -> bool:
        if segment == "{base}":
            return part.casefold() in self._bases
        if segment == "{mode}":
            return part.casefold() in self._modes
        if segment == "{category}":
            return self._category(part) is not None
        return fnmatchcase(part.casefold(), segment.casefold())

    def _category(self, folder: str) -> Category | None:
        numbered = _NUMBERED.fullmatch(folder)
        if numbered and int(numbered[1]) in self._by_number:
            return self._by_number[int(numbered[1])]
        return self._by_name.get((numbered[2] if numbered else folder).strip().casefold())

    def _by_rules(self, relative: str, hint: FolderHint) -> FolderHint:
        parts = relative.split("/")
        for rule in self._rules:
            if self._fits(rule.glob, parts, {}):
                category = self._by_code.get(rule.category) if rule.category else None
                return FolderHint(
                    base_model_code=rule.base or hint.base_model_code,
                    base_model_name=self._base_names.get(rule.base) if rule.base else hint.base_model_name,
                    category_code=category.code if category else hint.category_code,
                    category_name=category.name if category else hint.category_name,
                    role=rule.role or (category.role if category else hint.role),
                    mode=rule.mode or hint.mode,
                )
        return hint


def load_conventions(path: str | os.PathLike[str] | None = None) -> Conventions:
    """The packaged conventions, with the parts that the user's file sets put in their place.

    Args:
        path: the user's file; ``None`` or an absent file means the packaged ones alone.

    Raises:
        ConfigError: the file cannot be read or says something unusable; the message names file and key.
    """
    packaged = resources.files(__package__).joinpath("conventions.toml").read_text(encoding="utf-8")
    data = tomllib.loads(packaged)
    source = "the packaged conventions.toml"
    if path is not None and Path(path).exists():
        source = str(path)
        data |= _read(Path(path))
    return _build(data, source)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as fault:
        why = f"{path} cannot be read as TOML: {fault}. Correct or remove it."
        raise ConfigError(why, subject=str(path)) from fault
    unknown = sorted(set(data) - _TABLES)
    if unknown:
        allowed = ", ".join(sorted(_TABLES))
        raise ConfigError(f"{path}: unknown key {unknown[0]!r}; the keys are {allowed}.", subject=unknown[0])
    return data


def _build(data: Mapping[str, Any], source: str) -> Conventions:
    def fail(key: str, why: str) -> ConfigError:
        return ConfigError(f"{source}: {key} {why}.", subject=key)

    categories = [_category(entry, fail) for entry in _tables(data, "category", fail)]
    for attribute in ("number", "code"):
        values = [getattr(category, attribute) for category in categories]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise fail("category", f"has the {attribute} {twice} twice")
    bases = _base_folders()
    codes = dict(bases.values())
    extra = data.get("bases", {})
    if not isinstance(extra, dict):
        raise fail("bases", "must be a table of folder name = code")
    for folder, code in extra.items():
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise fail(f"bases.{folder}", "must be a code of 2 to 8 capital letters or digits")
        bases[str(folder).casefold()] = (code, codes[code] if code in codes else str(folder))
    known = {category.code for category in categories}
    patterns = _strings(data, "patterns", fail)
    for pattern in patterns:
        wrong = [part for part in pattern.split("/") if "{" in part and part not in _PLACEHOLDERS]
        if wrong or not pattern:
            raise fail("patterns", f"{pattern!r} may hold only {', '.join(_PLACEHOLDERS)} as whole folders")
    return Conventions(
        skip_folders=_strings(data, "skip_folders", fail),
        patterns=patterns,
        modes=_strings(data, "modes", fail),
        bases=bases,
        categories=categories,
        rules=[_rule(entry, known, fail) for entry in _tables(data, "rule", fail)],
    )


_Fail = Callable[[str, str], ConfigError]


def _base_folders() -> dict[str, tuple[str, str]]:
    """Folder name (casefolded) -> (code, name), from the registry's base models."""
    return {
        folder.casefold(): (base.code, base.name) for base in registry().base_models.values() for folder in base.folders
    }


def _strings(data: Mapping[str, Any], key: str, fail: _Fail) -> list[str]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise fail(key, "must be a list of texts")
    return value


def _tables(data: Mapping[str, Any], key: str, fail: _Fail) -> list[dict[str, Any]]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise fail(key, f"must be written as [[{key}]] tables")
    return value


def _category(entry: Mapping[str, Any], fail: _Fail) -> Category:
    number, code, name = entry.get("number"), entry.get("code"), entry.get("name")
    role = entry.get("role", DEFAULT_ROLE)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 999:
        raise fail("category.number", f"is {number!r}, and must be a whole number from 0 to 999")
    if not isinstance(code, str) or not _CODE.fullmatch(code) or code == UNKNOWN_CATEGORY:
        raise fail("category.code", f"is {code!r}; it takes 2 to 8 capital letters or digits, not {UNKNOWN_CATEGORY}")
    if not isinstance(name, str) or not name or not isinstance(role, str) or not role:
        raise fail(f"category {code}", "needs a name and a role that are texts")
    return Category(number, code, name, role)


def _rule(entry: Mapping[str, Any], categories: set[str], fail: _Fail) -> Rule:
    unknown = sorted(set(entry) - {"glob", "base", "category", "role", "mode"})
    if unknown or not all(isinstance(value, str) and value for value in entry.values()) or "glob" not in entry:
        raise fail("rule", "needs a glob, and may set base, category, role and mode, all texts")
    if "category" in entry and entry["category"] not in categories:
        raise fail("rule.category", f"is {entry['category']!r}, which no [[category]] has as its code")
    if "base" in entry and not _CODE.fullmatch(entry["base"]):
        raise fail("rule.base", f"is {entry['base']!r}, and must be 2 to 8 capital letters or digits")
    return Rule(
        tuple(entry["glob"].split("/")), entry.get("base"), entry.get("category"), entry.get("role"), entry.get("mode")
    )
