"""Profiles as the catalogue keeps them: those of one entry, and named selections of several.

A profile belongs to the entry, not to its file: it stays when the file is gone, moved or replaced, and says so where
its multipliers are no longer one a block. What a profile may hold is decided in ``builder/profiles.py``, here inside
the transaction that stores it, because a run may give the entry another layout at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa

from lora_weights_builder.builder.profiles import (
    EntryProfiles,
    Profile,
    checked_address_name,
    checked_name,
    checked_weights,
    misfit,
)
from lora_weights_builder.errors import BadField, Conflict, NotFound
from lora_weights_builder.inspector.block_layouts import Layout, registry
from lora_weights_builder.library import catalog_search, rows
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.database import lora
from lora_weights_builder.library.entry_layout import shown_layout
from lora_weights_builder.library.profile_tables import combined_profile, lora_profile

MAX_ID: Final = (1 << 63) - 1
"""The largest id that a column holds; larger ones cannot be asked for."""


@dataclass(frozen=True, slots=True)
class CombinedProfile:
    """A named selection of entries; ``per_lora`` holds the settings of each as they were sent, by stable id."""

    id: int
    profile_name: str
    stable_ids: tuple[str, ...]
    per_lora: Mapping[str, Mapping[str, Any]]
    created_at: str
    updated_at: str


class Saved(NamedTuple):
    """A profile just stored, and all of its entry."""

    profile: Profile
    entry: EntryProfiles


def profiles_of(catalog: Catalog, stable_id: str) -> EntryProfiles:
    """The profiles of an entry, present or missing. Raises NotFound."""
    with catalog.database.reading() as connection:
        return _Entry(connection, stable_id).profiles()


def create(catalog: Catalog, stable_id: str, name: object, weights: object) -> Saved:
    """Store a new profile.

    Raises:
        NotFound: no such entry. BadField: the name or the multipliers cannot be used. Conflict: the name is taken.
    """
    with catalog.database.writing() as connection:
        entry = _Entry(connection, stable_id)
        values = {"profile_name": entry.free_name(name), **entry.stored(weights)}
        at = rows.now()
        inserted = connection.execute(
            lora_profile.insert()
            .values(lora_id=entry.row_id, created_at=at, updated_at=at, **values)
            .returning(lora_profile.c.id)
        ).scalar_one()
        return entry.saved(inserted)


def change(catalog: Catalog, stable_id: str, profile_id: int, *, name: object, weights: object) -> Saved:
    """Give a profile another name, other multipliers (for the layout of now), or both; ``None`` leaves one as it is.

    Raises:
        NotFound: no such entry or profile. BadField, Conflict: as for :func:`create`.
    """
    if name is None and weights is None:
        raise BadField("Give profile_name, block_weights or both; there was neither.", subject="profile_name")
    with catalog.database.writing() as connection:
        entry = _Entry(connection, stable_id)
        entry.require(profile_id)
        values: dict[str, str] = {}
        if name is not None:
            values["profile_name"] = entry.free_name(name, besides=profile_id)
        if weights is not None:
            values.update(entry.stored(weights))
        connection.execute(
            lora_profile.update().where(lora_profile.c.id == profile_id).values(updated_at=rows.now(), **values)
        )
        return entry.saved(profile_id)


def remove(catalog: Catalog, stable_id: str, profile_id: int) -> EntryProfiles:
    """Delete a profile; gives those that are left. Raises NotFound."""
    with catalog.database.writing() as connection:
        entry = _Entry(connection, stable_id)
        entry.require(profile_id)
        connection.execute(lora_profile.delete().where(lora_profile.c.id == profile_id))
        return entry.profiles()


class _Entry:
    """One entry inside the caller's transaction. Raises NotFound where there is none."""

    def __init__(self, connection: sa.Connection, stable_id: str) -> None:
        statement = sa.select(*catalog_search.WHOLE).where(lora.c.stable_id == stable_id)
        # No id holds other letters, and not every text can be bound.
        row = connection.execute(statement).mappings().one_or_none() if stable_id.isascii() else None
        if row is None:
            raise NotFound(f"No entry has the id {stable_id!r}.", subject=stable_id)
        self.connection = connection
        self.row_id: int = row["id"]
        self.stable_id = stable_id
        self.layout: Layout | None = shown_layout(rows.lora_row(row), has_blocks=bool(rows.blocks_of(row)))

    def profiles(self) -> EntryProfiles:
        statement = (
            sa.select(lora_profile).where(lora_profile.c.lora_id == self.row_id).order_by(lora_profile.c.profile_name)
        )
        return EntryProfiles(
            stable_id=self.stable_id,
            block_layout=self.layout.id if self.layout else None,
            block_count=self.layout.block_count if self.layout else 0,
            profiles=tuple(_profile(row, self.layout) for row in self.connection.execute(statement).mappings()),
        )

    def saved(self, profile_id: int) -> Saved:
        found = self.profiles()
        return Saved(next(one for one in found.profiles if one.id == profile_id), found)

    def require(self, profile_id: int) -> None:
        mine = (lora_profile.c.lora_id == self.row_id) & (lora_profile.c.id == profile_id)
        if self.connection.execute(sa.select(lora_profile.c.id).where(mine)).first() is None:
            raise NotFound(f"{self.stable_id} has no profile with the id {profile_id}.", subject=str(profile_id))

    def free_name(self, value: object, besides: int | None = None) -> str:
        name = checked_name(value)
        taken = self.connection.execute(
            sa.select(lora_profile.c.id).where(
                lora_profile.c.lora_id == self.row_id,
                lora_profile.c.profile_name == name,
                lora_profile.c.id.is_not(besides),
            )
        ).first()
        if taken is not None:
            raise Conflict(
                f"{self.stable_id} has a profile named {name!r} already; choose another name.", subject="profile_name"
            )
        return name

    def stored(self, weights: object) -> dict[str, str]:
        if self.layout is None:
            raise BadField(
                f"block_weights: {self.stable_id} has no known layout, hence no blocks to give multipliers to.",
                subject="block_weights",
            )
        checked = checked_weights(weights, self.layout)
        return {"block_layout": self.layout.id, "block_weights": json.dumps(checked, allow_nan=False)}


def _profile(row: sa.RowMapping, layout: Layout | None) -> Profile:
    weights = tuple(map(float, orjson.loads(row["block_weights"])))
    saved_for = registry().normalise_layout(row["block_layout"]) or row["block_layout"]
    return Profile(
        id=row["id"],
        profile_name=row["profile_name"],
        block_layout=saved_for,
        block_weights=weights,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        misfit=misfit(saved_for, weights, layout),
    )


# --- several together


def combined_profiles(catalog: Catalog) -> list[CombinedProfile]:
    """All named selections, by name."""
    statement = sa.select(combined_profile).order_by(combined_profile.c.profile_name)
    with catalog.database.reading() as connection:
        return [_combined(row) for row in connection.execute(statement).mappings()]


def combined_by_id(catalog: Catalog, profile_id: int) -> CombinedProfile:
    """One named selection. Raises NotFound."""
    return _one_combined(catalog, combined_profile.c.id == profile_id, "the id", profile_id)


def combined_by_name(catalog: Catalog, name: str) -> CombinedProfile:
    """The same by its name, which is trimmed as it was when it was saved. Raises NotFound."""
    try:
        wanted = checked_address_name(name)
    except BadField as fault:
        raise _no_combined("the name", name) from fault
    return _one_combined(catalog, combined_profile.c.profile_name == wanted, "the name", name)


def save_combined(
    catalog: Catalog, name: object, stable_ids: Sequence[str], per_lora: Mapping[str, Mapping[str, Any]]
) -> CombinedProfile:
    """Store a selection under a new name.

    Raises:
        BadField: the name cannot be used, or the selection is empty or names no entry of the catalogue.
        Conflict: the name is taken.
    """
    wanted = checked_address_name(name)
    ids = tuple(dict.fromkeys(stable_ids))
    if not ids:
        raise BadField("stable_ids is empty; give the ids of the entries to keep together.", subject="stable_ids")
    selection = {"stable_ids": ids, "per_lora": {one: dict(per_lora[one]) for one in ids if one in per_lora}}
    with catalog.database.writing() as connection:
        asked = [one for one in ids if one.isascii()]
        known = set(connection.execute(sa.select(lora.c.stable_id).where(lora.c.stable_id.in_(asked))).scalars())
        unknown = [one for one in ids if one not in known]
        if unknown:
            raise BadField(f"stable_ids: no entry has the id {unknown[0]!r}.", subject="stable_ids")
        taken = sa.select(combined_profile.c.id).where(combined_profile.c.profile_name == wanted)
        if connection.execute(taken).first() is not None:
            raise Conflict(f"There is a combined profile named {wanted!r} already.", subject="profile_name")
        at = rows.now()
        stored = connection.execute(
            combined_profile.insert()
            .values(
                profile_name=wanted,
                selection=json.dumps(selection, allow_nan=False),
                created_at=at,
                updated_at=at,
            )
            .returning(combined_profile)
        ).mappings()
        return _combined(stored.one())


def remove_combined(catalog: Catalog, profile_id: int) -> CombinedProfile:
    """Delete a named selection; gives what it was. Raises NotFound."""
    with catalog.database.writing() as connection:
        gone = connection.execute(
            combined_profile.delete().where(combined_profile.c.id == profile_id).returning(combined_profile)
        )
        row = gone.mappings().one_or_none()
    if row is None:
        raise _no_combined("the id", profile_id)
    return _combined(row)


def _one_combined(catalog: Catalog, condition: sa.ColumnElement[bool], what: str, given: int | str) -> CombinedProfile:
    with catalog.database.reading() as connection:
        row = connection.execute(sa.select(combined_profile).where(condition)).mappings().one_or_none()
    if row is None:
        raise _no_combined(what, given)
    return _combined(row)


def _no_combined(what: str, given: int | str) -> NotFound:
    return NotFound(f"No combined profile has {what} {given!r}.", subject=str(given))


def _combined(row: sa.RowMapping) -> CombinedProfile:
    selection = orjson.loads(row["selection"])
    return CombinedProfile(
        id=row["id"],
        profile_name=row["profile_name"],
        stable_ids=tuple(selection["stable_ids"]),
        per_lora=selection["per_lora"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
