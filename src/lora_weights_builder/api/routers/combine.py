"""Several entries for one picture over HTTP, and selections of them kept under a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse

from lora_weights_builder.api.combine_schemas import (
    RESPONSE_SCHEMA_VERSION,
    CombineAnswer,
    CombinedAverage,
    CombinedLora,
    CombinedProfile,
    CombinedProfileBody,
    CombinedProfiles,
    CombineReason,
    CombineRefusal,
    LoraSettings,
    NodePayload,
    Selection,
)
from lora_weights_builder.api.deps import CatalogDep
from lora_weights_builder.api.routers.profiles import ProfileId
from lora_weights_builder.builder.combining import (
    OTHER,
    Asked,
    Average,
    Candidate,
    Combination,
    Payload,
    ReasonCode,
    combine,
)
from lora_weights_builder.errors import BadField, NotFound
from lora_weights_builder.inspector.block_layouts import registry
from lora_weights_builder.library import profile_store
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.records import LoraRow

router = APIRouter(prefix="/api/lora", tags=["combining"])

ProfileName = Annotated[str, Path(max_length=300, description="A combined profile's name.", examples=["portrait"])]


@router.post(
    "/combine",
    response_model=CombineAnswer,
    responses={400: {"model": CombineRefusal, "description": "They do not go together, or none can take part."}},
)
def combine_loras(body: Selection, catalog: CatalogDep) -> CombineAnswer | JSONResponse:
    """Say whether entries go together, and what a loader has to be told of each of them."""
    ids = list(dict.fromkeys(body.stable_ids))
    answer = _answer(combine([_candidate(catalog, one, body.per_lora.get(one)) for one in ids]))
    if answer.compatible:
        return answer
    refusal = CombineRefusal(detail=answer, code="not_combinable", subject="stable_ids", fields=[])
    return JSONResponse(refusal.model_dump(mode="json"), status_code=400)


@router.get("/combined-profiles")
def list_combined_profiles(catalog: CatalogDep) -> CombinedProfiles:
    """All selections that are kept under a name."""
    found = [_kept(one) for one in profile_store.combined_profiles(catalog)]
    return CombinedProfiles(profiles=found, count=len(found))


@router.post("/combined-profile", status_code=201)
def create_combined_profile(body: CombinedProfileBody, catalog: CatalogDep) -> CombinedProfile:
    """Keep a selection under a name; 409 where the name is taken."""
    settings = {stable_id: one.model_dump() for stable_id, one in body.per_lora.items()}
    return _kept(profile_store.save_combined(catalog, body.profile_name, body.stable_ids, settings))


@router.get("/combined-profile/{profile_id}")
def get_combined_profile(profile_id: ProfileId, catalog: CatalogDep) -> CombinedProfile:
    """One selection by its id."""
    return _kept(profile_store.combined_by_id(catalog, profile_id))


@router.get("/combined-profile/by-name/{name}")
def get_combined_profile_by_name(name: ProfileName, catalog: CatalogDep) -> CombinedProfile:
    """One selection by its name."""
    return _kept(profile_store.combined_by_name(catalog, name))


@router.delete("/combined-profile/{profile_id}")
def delete_combined_profile(profile_id: ProfileId, catalog: CatalogDep) -> CombinedProfile:
    """Delete a selection; answers with what it was."""
    return _kept(profile_store.remove_combined(catalog, profile_id))


def _candidate(catalog: Catalog, stable_id: str, settings: LoraSettings | None) -> Candidate:
    row = catalog.get(stable_id)
    sent = settings or LoraSettings.model_validate({})
    if row is None:
        return Candidate(
            stable_id, None, None, None, None, (), False, Asked(), ("missing_lora", "no entry has this id")
        )
    layout = registry().normalise_layout(row.block_layout)
    weights = row.weights or ()
    fits = layout is not None and len(weights) == registry().layouts[layout].block_count
    exclusion: tuple[ReasonCode, str] | None = None
    if row.state == "missing":
        exclusion = ("missing_lora", "its file is no longer in the library")
    elif row.fallback or not row.has_block_weights or not fits:
        exclusion = ("fallback_excluded", _why_unmeasured(row))
    return Candidate(
        stable_id=stable_id,
        filename=row.filename,
        role=row.role,
        base_model_code=row.base_model_code,
        block_layout=layout,
        weights=weights,
        clip_contributor=row.clip_contributor,
        asked=_asked(catalog, row, sent) if exclusion is None else Asked(),
        exclusion=exclusion,
    )


def _why_unmeasured(row: LoraRow) -> str:
    if row.pending:
        return "its blocks have not been measured yet"
    return row.fallback_reason or row.error or "none of its blocks could be measured"


def _asked(catalog: Catalog, row: LoraRow, sent: LoraSettings) -> Asked:
    usual = Asked()

    def given(value: float | None, default: float) -> float:
        return default if value is None else value

    return Asked(
        strength_model=given(sent.strength_model, usual.strength_model),
        strength_clip=given(sent.strength_clip, usual.strength_clip),
        affect_clip=usual.affect_clip if sent.affect_clip is None else sent.affect_clip,
        a=given(sent.A, usual.a),
        b=given(sent.B, usual.b),
        profile=_profile(catalog, row.stable_id, sent.profile_id),
    )


def _profile(catalog: Catalog, stable_id: str, profile_id: int | None) -> tuple[float, ...] | None:
    if profile_id is None:
        return None
    found = profile_store.profiles_of(catalog, stable_id).of_id(profile_id)
    field = f"per_lora.{stable_id}.profile_id"
    if found is None:
        raise NotFound(f"{stable_id} has no profile with the id {profile_id}.", subject=field)
    if found.misfit is not None:
        raise BadField(f"The profile {found.profile_name!r} does not fit {stable_id}: {found.misfit}.", subject=field)
    return found.block_weights


def _answer(found: Combination) -> CombineAnswer:
    return CombineAnswer(
        compatible=found.compatible,
        validated_base_model=found.base_model,
        validated_layout=found.layout,
        included_loras=[_lora(one) for one in found.included],
        excluded_loras=[_lora(one) for one in found.excluded],
        reasons=[CombineReason.model_validate(one) for one in found.reasons],
        warnings=list(found.warnings),
        node_payloads=[_payload(one) for one in found.payloads],
        response_schema_version=RESPONSE_SCHEMA_VERSION,
        combined=None if found.average is None else _average(found.average),
    )


def _lora(one: Candidate) -> CombinedLora:
    code, detail = one.exclusion or (None, None)
    return CombinedLora(
        stable_id=one.stable_id,
        filename=one.filename,
        role=one.role,
        base_model_code=one.base_model_code,
        block_layout=one.block_layout,
        reason_code=code,
        reason_detail=detail,
    )


def _payload(payload: Payload) -> NodePayload:
    one = payload.candidate
    return NodePayload(
        stable_id=one.stable_id,
        filename=one.filename or "",
        role=one.role or OTHER,
        base_model_code=one.base_model_code or "",
        block_layout=one.block_layout or "",
        clip_contributor=one.clip_contributor,
        affect_clip=payload.affect_clip,
        strength_model=payload.strength_model,
        strength_clip=payload.strength_clip,
        advised_strength_model=payload.advised_strength_model,
        advised_strength_clip=payload.advised_strength_clip,
        A=one.asked.a,
        B=one.asked.b,
        block_weights=list(payload.block_weights),
        block_weights_csv=_csv(payload.block_weights),
        orchestration_notes=list(payload.notes),
    )


def _average(average: Average) -> CombinedAverage:
    return CombinedAverage(
        strength_model=average.strength_model,
        strength_clip=average.strength_clip,
        block_weights_model=list(average.block_weights_model),
        block_weights_model_csv=_csv(average.block_weights_model),
        block_weights_clip=list(average.block_weights_clip),
        block_weights_clip_csv=_csv(average.block_weights_clip),
    )


def _csv(weights: Sequence[float]) -> str:
    return ",".join(f"{weight:.6f}" for weight in weights)


def _kept(profile: profile_store.CombinedProfile) -> CombinedProfile:
    return CombinedProfile.model_validate(profile)
