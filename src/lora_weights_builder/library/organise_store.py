"""What a person says of entries, as the catalogue keeps it. The rules are in ``organise.py``; each function is inside
the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import sqlalchemy as sa

from lora_weights_builder.errors import Conflict, NotFound, UsageError
from lora_weights_builder.library import rows
from lora_weights_builder.library.conventions import Conventions
from lora_weights_builder.library.database import lora
from lora_weights_builder.library.organise import (
    AUTOMATIC,
    MAX_IDS,
    MAX_TAGS,
    Change,
    Choice,
    checked,
    chosen,
    shown,
    tag_key,
)
from lora_weights_builder.library.organise_tables import (
    lora_choice,
    lora_favourite,
    lora_note,
    lora_tag,
    saved_search,
    tag,
)
from lora_weights_builder.records import SavedSearch

MAX_SEARCHES: Final = 500
_CHOICE: Final = [lora_choice.c[name] for name in Choice.__slots__]


def _of_entry(table: sa.Table, value: sa.ColumnElement[Any], label: str) -> sa.ColumnElement[Any]:
    return sa.select(value).where(table.c.lora_id == lora.c.id).correlate(lora).scalar_subquery().label(label)


_names: Final = (
    sa.select(tag.c.name)
    .select_from(lora_tag.join(tag))
    .where(lora_tag.c.lora_id == lora.c.id)
    .order_by(tag.c.name_key)
    .correlate(lora)
    .subquery()
)
COLUMNS: Final[tuple[sa.ColumnElement[Any], ...]] = (
    _of_entry(lora_favourite, sa.literal_column("1"), "favourite"),
    sa.select(sa.func.json_group_array(_names.c.name)).correlate(lora).scalar_subquery().label("tags"),
    _of_entry(lora_choice, lora_choice.c.base_model_code.is_not(None), "base_is_chosen"),
    _of_entry(lora_choice, lora_choice.c.category_code.is_not(None), "category_is_chosen"),
    _of_entry(lora_choice, lora_choice.c.role.is_not(None), "role_is_chosen"),
)
"""What a list shows of these, beside the columns of ``lora``."""


def filters(favourite: bool | None, tags: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    """The conditions on ``lora`` of a search for favourites (or for the others) and for entries with all these tags."""
    favourites = sa.select(lora_favourite.c.lora_id)
    conditions: list[sa.ColumnElement[bool]] = []
    if favourite is not None:
        conditions.append(lora.c.id.in_(favourites) if favourite else lora.c.id.not_in(favourites))
    for name in tags:
        tagged = sa.select(lora_tag.c.lora_id).join(tag).where(tag.c.name_key == tag_key(name))
        conditions.append(lora.c.id.in_(tagged))
    return conditions


def notes_of(connection: sa.Connection, lora_id: int) -> str:
    """What somebody noted of an entry; empty where nobody did."""
    found = connection.execute(sa.select(lora_note.c.text).where(lora_note.c.lora_id == lora_id)).scalar_one_or_none()
    return found or ""


def organise(connection: sa.Connection, stable_ids: Sequence[str], change: Change, conventions: Conventions) -> int:
    """Make one change to all these entries, or to none.

    Returns:
        The number of entries.

    Raises:
        NotFound: one of them is not there. UsageError: the change cannot be made; Conflict: it gives one too many tags.
    """
    wanted = list(dict.fromkeys(stable_ids))
    if not 1 <= len(wanted) <= MAX_IDS:
        raise UsageError(f"There are {len(wanted)} ids, and must be 1 to {MAX_IDS}.", subject="ids")
    change = checked(change)
    ids = _ids(connection, wanted)
    if change.favourite is not None:
        _replace(connection, lora_favourite, ids, [{"lora_id": one} for one in ids] if change.favourite else [])
    if change.notes is not None:
        written = [{"lora_id": one, "text": change.notes} for one in ids] if change.notes else []
        _replace(connection, lora_note, ids, written)
    if change.tags is not None or change.add_tags or change.remove_tags:
        _tag(connection, ids, change)
    if change.chooses:
        _choose(connection, ids, change, conventions)
    return len(ids)


def with_choice(connection: sa.Connection, lora_id: int, columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns to store for an entry whose file was inspected: a person's choice stands, whatever a scan finds."""
    found = connection.execute(sa.select(*_CHOICE).where(lora_choice.c.lora_id == lora_id)).one_or_none()
    if found is None:
        return dict(columns)
    automatic = {name: columns[name] for name in AUTOMATIC}
    connection.execute(
        lora_choice.update().where(lora_choice.c.lora_id == lora_id).values(automatic=rows.dumps(automatic))
    )
    return {**columns, **shown(automatic, columns["architecture"], Choice(*found))}


def searches(connection: sa.Connection) -> list[SavedSearch]:
    """The saved searches, by name."""
    found = connection.execute(sa.select(saved_search).order_by(saved_search.c.name_key)).all()
    return [SavedSearch(row.id, row.name, row.query, row.created_at) for row in found]


def save_search(connection: sa.Connection, name: str, query: str) -> SavedSearch:
    """Keep a search. Raises Conflict where the name is taken or there are too many."""
    name = " ".join(name.split())
    if not name:
        raise UsageError("A saved search needs a name.", subject="name")
    known = connection.execute(sa.select(saved_search.c.name_key)).scalars().all()
    if name.casefold() in known:
        raise Conflict(f"There is a saved search {name!r} already; delete it first or take another name.", subject=name)
    if len(known) >= MAX_SEARCHES:
        raise Conflict(f"There are {MAX_SEARCHES} saved searches, the most there can be; delete one first.")
    values = {"name": name, "name_key": name.casefold(), "query": query, "created_at": rows.now()}
    connection.execute(saved_search.insert().values(**values))
    return next(one for one in searches(connection) if one.name == name)


def delete_search(connection: sa.Connection, search_id: int) -> None:
    """Drop a saved search. Raises NotFound."""
    if connection.execute(saved_search.delete().where(saved_search.c.id == search_id)).rowcount == 0:
        raise NotFound(f"There is no saved search {search_id}.", subject=str(search_id))


def _ids(connection: sa.Connection, wanted: Sequence[str]) -> list[int]:
    among = sa.func.json_each(rows.dumps(wanted)).table_valued("value")
    statement = sa.select(lora.c.stable_id, lora.c.id).where(lora.c.stable_id.in_(sa.select(among.c.value)))
    known: dict[str, int] = dict(connection.execute(statement).all())
    for stable_id in wanted:
        if stable_id not in known:
            raise NotFound(f"No entry has the id {stable_id!r}; nothing was changed.", subject=stable_id)
    return [known[stable_id] for stable_id in wanted]


def _among(table: sa.Table, ids: Sequence[int]) -> sa.ColumnElement[bool]:
    given = sa.func.json_each(rows.dumps(list(ids))).table_valued("value")
    return table.c.lora_id.in_(sa.select(given.c.value))


def _replace(
    connection: sa.Connection, table: sa.Table, ids: Sequence[int], written: Sequence[Mapping[str, Any]]
) -> None:
    connection.execute(table.delete().where(_among(table, ids)))
    if written:
        connection.execute(table.insert(), list(written))


def _tag(connection: sa.Connection, ids: Sequence[int], change: Change) -> None:
    names = {tag_key(name): name for name in (*(change.tags or ()), *change.add_tags)}
    known = dict(connection.execute(sa.select(tag.c.name_key, tag.c.id)).all())
    for key in names.keys() - known.keys():
        connection.execute(tag.insert().values(name=names[key], name_key=key))
    known = dict(connection.execute(sa.select(tag.c.name_key, tag.c.id)).all())
    if change.tags is not None:
        connection.execute(lora_tag.delete().where(_among(lora_tag, ids)))
    links = [{"lora_id": one, "tag_id": known[key]} for one in ids for key in names]
    if links:
        connection.execute(lora_tag.insert().prefix_with("OR IGNORE"), links)
    removed = [known[key] for key in map(tag_key, change.remove_tags) if key in known]
    if removed:
        connection.execute(lora_tag.delete().where(_among(lora_tag, ids), lora_tag.c.tag_id.in_(removed)))
    full = (
        sa.select(lora_tag.c.lora_id)
        .where(_among(lora_tag, ids))
        .group_by(lora_tag.c.lora_id)
        .having(sa.func.count() > MAX_TAGS)
    )
    if connection.execute(full.limit(1)).first() is not None:
        raise Conflict(f"An entry would have more than {MAX_TAGS} tags; nothing was changed.", subject="add_tags")
    connection.execute(tag.delete().where(tag.c.id.not_in(sa.select(lora_tag.c.tag_id))))


def _choose(connection: sa.Connection, ids: Sequence[int], change: Change, conventions: Conventions) -> None:
    columns = [lora.c.id, lora.c.architecture, *(lora.c[name] for name in AUTOMATIC)]
    among = sa.func.json_each(rows.dumps(list(ids))).table_valued("value")
    entries = connection.execute(sa.select(*columns).where(lora.c.id.in_(sa.select(among.c.value)))).mappings().all()
    stored = {
        row["lora_id"]: row
        for row in connection.execute(sa.select(lora_choice).where(_among(lora_choice, ids))).mappings()
    }
    at, kept = rows.now(), []
    for entry in entries:
        before = stored.get(entry["id"])
        if before is None:
            choice, automatic = Choice(), {name: entry[name] for name in AUTOMATIC}
        else:
            choice = Choice(**{name: before[name] for name in Choice.__slots__})
            automatic = orjson.loads(before["automatic"])
        choice = chosen(choice, change, conventions)
        values = shown(automatic, entry["architecture"], choice)
        connection.execute(lora.update().where(lora.c.id == entry["id"]).values(**values, updated_at=at))
        if not choice.is_empty:
            named = {name: getattr(choice, name) for name in Choice.__slots__}
            kept.append({"lora_id": entry["id"], **named, "automatic": rows.dumps(automatic)})
    _replace(connection, lora_choice, ids, kept)
