"""The preview image beside a LoRA file, by the entry's id."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from lora_weights_builder.api.deps import CatalogDep
from lora_weights_builder.api.routers.lora import StableId
from lora_weights_builder.library.preview_file import MEDIA_TYPES, open_preview

router = APIRouter(prefix="/api/lora", tags=["library"])

IfNoneMatch = Annotated[str, Header(max_length=1000, description="The `ETag` of an earlier answer.")]
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The image, in the type that its own bytes say.",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES},
    },
    304: {"description": "The image is still the one that `If-None-Match` names."},
}


@router.get("/{stable_id}/preview", response_class=Response, responses=_ANSWERS)
def get_preview(stable_id: StableId, catalog: CatalogDep, if_none_match: IfNoneMatch = "") -> Response:
    """The image beside the entry's file. 404 also where it is no image, too large, or outside the library."""
    preview = open_preview(catalog, stable_id)
    tag = f'"{preview.tag}"'
    # Kept by the browser but asked for each time: the file may be another under the same address.
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in {part.strip().removeprefix("W/") for part in if_none_match.split(",")}:
        preview.close()
        return Response(status_code=304, headers=headers)
    return StreamingResponse(preview.chunks(), media_type=preview.media_type, headers=headers)
