"""Entries of a real library over HTTP: search, details, blocks, export."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import httpx2
import pytest

ROW_FIELDS_OF_THE_EXISTING_CLIENT = {
    "id", "stable_id", "filename", "file_path", "base_model_code", "category_code", "lora_type", "block_layout",
    "has_block_weights", "role", "block_count",
}  # fmt: skip
FIELDS_SHARED_WITH_INSPECT = {
    "file_path", "lora_name", "filename", "size_bytes", "content_hash", "hashes", "architecture", "model_family",
    "base_model_code", "lora_type", "adapter_types", "rank", "alpha", "block_layout", "has_block_weights", "fallback",
    "fallback_reason", "block_count", "clip_contributor", "clip_tensor_count", "unmatched_tensor_count", "error",
    "warnings", "blocks", "metadata", "ambiguous_architectures", "architecture_evidence", "variant", "energy_rank",
    "parameters",
}  # fmt: skip
COAT, TORN, INK, ADA = "FLX-CLT-001", "FLX-CLT-002", "FLX-STL-001", "SDX-PPL-001"


def ids(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["stable_id"] for row in answer.json()["results"]]


def test_a_search_gives_all_entries_with_counts(client: httpx2.Client) -> None:
    body = client.get("/api/lora/search").json()
    assert [row["stable_id"] for row in body["results"]] == [COAT, TORN, INK, ADA]
    assert {key: body[key] for key in ("count", "total", "total_is_exact", "limit", "offset", "next_cursor")} == {
        "count": 4, "total": 4, "total_is_exact": True, "limit": 50, "offset": 0, "next_cursor": None,
    }  # fmt: skip
    assert body["facets"] is None
    for row in body["results"]:
        assert set(row) >= ROW_FIELDS_OF_THE_EXISTING_CLIENT


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"base": "FLX"}, [COAT, TORN, INK]),
        ({"base": "flx", "category": "clt"}, [COAT, TORN]),
        ({"base": "ALL", "category": "ALL"}, [COAT, TORN, INK, ADA]),
        ({"has_blocks": "1"}, [COAT, INK, ADA]),
        ({"has_blocks": "0"}, [TORN]),
        ({"layout": "flux_transformer_38"}, [COAT]),
        ({"layout": " FLUX_Transformer_38 "}, [COAT]),
        ({"layout": "no_such_layout"}, []),
        ({"architecture": "sdxl"}, [ADA]),
        ({"adapter": "lora"}, [COAT, INK, ADA]),
        ({"role": "style"}, [INK]),
        ({"state": "failed"}, [TORN]),
        ({"state": "fallback"}, [TORN]),
        ({"state": "missing"}, []),
        ({"search": "coat"}, [COAT]),
        ({"search": "100%_i"}, [INK]),
        ({"search": "%"}, [INK]),
        ({"search": "co_t"}, []),
        ({"search": '" OR 1=1 --'}, []),
        ({"search": "coat OR ada"}, []),
        ({"sort": "-stable_id"}, [ADA, INK, TORN, COAT]),
        ({"sort": "filename"}, [INK, ADA, COAT, TORN]),
    ],
)
def test_filters_and_sorts(client: httpx2.Client, filters: dict[str, str], expected: list[str]) -> None:
    assert ids(client.get("/api/lora/search", params=filters)) == expected


def test_pages_by_offset_and_by_cursor_hold_the_same(client: httpx2.Client) -> None:
    first = client.get("/api/lora/search", params={"limit": 3}).json()
    assert (first["count"], first["total"]) == (3, 4)
    by_cursor = client.get("/api/lora/search", params={"limit": 3, "cursor": first["next_cursor"]})
    by_offset = client.get("/api/lora/search", params={"limit": 3, "offset": 3})
    assert ids(by_cursor) == ids(by_offset) == [ADA]
    assert by_cursor.json()["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "e30", "AAAA", "x" * 2000, "'; drop"])
def test_a_cursor_that_is_not_ours_is_refused(client: httpx2.Client, cursor: str) -> None:
    answer = client.get("/api/lora/search", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "usage")


def test_facets_count_what_each_filter_could_take(client: httpx2.Client) -> None:
    facets = client.get("/api/lora/search", params={"facets": "1", "base": "FLX"}).json()["facets"]
    assert {value["value"]: value["count"] for value in facets["base"]} == {"FLX": 3, "SDX": 1}
    assert {value["value"]: value["count"] for value in facets["category"]} == {"CLT": 2, "STL": 1}


def test_the_earlier_name_of_search_answers_the_same(client: httpx2.Client) -> None:
    params = {"base": "FLX", "limit": "2", "facets": "1"}
    assert client.get("/api/lora/catalog", params=params).json() == client.get("/api/lora/search", params=params).json()


def test_an_entry_tells_everything(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{COAT}").json()
    assert set(body) >= FIELDS_SHARED_WITH_INSPECT | ROW_FIELDS_OF_THE_EXISTING_CLIENT | {"history", "duplicate_of"}
    assert body["clip_contributor"] is False
    assert (body["block_layout"], body["block_count"], body["architecture"]) == ("flux_transformer_38", 38, "flux1")
    assert (body["rank"], body["alpha"], body["role"], body["state"]) == (1, 1.0, "clothing", "present")
    assert body["lora_name"].replace("\\", "/") == "FLUX/08 - Clothing/coat.safetensors"
    assert body["blocks"] == client.get(f"/api/lora/{COAT}/blocks").json()["blocks"]
    assert [event["kind"] for event in body["history"]] == ["added"]
    assert body["hashes"] == {"blake3": None, "sha256": None, "autov3": None}


def test_text_encoder_tensors_make_a_clip_contributor(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{INK}").json()
    assert (body["clip_contributor"], body["clip_tensor_count"]) == (True, 2)


def test_blocks_stand_in_the_layout_s_order_with_labels_and_absent_ones(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{COAT}/blocks").json()
    blocks: list[dict[str, Any]] = body.pop("blocks")
    assert body == {
        "stable_id": COAT, "has_block_weights": True, "block_layout": "flux_transformer_38", "block_count": 38,
        "fallback": False, "fallback_reason": None, "validation_warnings": [],
    }  # fmt: skip
    assert [block["block_index"] for block in blocks] == list(range(38))
    assert [block["label"] for block in blocks[:3]] == ["S00", "S01", "S02"]
    assert [block["present"] for block in blocks] == [True] * 3 + [False] * 35
    assert [block["weight"] for block in blocks[:4]] == [0.333333, 0.666667, 1.0, 0.0]
    assert all(math.isclose(block["raw_strength"], i + 1, rel_tol=1e-6) for i, block in enumerate(blocks[:3]))
    assert blocks[3]["raw_strength"] == 0.0


def test_a_flux_file_that_could_not_be_read_shows_the_neutral_fallback_and_why(client: httpx2.Client) -> None:
    body = client.get(f"/api/lora/{TORN}/blocks").json()
    assert (body["block_layout"], body["fallback"], body["has_block_weights"]) == ("flux_fallback_16", True, False)
    assert body["fallback_reason"]
    assert [block["weight"] for block in body["blocks"]] == [1.0] * 16
    assert {block["raw_strength"] for block in body["blocks"]} == {None}


def test_the_export_is_a_csv_of_six_decimals_to_save(client: httpx2.Client) -> None:
    answer = client.get(f"/api/lora/{COAT}/export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="FLX-CLT-001_blocks.csv"'
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[:4] == [
        ["block_index", "weight", "raw_strength"],
        ["0", "0.333333", "1.000000"],
        ["1", "0.666667", "2.000000"],
        ["2", "1.000000", "3.000000"],
    ]
    assert len(rows) == 39


def test_where_nothing_was_measured_there_is_nothing_to_export(client: httpx2.Client) -> None:
    answer = client.get(f"/api/lora/{TORN}/export")
    assert (answer.status_code, answer.json()["code"], answer.json()["subject"]) == (404, "not_found", TORN)


@pytest.mark.parametrize("path", ["", "/blocks", "/modules", "/export"])
@pytest.mark.parametrize("stable_id", ["FLX-CLT-999", "flx-clt-001 ", "<b>", "100%25"])
def test_an_id_that_nobody_has_is_not_found(client: httpx2.Client, stable_id: str, path: str) -> None:
    answer = client.get(f"/api/lora/{stable_id}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
