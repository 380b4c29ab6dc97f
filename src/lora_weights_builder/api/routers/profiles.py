"""Profiles of block multipliers over HTTP: list, save, rename, change, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from lora_weights_builder.api.deps import CatalogDep
from lora_weights_builder.api.profile_schemas import (
    DeletedProfile,
    Profile,
    ProfileBody,
    ProfileChange,
    ProfilesAnswer,
    SavedProfile,
)
from lora_weights_builder.api.routers.lora import StableId
from lora_weights_builder.builder import profiles as rules
from lora_weights_builder.library import profile_store

router = APIRouter(prefix="/api/lora", tags=["profiles"])

ProfileId = Annotated[int, Path(ge=1, le=profile_store.MAX_ID, description="A profile's id.", examples=[3])]


@router.get("/{stable_id}/profiles")
def list_profiles(stable_id: StableId, catalog: CatalogDep) -> ProfilesAnswer:
    """The profiles of one entry, also of one whose file is missing."""
    found = profile_store.profiles_of(catalog, stable_id)
    return ProfilesAnswer(
        stable_id=found.stable_id,
        block_layout=found.block_layout,
        block_count=found.block_count,
        lowest=rules.LOWEST,
        highest=rules.HIGHEST,
        profiles=_all(found),
    )


@router.post("/{stable_id}/profiles", status_code=201)
def create_profile(stable_id: StableId, body: ProfileBody, catalog: CatalogDep) -> SavedProfile:
    """Save a new profile; 400 where it does not fit the layout, 409 where the entry has one of this name."""
    return _saved(profile_store.create(catalog, stable_id, body.profile_name, body.block_weights))


@router.put("/{stable_id}/profiles/{profile_id}")
def change_profile(
    stable_id: StableId, profile_id: ProfileId, body: ProfileChange, catalog: CatalogDep
) -> SavedProfile:
    """Rename a profile, give it other multipliers, or both. New multipliers are for the entry's layout of now."""
    changed = profile_store.change(catalog, stable_id, profile_id, name=body.profile_name, weights=body.block_weights)
    return _saved(changed)


@router.delete("/{stable_id}/profiles/{profile_id}")
def delete_profile(stable_id: StableId, profile_id: ProfileId, catalog: CatalogDep) -> DeletedProfile:
    """Delete a profile."""
    left = profile_store.remove(catalog, stable_id, profile_id)
    return DeletedProfile(stable_id=stable_id, deleted=profile_id, profiles=_all(left))


def _saved(saved: profile_store.Saved) -> SavedProfile:
    shown = _shown(saved.profile)
    return SavedProfile(**dict(shown), stable_id=saved.entry.stable_id, profiles=_all(saved.entry))


def _all(found: rules.EntryProfiles) -> list[Profile]:
    return [_shown(one) for one in found.profiles]


def _shown(profile: rules.Profile) -> Profile:
    return Profile(
        id=profile.id,
        profile_name=profile.profile_name,
        block_layout=profile.block_layout,
        block_weights=list(profile.block_weights),
        created_at=profile.created_at,
        updated_at=profile.updated_at,
        fits=profile.misfit is None,
        misfit=profile.misfit,
    )
