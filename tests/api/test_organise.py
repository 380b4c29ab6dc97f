"""Organising over HTTP: one entry, many, and saved searches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.support import make_library, make_settings, running

COAT, TORN, INK, ADA = "FLX-CLT-001", "FLX-CLT-002", "FLX-STL-001", "SDX-PPL-001"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[httpx2.Client]:
    """A client of a server whose library this test may change."""
    root = make_library(tmp_path / "loras")
    with running(make_settings(tmp_path), index_at_start=[root]) as server:
        server.app.state.jobs.wait(60)
        with server.client() as client:
            yield client


def ids(client: httpx2.Client, **params: Any) -> list[str]:
    return [row["stable_id"] for row in client.get("/api/lora/search", params=params).json()["results"]]


def test_one_entry_is_changed_found_again_and_reset(own: httpx2.Client) -> None:
    change = {"favourite": True, "tags": ["Winter"], "notes": "below 0.8", "base": "SDX", "category": "STL"}
    body = own.patch(f"/api/lora/{COAT}", json=change).json()
    assert {name: body[name] for name in ("favourite", "tags", "notes", "base_model_code", "base_model_name")} == {
        "favourite": True, "tags": ["Winter"], "notes": "below 0.8", "base_model_code": "SDX",
        "base_model_name": "Stable Diffusion XL",
    }  # fmt: skip
    assert (body["category_code"], body["role"], body["stable_id"]) == ("STL", "style", COAT)
    assert (body["set_by_person"], body["base_model_evidence"]) == (["base", "category"], None)
    assert body["block_layout"] == "flux_transformer_38"
    assert ids(own, tag="winter") == ids(own, favourite="1") == [COAT]
    assert ids(own, base="SDX") == [COAT, ADA]
    body = own.patch(f"/api/lora/{COAT}", json={"reset": ["base", "category"]}).json()
    assert (body["base_model_code"], body["category_code"], body["set_by_person"]) == ("FLX", "CLT", [])


def test_a_scan_over_http_leaves_a_choice_alone(own: httpx2.Client) -> None:
    own.patch(f"/api/lora/{ADA}", json={"category": "CLT"})
    assert own.post(f"/api/lora/reindex_one/{ADA}").json()["lora"]["category_code"] == "CLT"
    assert own.get(f"/api/lora/{ADA}").json()["set_by_person"] == ["category"]


def test_many_are_changed_at_once_or_none(own: httpx2.Client) -> None:
    answer = own.post("/api/lora/organise", json={"ids": [COAT, INK], "add_tags": ["a", "b"], "role": "pose"})
    assert answer.json() == {"status": "success", "count": 2}
    assert ids(own, tag=["a", "b"], role="pose") == [COAT, INK]
    answer = own.post("/api/lora/organise", json={"ids": [COAT, "FLX-CLT-999"], "favourite": True})
    assert (answer.status_code, answer.json()["subject"]) == (404, "FLX-CLT-999")
    assert ids(own, favourite="1") == []


@pytest.mark.parametrize(
    "body",
    [
        {"favourite": "yes"},
        {"tags": [""]},
        {"tags": ["x" * 61]},
        {"notes": "x" * 20_001},
        {"base": "XYZ"},
        {"role": "villain"},
        {"reset": ["stable_id"]},
        {"base": "FLX", "reset": ["base"]},
        {"stable_id": "FLX-CLT-007"},
    ],
)
def test_a_change_that_cannot_be_made_is_refused(client: httpx2.Client, body: dict[str, Any]) -> None:
    assert client.patch(f"/api/lora/{COAT}", json=body).status_code == 422


def test_a_lone_surrogate_in_a_tag_is_refused(client: httpx2.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (rb'{"add_tags": ["\ud800"]}', rb'{"notes": "\ud800"}', rb'{"base": "\ud800"}'):
        answer = client.patch(f"/api/lora/{COAT}", content=body, headers=headers)
        assert answer.status_code in {400, 422}, answer.text


def test_ids_are_limited(client: httpx2.Client) -> None:
    for given in ([], [COAT] * 1001):
        assert client.post("/api/lora/organise", json={"ids": given, "favourite": True}).status_code == 422


def test_what_may_be_chosen_is_told(client: httpx2.Client) -> None:
    body = client.get("/api/choices").json()
    assert {"code": "FLX", "name": "Flux"} in body["bases"]
    assert {"code": "CLT", "name": "Clothing", "number": 8, "role": "clothing"} in body["categories"]
    assert {"character", "style", "clothing", "pose", "utility", "environment", "other"} == set(body["roles"])


def test_searches_are_saved_listed_and_deleted(own: httpx2.Client) -> None:
    kept = own.post("/api/searches", json={"name": "Coats", "query": "search=coat"}).json()
    assert own.post("/api/searches", json={"name": "coats", "query": ""}).status_code == 409
    assert own.get("/api/searches").json() == {"searches": [kept], "count": 1}
    assert own.delete(f"/api/searches/{kept['id']}").json() == {"status": "deleted", "id": kept["id"]}
    assert own.delete(f"/api/searches/{kept['id']}").status_code == 404


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"state": "unreadable"}, [TORN]),
        ({"state": "ok"}, [COAT, INK, ADA]),
        ({"state": "pending"}, []),
        ({"rank": "1"}, [COAT, INK, ADA]),
        ({"rank": "1-4", "rank_min": "2"}, []),
        ({"rank": "5-"}, []),
        ({"rank_max": "1"}, [COAT, INK, ADA]),
        ({"rank": "all", "tag": "ALL", "favourite": "ALL"}, [COAT, TORN, INK, ADA]),
        ({"sort": "-blocks"}, [COAT, ADA, INK, TORN]),
        ({"sort": "architecture"}, [TORN, INK, COAT, ADA]),
        ({"sort": "role"}, [ADA, COAT, TORN, INK]),
        ({"sort": "-adapter"}, [TORN, COAT, ADA, INK]),
    ],
)
def test_the_further_filters_and_sorts(client: httpx2.Client, filters: dict[str, str], expected: list[str]) -> None:
    assert ids(client, **filters) == expected


def test_facets_have_values_that_their_filters_take(client: httpx2.Client) -> None:
    facets = client.get("/api/lora/search", params={"facets": "1"}).json()["facets"]
    assert facets["state"] == [
        {"value": "ok", "label": "Nothing to report", "count": 3},
        {"value": "fallback", "label": "Not measured", "count": 1},
        {"value": "unreadable", "label": "Unreadable", "count": 1},
    ]
    assert [(value["value"], value["count"]) for value in facets["rank"]] == [(None, 1), ("1-4", 3)]
    assert ids(client, rank="1-4") == [COAT, INK, ADA]
