"""How many entries each value of each filter would leave: the facets of a search.

All but tags and favourites are counted together: one walk of an index counts the combinations of values there are,
some hundreds or thousands of them, and the facets are added up from these. That is quick with any filters, for a
hundred thousand entries as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library import catalog_search
from lora_weights_builder.library.conditions import CONDITIONS, FACET_COLUMNS
from lora_weights_builder.library.database import lora
from lora_weights_builder.library.organise_tables import lora_favourite, lora_tag, tag
from lora_weights_builder.records import FacetValue, SearchQuery

MAX_TAGS_COUNTED: Final = 500
RANKS: Final = ((1, 4), (5, 8), (9, 16), (17, 32), (33, 64), (65, 128), (129, None))
"""The ranges of ranks, both ends inclusive, that the facet counts."""
STATES: Final = {
    "ok": "Nothing to report", "pending": "Not read yet", "fallback": "Not measured", "unreadable": "Unreadable",
    "contradiction": "Contradictory", "duplicate": "Duplicate", "missing": "Missing",
}  # fmt: skip
_COLUMNS: Final = (lora.c.state, *(lora.c[name] for name in FACET_COLUMNS))


class Combination(NamedTuple):
    """One combination of values and how many entries have it."""

    state: str
    condition: int
    base: str
    category: str
    role: str
    architecture: str | None
    layout: str | None
    adapter_types: str
    rank: int | None
    has_blocks: int
    entries: int


def facets(connection: sa.Connection, query: SearchQuery) -> dict[str, list[FacetValue]]:
    """Counts a value for ``base``, ``category``, ``layout``, ``architecture``, ``adapter``, ``role``, ``tag`` and
    ``favourite``, most first, for ``rank`` (ranges) and ``state`` in their own order.

    Each facet ignores its own filter, so that a chosen value does not hide its neighbours.

    Raises:
        UsageError: the query cannot be meant.
    """
    catalog_search.check(query)
    text = catalog_search.text_of(query)
    holds = catalog_search.holds(text, by_index=True)
    # The filters that a combination tells are applied to the combinations; here remain text, tags and favourites.
    among = catalog_search.conditions_of(SearchQuery(state="any", tags=query.tags, favourite=query.favourite))
    statement = sa.select(*_COLUMNS, sa.func.count()).where(*among, *holds).group_by(*_COLUMNS)
    counts = count(map(Combination._make, connection.execute(statement).all()), query)
    found = {
        name: sorted(
            (FacetValue(value, _label(connection, name, value), number) for value, number in counts[name].items()),
            key=lambda facet: (-facet.count, facet.value or ""),
        )
        for name in _VALUES
    }
    order = [None, *(_range_name(low, high) for low, high in RANKS)]
    found["rank"].sort(key=lambda facet: order.index(facet.value))
    found["state"].sort(key=lambda facet: list(STATES).index(facet.value or ""))
    # These begin with what is tagged or a favourite, or with a condition: of each there is less than of entries.
    by_id = catalog_search.bit_of(query.state) is None
    tagged = catalog_search.conditions_of(query, without="tag", by_id=by_id)
    found["tag"] = _tags(connection, [*tagged, *holds])
    liked = catalog_search.conditions_of(query, without="favourite", by_id=by_id)
    found["favourite"] = _favourites(connection, [*liked, *holds])
    return found


def count(combinations: Iterable[Combination], query: SearchQuery) -> dict[str, Counter[str | None]]:
    """Facet -> value -> entries: a combination counts for a facet where all other filters let it through."""
    tests = _tests(query)
    raw: dict[str, Counter[Any]] = {name: Counter() for name in _VALUES}
    for one in combinations:
        refused = [name for name, lets_through in tests.items() if not lets_through(one)]
        if len(refused) > 1 or (refused and refused[0] not in _VALUES):
            continue
        for name in refused or _VALUES:
            raw[name][_VALUES[name](one)] += one[-1]
    counts: dict[str, Counter[str | None]] = {name: Counter() for name in _VALUES}
    for name, found in raw.items():
        for value, entries in found.items():
            for part in _PARTS[name](value) if name in _PARTS else (value,):
                counts[name][part] += entries
    return counts


def _tests(query: SearchQuery) -> dict[str, Callable[[Combination], bool]]:
    """The filters that are set, but those on text, tags and favourites."""
    is_given, storable = catalog_search.is_given, catalog_search.storable
    tests: dict[str, Callable[[Combination], bool]] = {}
    for name in ("base", "category", "layout", "architecture", "role"):
        value = getattr(query, name)
        if is_given(value):
            tests[name] = partial(_has, name=name, value=storable(value))
    if is_given(query.adapter):
        adapter = query.adapter
        tests["adapter"] = lambda one: adapter in _adapters(one.adapter_types)
    if query.rank_min is not None or query.rank_max is not None:
        low, high = query.rank_min, query.rank_max
        tests["rank"] = lambda one: (
            one.rank is not None and (low is None or one.rank >= low) and (high is None or one.rank <= high)
        )
    if query.has_blocks is not None:
        has_blocks = int(query.has_blocks)
        tests["has_blocks"] = lambda one: one.has_blocks == has_blocks
    bit = catalog_search.bit_of(query.state)
    if bit is not None:
        tests["state"] = lambda one: one.state == "present" and bool(one.condition & bit)
    elif query.state == "ok":
        tests["state"] = lambda one: one.state == "present" and one.condition == 0
    elif query.state != "any":
        tests["state"] = lambda one: one.state == query.state
    return tests


def _has(one: Combination, *, name: str, value: str) -> bool:
    return bool(getattr(one, name) == value)


def _states(value: tuple[str, int]) -> list[str | None]:
    state, condition = value
    if state == "missing":
        return ["missing"]
    return [name for bit, name in enumerate(CONDITIONS) if condition >> bit & 1] or ["ok"]


def _ranks(rank: int | None) -> list[str | None]:
    if rank is None:
        return [None]
    return [_range_name(low, high) for low, high in RANKS if low <= rank and (high is None or rank <= high)]


def _range_name(low: int, high: int | None) -> str:
    return f"{low}-{high or ''}"


@cache
def _adapters(adapter_types: str) -> tuple[str | None, ...]:
    return tuple(orjson.loads(adapter_types))


# Facet -> what of a combination it counts, and, where that is not yet a value of the facet, which values it stands for.
_VALUES: Final[dict[str, Callable[[Combination], Any]]] = {
    "base": attrgetter("base"),
    "category": attrgetter("category"),
    "layout": attrgetter("layout"),
    "architecture": attrgetter("architecture"),
    "adapter": attrgetter("adapter_types"),
    "role": attrgetter("role"),
    "rank": attrgetter("rank"),
    "state": attrgetter("state", "condition"),
}
_PARTS: Final[dict[str, Callable[[Any], Iterable[str | None]]]] = {
    "adapter": _adapters,
    "rank": _ranks,
    "state": _states,
}


def _tags(connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> list[FacetValue]:
    number = sa.func.count()
    statement = (
        sa.select(tag.c.name, number)
        .select_from(lora_tag.join(tag).join(lora))
        .where(*conditions)
        .group_by(tag.c.id)
        .order_by(number.desc(), tag.c.name_key)
        .limit(MAX_TAGS_COUNTED)
    )
    return [FacetValue(name, name, entries) for name, entries in connection.execute(statement).all()]


def _favourites(connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> list[FacetValue]:
    favourites = sa.select(lora_favourite.c.lora_id)
    statement = sa.select(sa.func.count()).select_from(lora).where(lora.c.id.in_(favourites), *conditions)
    entries = connection.execute(statement).scalar_one()
    return [FacetValue("1", "Favourites", entries)] if entries else []


def _label(connection: sa.Connection, facet: str, value: str | None) -> str:
    """What a person calls a value of a facet."""
    if value is None:
        return ""
    if facet == "category":  # the user's conventions name these; the entries remember
        statement = sa.select(lora.c.category_name).where(
            lora.c.category_code == value, lora.c.state.in_(("present", "missing"))
        )
        return connection.execute(statement.limit(1)).scalar() or value
    if facet == "base" and value in registry().base_models:
        return registry().base_models[value].name
    if facet == "architecture" and value in registry().architectures:
        return registry().architectures[value].name
    if facet == "layout" and value in registry().layouts:
        return registry().layouts[value].title
    if facet == "rank":
        low, _, high = value.partition("-")
        return f"{low} to {high}" if high else f"{low} and more"
    return STATES[value] if facet == "state" else value
