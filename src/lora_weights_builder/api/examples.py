"""Examples that the OpenAPI document shows, of the answers that are too long to stand beside their model."""

from __future__ import annotations

from typing import Any, Final

ROW: Final[dict[str, Any]] = {
    "id": 57, "stable_id": "FLX-CLT-057", "file_path": "/loras/FLUX/08 - Clothing/coat.safetensors",
    "rel_path": "FLUX/08 - Clothing/coat.safetensors", "lora_name": "FLUX/08 - Clothing/coat.safetensors",
    "filename": "coat.safetensors", "root_id": 1, "base_model_code": "FLX", "base_model_name": "FLUX",
    "category_code": "CLT", "category_name": "Clothing", "role": "clothing", "model_family": "flux",
    "architecture": "flux1", "variant": None, "lora_type": "lora", "adapter_types": ["lora"], "rank": 16,
    "alpha": 16.0, "block_layout": "flux_transformer_38", "block_count": 38, "has_block_weights": True,
    "pending": False, "fallback": False, "fallback_reason": None, "clip_contributor": False, "clip_tensor_count": 0,
    "strength": 3.75, "weights": [0.25, 1.0, 0.5], "size_bytes": 87654321, "content_hash": "5f" * 32,
    "state": "present", "stale": False, "stale_reason": None, "duplicate_of": None, "pair_id": None, "error": None,
    "error_code": None, "warnings": [], "title": "A coat", "trigger_words": ["coat"], "revision": 1,
    "last_modified": "2026-05-04T10:11:12Z", "created_at": "2026-05-05T08:00:00Z",
    "updated_at": "2026-05-05T08:00:00Z", "favourite": True, "tags": ["winter"], "set_by_person": ["category"],
}  # fmt: skip
BLOCK: Final[dict[str, Any]] = {
    "block_index": 7, "label": "S07", "group": "single", "weight": 0.412345, "raw_strength": 1.234567, "present": True,
    "rank": 16, "alpha": 16.0, "parameters": 491520, "rms_change": 0.0001797487, "stable_rank": 2.25,
    "energy_rank": {"90": 6, "95": 9, "99": 15}, "singular_values": [0.823045, 0.5, 0.25], "modules": 2,
}  # fmt: skip
MODULE: Final[dict[str, Any]] = {
    "part": "model", "module": "single_blocks_7_linear2", "canonical": "single_blocks.7.linear2", "block_index": 7,
    "label": "S07", "kind": "lora", "strength_kind": "delta", "norm": 1.234567, "rms_change": 0.0001797487,
    "rank": 16, "alpha": 16.0, "parameters": 294912, "stable_rank": 2.25,
    "energy_rank": {"90": 6, "95": 9, "99": 15}, "singular_values": [0.823045, 0.5, 0.25], "complete": False,
    "counted": True,
}  # fmt: skip
PREVIEW: Final[dict[str, Any]] = {"url": "/api/lora/FLX-CLT-057/preview", "file": "coat.preview.png"}
SIDECAR: Final[dict[str, Any]] = {
    "trigger_words": ["long coat"], "base_model": "Flux.1 D", "model_name": "Coats", "model_id": 1234,
    "version_name": "v2", "version_id": 5678, "description": "Coats of all lengths.", "tags": ["clothing"],
    "sha256": "7e" * 32, "sha256_matches": None,
    "said_by": {"model_name": "coat.civitai.info", "trigger_words": "coat.json"},
    "files": [{"name": "coat.json", "program": "Automatic1111 or Forge", "problem": None}],
}  # fmt: skip
DETAIL: Final[dict[str, Any]] = {
    **ROW,
    "hashes": {"blake3": None, "sha256": None, "autov3": None},
    "ambiguous_architectures": [], "architecture_evidence": "tensors", "base_model_evidence": "folder",
    "pair": None, "preview": PREVIEW, "sidecar": SIDECAR, "dialect": "kohya", "tensor_count": 114,
    "unmatched_tensor_count": 0, "strength_kinds": ["delta"], "parameters": 18677760,
    "energy_rank": {"90": 6, "95": 9, "99": 15}, "blocks": [BLOCK], "validation_warnings": [],
    "metadata": {"ss_network_dim": "16"}, "notes": "Best below 0.8.",
    "summary": {
        "base_model": "flux1", "base_checkpoint": None, "title": "A coat", "author": None, "trigger_words": ["coat"],
        "tags": [["coat", 42]], "declared_rank": 16, "declared_alpha": 16.0, "resolution": [1024, 1024],
        "date": "2026-05-01", "trainer": "sd-scripts", "steps": 2000, "epochs": 10, "license": None,
        "description": None,
    },
    "history": [{"at": "2026-05-05T08:00:00Z", "kind": "added", "before": None, "after": None, "note": None}],
    "duplicates": [],
}  # fmt: skip
INDEX_STATUS: Final[dict[str, Any]] = {
    "indexing": True, "job_id": 3, "phase": "data", "done": 120, "total": 812, "bytes_done": 12345678901,
    "bytes_total": 98765432109, "current": "FLUX/08 - Clothing/coat.safetensors", "elapsed_sec": 6.1,
    "eta_sec": 35.0, "counts": {"added": 3}, "error_count": 1,
    "errors": [{"path": "/loras/FLUX/broken.safetensors", "reason": "bad header"}], "failure": None,
    "last_result": None, "last_scan": "2026-05-05T08:00:00Z", "total_loras": 812, "with_blocks": 790,
    "pending": 692, "missing": 0, "failed": 1, "duplicates": 12, "duration_last_scan_sec": 41.5,
}  # fmt: skip
