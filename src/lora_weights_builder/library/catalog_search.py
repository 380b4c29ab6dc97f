"""Searching the catalogue: from a :class:`SearchQuery` to SQL and back to a page and its cursor.

Search text is literal. Three characters and more are found through the trigram index, fewer by looking at every row.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeGuard, get_args

import orjson
import sqlalchemy as sa
from sqlalchemy.sql.operators import custom_op

from lora_weights_builder.errors import UsageError
from lora_weights_builder.library import organise_store, pair_store, rows
from lora_weights_builder.library.conditions import CONDITIONS
from lora_weights_builder.library.database import (
    ARCHITECTURE_KEY,
    LAYOUT_KEY,
    RANK_KEY,
    STRENGTH_KEY,
    lora,
)
from lora_weights_builder.records import LoraRow, SearchPage, SearchQuery, StateFilter

MAX_LIMIT: Final = 500
MAX_TEXT: Final = 500
EXACT_TOTAL: Final = 10_000
MAX_OFFSET: Final = 10_000_000
TRIGRAM: Final = 3
SAMPLE: Final = 1_000
COMMON: Final = 2  # a sample that says so many times 10,000 is not wrong about 10,000 itself
STATE_FILTERS: Final[tuple[str, ...]] = get_args(StateFilter)

_SORTS: Final[dict[str, tuple[sa.ColumnElement[Any], ...]]] = {
    "stable_id": (lora.c.id_prefix, lora.c.id_number),
    "filename": (lora.c.name_key,),
    "base": (lora.c.base_model_code, lora.c.name_key),
    "category": (lora.c.category_code, lora.c.name_key),
    "layout": (sa.literal_column(LAYOUT_KEY), lora.c.name_key),
    "rank": (sa.literal_column(RANK_KEY),),
    "size": (lora.c.size_bytes,),
    "modified": (lora.c.mtime_ns,),
    "added": (lora.c.created_at,),
    "strength": (sa.literal_column(STRENGTH_KEY),),
    "architecture": (sa.literal_column(ARCHITECTURE_KEY), lora.c.name_key),
    "role": (lora.c.role, lora.c.name_key),
    "adapter": (lora.c.adapter_types, lora.c.name_key),
    "blocks": (lora.c.block_count, lora.c.name_key),
}
SORT_KEYS: Final = tuple(_SORTS)
# Not read for a list: they are long, or stand behind the long ones, and only the view of one entry shows them.
_UNLISTED: Final = frozenset(
    {"metadata", "summary", "search_text", "base_model_evidence", "condition", *rows.ENERGY_COLUMNS}
)
# What other tables say of an entry; without it ``rows.lora_row`` makes no row.
_BESIDE: Final = (pair_store.PARTNER, *organise_store.COLUMNS)
LISTED: Final = [*(column for column in lora.c if column.name not in _UNLISTED), *_BESIDE]
WHOLE: Final = [*lora.c, *_BESIDE]


def search(connection: sa.Connection, query: SearchQuery) -> SearchPage:
    """One page of a search. Raises UsageError where the query cannot be meant."""
    keys, descending = _sort(query)
    check(query)
    text = text_of(query)
    total, exact = _total(connection, query, text)
    # A text that most entries hold is found sooner in the order wanted than by sorting all that hold it.
    by_index = exact and len(text) >= TRIGRAM
    conditions = [*conditions_of(query, by_id=by_index), *holds(text, by_index=by_index)]
    offset = query.offset
    # First only which rows, out of an index alone; then the rows themselves, which are wide.
    statement = sa.select(*(key.label(f"key_{n}") for n, key in enumerate(keys))).where(*conditions)
    if query.cursor:
        values, offset = _read_cursor(query, len(keys))
        bound = sa.tuple_(*(sa.bindparam(None, value) for value in values))
        row = sa.tuple_(*keys)
        statement = statement.where(row < bound if descending else row > bound)
    else:
        statement = statement.offset(query.offset)
    # Of few matches all are looked up and put in order: in the order wanted they may all stand at the far end.
    ordered = [_unindexed(key) for key in keys] if exact and _is_narrow(query) else keys
    order = [key.desc() if descending else key.asc() for key in ordered]
    found = connection.execute(statement.order_by(*order).limit(query.limit + 1)).all()
    page = [tuple(row) for row in found[: query.limit]]
    cursor = _cursor(query, page[-1], offset + len(page)) if len(found) > query.limit else None
    listed = sa.select(*LISTED).where(lora.c.id.in_([row[-1] for row in page]))
    by_id = {row["id"]: rows.lora_row(row) for row in connection.execute(listed).mappings()}
    return SearchPage(tuple(by_id[row[-1]] for row in page), total, exact, query.limit, offset, cursor)


def iterate(connection: sa.Connection, query: SearchQuery) -> Iterator[LoraRow]:
    """Every row of a search in its order, a page at a time."""
    keys, descending = _sort(query)
    query = replace(query, limit=MAX_LIMIT, offset=0, cursor=None)
    check(query)
    order = [key.desc() if descending else key.asc() for key in keys]
    text = text_of(query)
    conditions = [*conditions_of(query, by_id=len(text) >= TRIGRAM), *holds(text, by_index=True)]
    statement = sa.select(*LISTED).where(*conditions).order_by(*order)
    for row in connection.execution_options(yield_per=MAX_LIMIT).execute(statement).mappings():
        yield rows.lora_row(row)


def _sort(query: SearchQuery) -> tuple[tuple[sa.ColumnElement[Any], ...], bool]:
    descending = query.sort.startswith("-")
    keys = _SORTS.get(query.sort.removeprefix("-"))
    if keys is None:
        raise UsageError(f"sort is {query.sort!r}, and must be one of {', '.join(SORT_KEYS)}.", subject="sort")
    return (*keys, lora.c.id), descending


def _is_narrow(query: SearchQuery) -> bool:
    """Whether a filter is set that an index finds the entries of."""
    by_value = (query.base, query.category, query.layout, query.architecture, query.role)
    return any(map(is_given, by_value)) or bit_of(query.state) is not None


def _unindexed(key: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The same value, but not what an index is sorted by."""
    return sa.UnaryExpression(key, operator=custom_op("+"), type_=key.type)


def check(query: SearchQuery) -> None:
    """Refuse what no page can be made of. Raises UsageError, which names the parameter."""
    if not 1 <= query.limit <= MAX_LIMIT:
        raise UsageError(f"limit is {query.limit}, and must be from 1 to {MAX_LIMIT}.", subject="limit")
    if not 0 <= query.offset <= MAX_OFFSET:
        raise UsageError(f"offset is {query.offset}, and must be from 0 to {MAX_OFFSET}.", subject="offset")
    if len(query.text) > MAX_TEXT:
        raise UsageError(f"The search text is longer than {MAX_TEXT} characters.", subject="search")


def conditions_of(
    query: SearchQuery, *, without: str | None = None, by_id: bool = False
) -> list[sa.ColumnElement[bool]]:
    """The filters but the text, and but those that a facet's values would be chosen by. ``by_id`` keeps them away from
    their indexes, for queries that know the ids already: SQLite would sooner walk a whole index and look each id up in
    the list."""

    def plain(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column.concat("") if by_id else column

    conditions = _state(query, plain(lora.c.state), by_id=by_id)
    exact: dict[sa.ColumnElement[Any], str | None] = {
        lora.c.base_model_code: query.base,
        lora.c.category_code: query.category,
        sa.literal_column(LAYOUT_KEY): query.layout,
        sa.literal_column(ARCHITECTURE_KEY): query.architecture,
        lora.c.role: query.role,
    }
    conditions += [plain(column) == storable(value) for column, value in exact.items() if is_given(value)]
    if is_given(query.adapter):
        conditions.append(sa.func.instr(lora.c.adapter_types, rows.dumps(query.adapter)) > 0)
    # By a sum, because an index on ranks is of no use: a range of them is most of a library.
    rank = lora.c.rank + 0
    if query.rank_min is not None:
        conditions.append(rank >= query.rank_min)
    if query.rank_max is not None:
        conditions.append(rank <= query.rank_max)
    if query.has_blocks is not None:
        conditions.append(lora.c.has_block_weights == int(query.has_blocks))
    favourite = None if without == "favourite" else query.favourite
    return conditions + organise_store.filters(favourite, () if without == "tag" else query.tags)


def is_given(value: str | None) -> TypeGuard[str]:
    """Whether a filter filters: empty and ``ALL`` mean any."""
    return value is not None and value != "" and value.upper() != "ALL"


def bit_of(state: str) -> int | None:
    """The bit of ``lora.condition`` that a state filter asks for; ``None`` for those that ask for none."""
    name = "unreadable" if state == "failed" else state
    return 1 << list(CONDITIONS).index(name) if name in CONDITIONS else None


def _state(query: SearchQuery, column: sa.ColumnElement[Any], *, by_id: bool) -> list[sa.ColumnElement[bool]]:
    if query.state not in STATE_FILTERS:
        raise UsageError(f"state is {query.state!r}, and must be one of {', '.join(STATE_FILTERS)}.", subject="state")
    if query.state == "any":
        return []
    if query.state == "missing":
        return [column == "missing"]
    present = column == "present"
    bit = bit_of(query.state)
    if bit is not None:
        wanted = [value for value in range(1 << len(CONDITIONS)) if value & bit]
        condition = lora.c.condition + 0 if by_id else lora.c.condition
        return [present, condition.in_(wanted)]
    # Of these there are many: they are found sooner in the order wanted than by their condition.
    return [present, lora.c.condition + 0 == 0] if query.state == "ok" else [present]


def text_of(query: SearchQuery) -> str:
    """The text looked for, as ``search_text`` is stored: without case."""
    return storable(query.text).casefold()


def holds(text: str, *, by_index: bool) -> list[sa.ColumnElement[bool]]:
    """The condition that an entry's text holds ``text`` literally: by trigrams, or row by row where it is too short."""
    if not text:
        return []
    if "\x00" in text:
        return [sa.false()]  # stored text has none
    if len(text) < TRIGRAM or not by_index:
        return [sa.func.instr(lora.c.search_text, text) > 0]
    return [lora.c.id.in_(_matching(text))]


def _matching(text: str) -> sa.TextualSelect:
    """The ids of entries that hold the text, by the trigram index; a phrase in quotes has no operators."""
    phrase = '"' + text.replace('"', '""') + '"'
    found = sa.text("SELECT rowid FROM lora_search WHERE lora_search MATCH :phrase").bindparams(phrase=phrase)
    return found.columns(sa.column("rowid", sa.Integer))


def storable(text: str) -> str:
    """The text as the database can compare it; a lone surrogate, which UTF-8 lacks, becomes ``?``."""
    return text.encode("utf-8", "replace").decode() if any("\ud800" <= c <= "\udfff" for c in text) else text


def _total(connection: sa.Connection, query: SearchQuery, text: str) -> tuple[int, bool]:
    """The number of matches: exact up to 10,000, beyond that reckoned from a sample."""
    looked_at = [*conditions_of(query, by_id=True), *holds(text, by_index=False)]
    if text and _is_common(connection, text):
        estimate = _sampled(connection, looked_at)
        if estimate > COMMON * EXACT_TOTAL:
            return estimate, False
    conditions = [*conditions_of(query, by_id=len(text) >= TRIGRAM), *holds(text, by_index=True)]
    first = sa.select(lora.c.id).where(*conditions).limit(EXACT_TOTAL + 1).subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(first)).scalar_one()
    if count <= EXACT_TOTAL:
        return count, True
    return max(count, _sampled(connection, looked_at)), False


def _is_common(connection: sa.Connection, text: str) -> bool:
    """Whether so many entries may hold the text that a look at all of them is worth avoiding."""
    if len(text) < TRIGRAM or "\x00" in text:
        return True
    first = _matching(text).subquery()
    some = sa.select(first.c.rowid).limit(EXACT_TOTAL + 1).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one() > EXACT_TOTAL


def _sampled(connection: sa.Connection, conditions: Sequence[sa.ColumnElement[bool]]) -> int:
    """How many entries meet the conditions, judged by some hundreds of them at even distances."""
    low = connection.execute(sa.select(sa.func.min(lora.c.id))).scalar()
    high = connection.execute(sa.select(sa.func.max(lora.c.id))).scalar()  # both at once would read every row
    if low is None or high is None:
        return 0
    width = high - low + 1
    drawn = sorted({low + width * n // SAMPLE for n in range(SAMPLE)})
    among = sa.func.json_each(orjson.dumps(drawn).decode()).table_valued("value")
    statement = sa.select(sa.func.count()).where(lora.c.id.in_(sa.select(among.c.value)), *conditions)
    matched: int = connection.execute(statement).scalar_one()
    return matched * int(width) // len(drawn)


def _cursor(query: SearchQuery, values: Sequence[object], offset: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([query.sort, offset, *values])).decode().rstrip("=")


def _read_cursor(query: SearchQuery, length: int) -> tuple[list[Any], int]:
    fault = UsageError("The cursor is not one that this search gave; ask for the first page again.", subject="cursor")
    text = query.cursor or ""
    try:
        sort, offset, *values = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as cause:
        raise fault from cause
    sound = sort == query.sort and type(offset) is int and 0 <= offset < 1 << 63 and len(values) == length
    if not sound or not all(isinstance(value, str | int | float) for value in values):
        raise fault
    if any(isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 for value in values):
        raise fault
    return values, offset
