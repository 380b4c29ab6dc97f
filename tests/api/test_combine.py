"""Combining entries over HTTP, and selections kept under a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from lora_weights_builder.api.combine_schemas import CombineAnswer, CombineRefusal
from tests.api.support import Running, flux_single_lora, make_library, make_settings, running

COAT, HAT, TORN, INK, ADA = "FLX-CLT-001", "FLX-CHT-001", "FLX-CLT-002", "FLX-STL-001", "SDX-PPL-001"
FIELDS = {
    "compatible", "validated_base_model", "validated_layout", "included_loras", "excluded_loras", "reasons",
    "warnings", "node_payloads", "response_schema_version", "combined",
}  # fmt: skip
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("combine")
    root = make_library(folder / "loras")
    flux_single_lora(root / "FLUX" / "06 - Characters" / "hatter.safetensors", (0, 2), scale=2.0)
    with running(make_settings(folder), index_at_start=[root]) as one:
        one.app.state.jobs.wait(60)
        yield one


@pytest.fixture
def client(server: Running) -> Iterator[httpx2.Client]:
    with server.client() as one:
        yield one


def combine(client: httpx2.Client, ids: list[str], **per_lora: Any) -> httpx2.Response:
    answer = client.post("/api/lora/combine", json={"stable_ids": ids, "per_lora": per_lora.get("per_lora", {})})
    (CombineAnswer if answer.status_code == 200 else CombineRefusal).model_validate(answer.json())
    return answer


def test_two_of_one_kind_go_together_each_with_its_own_strengths(client: httpx2.Client) -> None:
    settings = {COAT: {"strength_model": 0.6, "strength_clip": 0.5, "affect_clip": True, "A": 2.5, "B": 1.5}}
    answer = combine(client, [COAT, HAT, COAT], per_lora=settings)
    body = answer.json()
    assert (answer.status_code, set(body)) == (200, FIELDS)
    assert (body["compatible"], body["validated_base_model"], body["validated_layout"]) == (
        True, "FLX", "flux_transformer_38",
    )  # fmt: skip
    assert [one["stable_id"] for one in body["included_loras"]] == [COAT, HAT]
    assert (body["excluded_loras"], body["reasons"]) == ([], [])
    coat, hat = body["node_payloads"]
    assert (coat["strength_model"], coat["A"], coat["B"]) == (0.6, 2.5, 1.5)
    assert (hat["strength_model"], hat["A"], hat["B"]) == (1.0, 4.0, 1.0)
    assert (coat["filename"], coat["role"], hat["role"]) == ("coat.safetensors", "clothing", "character")
    assert (coat["advised_strength_model"], hat["advised_strength_model"]) == (0.48, 1.12)
    assert coat["block_weights"] == [1.0] * 38
    assert coat["block_weights_csv"] == ",".join(["1.000000"] * 38)


def test_a_lora_without_text_encoder_tensors_gets_none_of_its_strength(client: httpx2.Client) -> None:
    body = combine(client, [COAT], per_lora={COAT: {"strength_clip": 0.9}}).json()
    [payload] = body["node_payloads"]
    assert (payload["clip_contributor"], payload["affect_clip"], payload["strength_clip"]) == (False, False, 0.0)
    assert body["warnings"] == [f"{COAT}: holds no text-encoder tensors, so strength_clip is set to 0"]
    [payload] = combine(client, [INK], per_lora={INK: {"strength_clip": 0.9}}).json()["node_payloads"]
    assert (payload["clip_contributor"], payload["affect_clip"], payload["strength_clip"]) == (True, True, 0.9)


def test_a_profile_of_the_entry_is_what_it_is_loaded_with(client: httpx2.Client) -> None:
    address = f"/api/lora/{COAT}/profiles"
    weights = [0.25, *[1.0] * 37]
    made = client.post(address, json={"profile_name": "p", "block_weights": weights}).json()
    [payload] = combine(client, [COAT], per_lora={COAT: {"profile_id": made["id"]}}).json()["node_payloads"]
    assert payload["block_weights"] == weights
    nobody = combine(client, [HAT], per_lora={HAT: {"profile_id": made["id"]}})
    assert (nobody.status_code, nobody.json()["subject"]) == (404, f"per_lora.{HAT}.profile_id")


def test_what_was_not_measured_or_is_not_there_is_left_out_with_the_reason(client: httpx2.Client) -> None:
    body = combine(client, [TORN, COAT, "FLX-CLT-999"]).json()
    assert body["compatible"] is True
    torn, gone = body["excluded_loras"]
    assert (torn["stable_id"], torn["filename"], torn["role"], torn["reason_code"]) == (
        TORN, "torn.safetensors", "clothing", "fallback_excluded",
    )  # fmt: skip
    assert torn["reason_detail"]
    assert (gone["filename"], gone["reason_code"], gone["reason_detail"]) == (
        None, "missing_lora", "no entry has this id",
    )  # fmt: skip
    assert [(one["code"], one["stable_ids"]) for one in body["reasons"]] == [
        ("fallback_excluded", [TORN]),
        ("missing_lora", ["FLX-CLT-999"]),
    ]


@pytest.mark.parametrize(
    ("ids", "codes"),
    [
        ([], ["no_loras"]),
        ([TORN], ["fallback_excluded", "all_loras_excluded"]),
        (["FLX-CLT-999"], ["missing_lora", "all_loras_excluded"]),
        ([COAT, INK], ["layout_mismatch"]),
        ([COAT, ADA], ["base_model_mismatch", "layout_mismatch"]),
    ],
)
def test_what_does_not_go_together_is_a_bad_request_with_the_same_under_detail(
    client: httpx2.Client, ids: list[str], codes: list[str]
) -> None:
    answer = combine(client, ids)
    body = answer.json()
    assert (answer.status_code, body["code"], set(body["detail"])) == (400, "not_combinable", FIELDS)
    detail = body["detail"]
    assert (detail["compatible"], detail["node_payloads"], detail["combined"]) == (False, [], None)
    assert [one["code"] for one in detail["reasons"]] == codes


def test_the_average_is_there_for_an_existing_client_and_marked_deprecated(
    server: Running, client: httpx2.Client
) -> None:
    combined = combine(client, [COAT, HAT]).json()["combined"]
    assert set(combined) == {
        "strength_model", "strength_clip", "block_weights_model", "block_weights_model_csv", "block_weights_clip",
        "block_weights_clip_csv",
    }  # fmt: skip
    assert combined["strength_model"] == 1.0
    assert combined["block_weights_model"][:4] == [0.333333, 0.2, 1.0, 0.0]
    field = server.app.openapi()["components"]["schemas"]["CombineAnswer"]["properties"]["combined"]
    assert field["deprecated"] is True


@pytest.mark.parametrize(
    "body",
    [
        '{"stable_ids": "FLX-CLT-001"}',
        '{"stable_ids": [1]}',
        '{"stable_ids": ["\\u0000"]}',
        '{"stable_ids": ["\\ud800"]}',
        '{"stable_ids": ["FLX-CLT-001"], "per_lora": {"FLX-CLT-001": {"strength_model": NaN}}}',
        '{"stable_ids": ["FLX-CLT-001"], "per_lora": {"FLX-CLT-001": {"strength_clip": 1e999}}}',
        '{"stable_ids": ["FLX-CLT-001"], "per_lora": {"FLX-CLT-001": {"A": 101}}}',
        '{"stable_ids": ["FLX-CLT-001"], "per_lora": {"FLX-CLT-001": {"profile_id": 0}}}',
        '{"stable_ids": [' + ",".join(['"x"'] * 101) + "]}",
        "[]",
        "{",
    ],
)
@pytest.mark.parametrize("address", ["/api/lora/combine", "/api/lora/combined-profile"])
def test_a_body_that_is_no_selection_is_refused(server: Running, address: str, body: str) -> None:
    assert server.raw("POST", address, JSON, body.encode()).status in {400, 422}


def test_a_selection_is_kept_under_a_name_and_combined_again(client: httpx2.Client) -> None:
    sent = {"profile_name": "tea party", "stable_ids": [HAT, COAT], "per_lora": {HAT: {"strength_model": 0.7}}}
    answer = client.post("/api/lora/combined-profile", json=sent)
    kept = answer.json()
    settings = {"strength_clip": None, "affect_clip": None, "A": None, "B": None, "profile_id": None}
    assert answer.status_code == 201
    assert (kept["profile_name"], kept["stable_ids"]) == ("tea party", [HAT, COAT])
    assert kept["per_lora"] == {HAT: {"strength_model": 0.7, **settings}}
    by_id, by_name = f"/api/lora/combined-profile/{kept['id']}", "/api/lora/combined-profile/by-name/tea party"
    assert client.get(by_id).json() == client.get(by_name).json() == kept
    assert client.get("/api/lora/combined-profiles").json() == {"profiles": [kept], "count": 1}
    assert client.post("/api/lora/combined-profile", json=sent).status_code == 409
    again = client.post("/api/lora/combine", json=kept)
    assert [one["strength_model"] for one in again.json()["node_payloads"]] == [0.7, 1.0]
    assert client.delete(by_id).json() == kept
    assert [client.get(by_id).status_code, client.get(by_name).status_code] == [404, 404]


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"profile_name": ""}, "profile_name"),
        ({"profile_name": None}, "profile_name"),
        ({"profile_name": "a/b"}, "profile_name"),
        ({"stable_ids": []}, "stable_ids"),
        ({"stable_ids": [COAT, "FLX-CLT-999"]}, "stable_ids"),
    ],
)
def test_a_selection_that_cannot_be_kept_is_a_bad_request(
    client: httpx2.Client, changes: dict[str, Any], subject: str
) -> None:
    answer = client.post("/api/lora/combined-profile", json={"profile_name": "x", "stable_ids": [COAT], **changes})
    assert (answer.status_code, answer.json()["code"], answer.json()["subject"]) == (400, "bad_field", subject)
    assert client.get("/api/lora/combined-profiles").json()["count"] == 0
