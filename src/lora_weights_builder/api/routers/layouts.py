"""The registry over HTTP: layouts, architectures, base models.

It does not change while the process lives, so each answer is put together once, tagged with its hash, and answered with
304 to whoever has it already.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Annotated, Any

import blake3
from fastapi import APIRouter, Path, Request, Response

from lora_weights_builder.api import registry_schemas as schemas
from lora_weights_builder.api.base_schema import ApiModel
from lora_weights_builder.errors import NotFound
from lora_weights_builder.inspector import block_layouts
from lora_weights_builder.inspector.block_layouts import registry

router = APIRouter(prefix="/api", tags=["registry"])

LayoutId = Annotated[str, Path(max_length=128, examples=["flux_unet_57"])]
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "As the `If-None-Match` given."}}


@router.get("/layouts", response_model=schemas.LayoutsAnswer, responses=_NOT_MODIFIED)
def list_layouts(request: Request) -> Response:
    """All layouts with their groups, blocks and labels."""
    return _answer(request, _layouts())


@router.get("/layouts/{layout_id}", response_model=schemas.Layout, responses=_NOT_MODIFIED)
def get_layout(layout_id: LayoutId, request: Request) -> Response:
    """One layout; other spellings and the names of the earlier system are understood."""
    known = registry().normalise_layout(layout_id)
    if known is None:
        raise NotFound(f"No layout has the id {layout_id!r}. `GET /api/layouts` lists them.", subject=layout_id)
    return _answer(request, _layout(known))


@router.get("/architectures", response_model=schemas.ArchitecturesAnswer, responses=_NOT_MODIFIED)
def list_architectures(request: Request) -> Response:
    """All model architectures that files are recognised as."""
    return _answer(request, _architectures())


@router.get("/model-families", response_model=schemas.ModelFamiliesAnswer, responses=_NOT_MODIFIED)
def list_model_families(request: Request) -> Response:
    """All base models, with the folder names and codes of the library."""
    return _answer(request, _families())


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A finished body and its entity tag."""

    body: bytes
    etag: str


def _tagged(answer: ApiModel) -> _Tagged:
    body = answer.model_dump_json().encode()
    return _Tagged(body, f'"{blake3.blake3(body).hexdigest(16)}"')


def _answer(request: Request, tagged: _Tagged) -> Response:
    headers = {"ETag": tagged.etag, "Cache-Control": "no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if tagged.etag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(tagged.body, media_type="application/json", headers=headers)


@cache
def _layouts() -> _Tagged:
    layouts = [_schema(layout) for layout in registry().layouts.values()]
    return _tagged(schemas.LayoutsAnswer(layouts=layouts, count=len(layouts)))


@lru_cache(maxsize=256)  # numbered ids of the earlier system are many
def _layout(layout_id: str) -> _Tagged:
    return _tagged(_schema(registry().layouts[layout_id]))


def _schema(layout: block_layouts.Layout) -> schemas.Layout:
    return schemas.Layout(
        id=layout.id,
        title=layout.title,
        family=layout.family,
        kind=layout.kind,
        block_count=layout.block_count,
        legacy=layout.legacy,
        part_of=layout.part_of,
        encoders=list(layout.encoders),
        architectures=list(layout.architectures),
        groups=[schemas.LayoutGroup.model_validate(group) for group in layout.groups],
        blocks=[
            schemas.LayoutBlock(
                block_index=block.index, label=block.label, group=block.group, group_index=block.group_index
            )
            for block in layout.blocks
        ],
    )


@cache
def _architectures() -> _Tagged:
    layouts = registry().layouts
    found = [
        schemas.Architecture(
            id=one.id,
            name=one.name,
            family=one.family,
            layout_id=one.layout_id,
            layouts=list(one.layouts),
            base_code=one.base_code,
            block_count=layouts[one.layout_id].block_count,
        )
        for one in registry().architectures.values()
    ]
    return _tagged(schemas.ArchitecturesAnswer(architectures=found, count=len(found)))


@cache
def _families() -> _Tagged:
    found = [
        schemas.ModelFamily(
            code=base.code,
            display_name=base.name,
            folder_name=base.folders[0] if base.folders else base.name,
            folder_names=list(base.folders),
            family=base.family,
            support_level=base.support_level,
            requires_layout=base.requires_layout,
            fallback_layout=base.fallback_layout,
            architectures=list(base.architectures),
            capabilities=dict(base.capabilities),
        )
        for base in registry().base_models.values()
    ]
    return _tagged(schemas.ModelFamiliesAnswer(families=found, count=len(found)))
