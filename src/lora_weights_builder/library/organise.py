"""What a person may say of entries, and what becomes of an entry's columns when they do. Pure: no SQL.

A base model, category or role set by hand is shown in place of what files and folders say. The stable id stays as it
is, whatever is set: it was given once and is written down elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lora_weights_builder.errors import UsageError
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library.conventions import DEFAULT_ROLE, Conventions
from lora_weights_builder.library.id_assigner import UNKNOWN_BASE, UNKNOWN_CATEGORY
from lora_weights_builder.records import Choosable

MAX_IDS: Final = 1_000
MAX_TAGS: Final = 50  # of one entry
MAX_TAG: Final = 60  # characters
MAX_NOTES: Final = 20_000  # characters
AUTOMATIC: Final = (
    "base_model_code", "base_model_name", "category_code", "category_name", "role", "block_layout", "block_count",
    "fallback", "fallback_reason",
)  # fmt: skip
"""The columns of ``lora`` that a choice may show otherwise."""
_BY_HAND: Final = "its base model was set by hand, and nothing in the file could be measured"
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Change:
    """What to change about entries; ``None`` and empty leave things as they are.

    ``tags`` are put in the place of those there are, then ``add_tags`` and ``remove_tags`` follow. Empty ``notes`` are
    none. ``base`` and ``category`` are codes; ``reset`` takes back what was set of these three.
    """

    favourite: bool | None = None
    notes: str | None = None
    tags: tuple[str, ...] | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    base: str | None = None
    category: str | None = None
    role: str | None = None
    reset: frozenset[Choosable] = frozenset()

    @property
    def chooses(self) -> bool:
        """Whether it is about base model, category or role."""
        return bool(self.base or self.category or self.role or self.reset)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person set of one entry, under the names of the columns; ``None``: as files and folders say."""

    base_model_code: str | None = None
    base_model_name: str | None = None
    category_code: str | None = None
    category_name: str | None = None
    category_role: str | None = None
    role: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set."""
        return self.base_model_code is None and self.category_code is None and self.role is None


def checked(change: Change) -> Change:
    """The same, with its texts in the form that is kept.

    Raises:
        UsageError: a tag or note is too long or cannot be kept, or something is set and reset at once.
    """
    if change.notes is not None and len(change.notes) > MAX_NOTES:
        raise UsageError(f"The notes are longer than {MAX_NOTES} characters.", subject="notes")
    for name in ("base", "category", "role"):
        if getattr(change, name) is not None and name in change.reset:
            raise UsageError(f"{name} cannot be set and reset at once.", subject=name)
    return Change(
        favourite=change.favourite,
        notes=None if change.notes is None else _UNSTORABLE.sub("\ufffd", change.notes).strip(),
        tags=None if change.tags is None else clean_tags(change.tags, "tags"),
        add_tags=clean_tags(change.add_tags, "add_tags"),
        remove_tags=clean_tags(change.remove_tags, "remove_tags"),
        base=change.base,
        category=change.category,
        role=change.role,
        reset=change.reset,
    )


def tag_key(tag: str) -> str:
    """What two spellings of one tag have in common."""
    return " ".join(tag.split()).casefold()


def clean_tags(tags: Iterable[str], field: str) -> tuple[str, ...]:
    """Tags with their spaces in order, each once, in the order given. Raises UsageError for what is no tag."""
    kept: dict[str, str] = {}
    for given in tags:
        tag = " ".join(given.split())
        if not tag or len(tag) > MAX_TAG or _UNPRINTABLE.search(tag):
            raise UsageError(f"A tag has 1 to {MAX_TAG} printable characters.", subject=field)
        kept.setdefault(tag_key(tag), tag)
    if len(kept) > MAX_TAGS:
        raise UsageError(f"An entry has at most {MAX_TAGS} tags.", subject=field)
    return tuple(kept.values())


def chosen(before: Choice, change: Change, conventions: Conventions) -> Choice:
    """What is set after ``change``. Raises UsageError for a base model, category or role that nothing knows."""
    values = {name: getattr(before, name) for name in Choice.__slots__}
    if "base" in change.reset:
        values |= {"base_model_code": None, "base_model_name": None}
    if "category" in change.reset:
        values |= {"category_code": None, "category_name": None, "category_role": None}
    if "role" in change.reset:
        values["role"] = None
    if change.base is not None:
        names = base_names(conventions)
        if change.base not in names:
            raise UsageError(f"base is {change.base!r}, and must be one of {', '.join(names)}.", subject="base")
        values |= {"base_model_code": change.base, "base_model_name": names[change.base]}
    if change.category is not None:
        found = {category.code: category for category in conventions.categories}.get(change.category)
        if found is None and change.category != UNKNOWN_CATEGORY:
            codes = ", ".join([*(one.code for one in conventions.categories), UNKNOWN_CATEGORY])
            raise UsageError(f"category is {change.category!r}, and must be one of {codes}.", subject="category")
        values |= {
            "category_code": change.category,
            "category_name": found.name if found else None,
            "category_role": found.role if found else DEFAULT_ROLE,
        }
    if change.role is not None:
        if change.role not in roles(conventions):
            known = ", ".join(roles(conventions))
            raise UsageError(f"role is {change.role!r}, and must be one of {known}.", subject="role")
        values["role"] = change.role
    return Choice(**values)


def base_names(conventions: Conventions) -> dict[str, str | None]:
    """Code -> name of every base model that an entry may be given."""
    known: dict[str, str | None] = {code: base.name for code, base in registry().base_models.items()}
    return {**known, **conventions.base_names, UNKNOWN_BASE: known.get(UNKNOWN_BASE)}


def roles(conventions: Conventions) -> tuple[str, ...]:
    """Every role that an entry may be given, in the order of the categories."""
    return tuple(dict.fromkeys([*(category.role for category in conventions.categories), DEFAULT_ROLE]))


def shown(automatic: Mapping[str, Any], architecture: str | None, choice: Choice) -> dict[str, Any]:
    """The columns :data:`AUTOMATIC` with the choice in place of what files and folders say.

    A base model that requires a layout gives its neutral one to an entry that has none, and takes it away again from
    an entry whose file was not recognised and which only had it for its base model. Any other layout is the file's own
    and stays: what was measured is true of the file, whatever its base model is called.
    """
    columns = {name: automatic[name] for name in AUTOMATIC}
    if choice.category_code is not None:
        columns |= {"category_code": choice.category_code, "category_name": choice.category_name}
        columns["role"] = choice.category_role
    if choice.role is not None:
        columns["role"] = choice.role
    if choice.base_model_code is None:
        return columns
    columns |= {"base_model_code": choice.base_model_code, "base_model_name": choice.base_model_name}
    required = _required_layout(choice.base_model_code)
    layout = columns["block_layout"]
    lent = columns["fallback"] and architecture is None and layout == _required_layout(automatic["base_model_code"])
    if required is not None and layout is None:
        columns |= {
            "block_layout": required,
            "block_count": registry().layouts[required].block_count,
            "fallback": 1,
            "fallback_reason": columns["fallback_reason"] or _BY_HAND,
        }
    elif layout is not None and lent and required != layout:
        columns |= {"block_layout": None, "block_count": 0, "fallback": 0, "fallback_reason": None}
    return columns


def _required_layout(code: str) -> str | None:
    base = registry().base_models.get(code)
    return base.fallback_layout if base is not None else None
