"""What lies beside a LoRA, from records into the fields of :mod:`lora_weights_builder.api.sidecar_schemas`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from lora_weights_builder import records


def sidecar_fields(sidecar: records.Sidecar | None) -> dict[str, Any] | None:
    """The fields of a ``Sidecar``; ``None`` where nothing beside the file says anything."""
    if sidecar is None:
        return None
    return {
        **asdict(sidecar.facts),
        "sha256_matches": sidecar.sha256_matches,
        "said_by": sidecar.said_by,
        "files": sidecar.files,
    }


def preview_fields(detail: records.LoraDetail) -> dict[str, str] | None:
    """The fields of a ``Preview``; ``None`` where the file has none, or is not there any more."""
    if detail.preview is None or detail.row.state != "present":
        return None
    return {"url": f"/api/lora/{quote(detail.row.stable_id, safe='')}/preview", "file": detail.preview}
