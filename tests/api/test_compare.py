"""Entries of a real library beside each other, over HTTP."""

from __future__ import annotations

import httpx2
import pytest

COAT, TORN, INK, ADA = "FLX-CLT-001", "FLX-CLT-002", "FLX-STL-001", "SDX-PPL-001"


def test_single_blocks_only_stand_beside_other_blocks_of_the_same_model(client: httpx2.Client) -> None:
    body = client.get("/api/compare", params={"ids": [COAT, INK]}).json()
    assert (body["architecture"], body["architecture_name"]) == ("flux1", "FLUX.1")
    assert [entry["compared"] for entry in body["entries"]] == [True, True]
    at = {place["label"]: place for place in body["places"]}
    assert len(at) == 57
    coat, ink = at["D03"]["values"]
    assert coat == {"state": "outside", "weight": None, "raw_strength": None, "rms_change": None}
    assert ink["state"] == "measured"
    coat = at["S02"]["values"][0]
    assert (coat["state"], coat["weight"], coat["raw_strength"]) == ("measured", 1.0, pytest.approx(3.0))
    assert at["S03"]["values"][0] == {"state": "absent", "weight": 0.0, "raw_strength": 0.0, "rms_change": None}
    assert [(group["key"], group["start"], group["count"]) for group in body["groups"]] == [
        ("double", 0, 19), ("single", 19, 38),
    ]  # fmt: skip


def test_another_architecture_is_left_out_and_says_why(client: httpx2.Client) -> None:
    body = client.get("/api/compare", params={"ids": [ADA, COAT, INK]}).json()
    assert body["architecture"] == "flux1"
    left_out, *kept = body["entries"]
    assert [entry["stable_id"] for entry in kept] == [COAT, INK]
    assert left_out["stable_id"] == ADA
    assert not left_out["compared"]
    assert left_out["reason"].startswith("It is for Stable Diffusion XL, the others are for FLUX.1: ")
    assert all(len(place["values"]) == 2 for place in body["places"])


def test_what_was_not_measured_is_left_out_and_says_why(client: httpx2.Client) -> None:
    body = client.get("/api/compare", params={"ids": [TORN, "NO-SUCH-001", COAT]}).json()
    torn, unknown, coat = body["entries"]
    assert torn["reason"]
    assert not torn["compared"]
    assert (unknown["reason"], unknown["filename"]) == ("No entry has this id.", None)
    assert coat["compared"]
    assert coat["reason"] is None
    assert body["similarities"] == []


def test_nothing_to_compare_is_an_answer_without_places(client: httpx2.Client) -> None:
    body = client.get("/api/compare", params={"ids": TORN}).json()
    assert (body["architecture"], body["groups"], body["places"]) == (None, [], [])


def test_similarity_is_of_the_shape_alone(client: httpx2.Client) -> None:
    [pair] = client.get("/api/compare", params={"ids": [COAT, INK]}).json()["similarities"]
    assert (pair["one"], pair["other"]) == (COAT, INK)
    assert pair["cosine"] is None  # single blocks here, double blocks there
    [pair] = client.get("/api/compare", params={"ids": [INK, COAT]}).json()["similarities"]
    assert (pair["one"], pair["other"]) == (INK, COAT)


def test_repeats_count_once_and_seven_are_too_many(client: httpx2.Client) -> None:
    body = client.get("/api/compare", params={"ids": [COAT, COAT]}).json()
    assert [entry["stable_id"] for entry in body["entries"]] == [COAT]
    assert client.get("/api/compare").status_code == 422
    assert client.get("/api/compare", params={"ids": [f"FLX-CLT-{n:03}" for n in range(7)]}).status_code == 422
