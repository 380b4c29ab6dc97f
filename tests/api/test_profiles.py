"""Profiles over HTTP: what is taken, what is refused and how, and that nothing odd is ever stored."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.support import Running, make_library, make_settings, running

COAT, TORN, INK, ADA = "FLX-CLT-001", "FLX-CLT-002", "FLX-STL-001", "SDX-PPL-001"
ADDRESS = f"/api/lora/{COAT}/profiles"
HALF = [0.5] * 38
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("profiles")
    with running(make_settings(folder), index_at_start=[make_library(folder / "loras")]) as one:
        one.app.state.jobs.wait(60)
        yield one


@pytest.fixture
def client(server: Running) -> Iterator[httpx2.Client]:
    """A client of a server without any profile."""
    with server.client() as one:
        yield one
        for stable_id in (COAT, TORN, INK):
            for profile in one.get(f"/api/lora/{stable_id}/profiles").json()["profiles"]:
                one.delete(f"/api/lora/{stable_id}/profiles/{profile['id']}")


def create(client: httpx2.Client, name: object = "soft", weights: object = HALF) -> httpx2.Response:
    return client.post(ADDRESS, json={"profile_name": name, "block_weights": weights})


def stored(client: httpx2.Client) -> list[dict[str, Any]]:
    answer = client.get(ADDRESS)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["profiles"]
    return found


def test_an_entry_says_what_a_profile_has_to_hold(client: httpx2.Client) -> None:
    assert client.get(ADDRESS).json() == {
        "stable_id": COAT, "block_layout": "flux_transformer_38", "block_count": 38, "lowest": -10.0, "highest": 10.0,
        "profiles": [],
    }  # fmt: skip
    assert client.get(f"/api/lora/{TORN}/profiles").json()["block_layout"] == "flux_fallback_16"


def test_a_profile_is_created_and_listed_with_every_digit(client: httpx2.Client) -> None:
    weights = [0.1, -0.30000000000000004, 10, *[1] * 35]
    answer = create(client, " soft ", weights)
    body = answer.json()
    assert answer.status_code == 201
    profiles = body.pop("profiles")
    assert body.pop("stable_id") == COAT
    assert set(body) == {
        "id", "profile_name", "block_layout", "block_weights", "created_at", "updated_at", "fits", "misfit",
    }  # fmt: skip
    assert (body["profile_name"], body["block_weights"], body["fits"], body["misfit"]) == ("soft", weights, True, None)
    assert profiles == stored(client) == [body]


def test_a_copy_is_a_post_under_another_name_and_the_same_name_a_conflict(client: httpx2.Client) -> None:
    first = create(client).json()
    assert create(client, "soft copy", first["block_weights"]).status_code == 201
    again = create(client)
    assert (again.status_code, again.json()["code"], again.json()["subject"]) == (409, "conflict", "profile_name")
    renamed = client.put(f"{ADDRESS}/{first['id']}", json={"profile_name": "soft copy"})
    assert renamed.status_code == 409
    assert [one["profile_name"] for one in stored(client)] == ["soft", "soft copy"]


def test_a_profile_is_changed_in_part_or_whole_and_deleted(client: httpx2.Client) -> None:
    own = f"{ADDRESS}/{create(client).json()['id']}"
    renamed = client.put(own, json={"profile_name": "softer"})
    assert (renamed.status_code, renamed.json()["profile_name"], renamed.json()["block_weights"]) == (
        200, "softer", HALF,
    )  # fmt: skip
    both = client.put(own, json={"profile_name": "loud", "block_weights": [2.0] * 38})
    assert (both.json()["profile_name"], both.json()["block_weights"]) == ("loud", [2.0] * 38)
    empty = client.put(own, json={})
    assert (empty.status_code, empty.json()["code"]) == (400, "bad_field")
    gone = client.delete(own)
    assert (gone.status_code, gone.json()["profiles"]) == (200, [])
    assert [client.delete(own).status_code, client.put(own, json={"profile_name": "x"}).status_code] == [404, 404]


@pytest.mark.parametrize(
    ("body", "subject", "words"),
    [
        ({"profile_name": "x", "block_weights": [1.0] * 37}, "block_weights", "expected 38 numbers"),
        ({"profile_name": "x", "block_weights": [1.0] * 37}, "block_weights", "found 37"),
        ({"profile_name": "x", "block_weights": []}, "block_weights", "found 0"),
        ({"profile_name": "x"}, "block_weights", "a list of 38 numbers"),
        ({"profile_name": "x", "block_weights": "1,1"}, "block_weights", "a list of 38 numbers"),
        ({"profile_name": "x", "block_weights": [*[1.0] * 37, "1"]}, "block_weights.37", "not a number"),
        ({"profile_name": "x", "block_weights": [11, *[1.0] * 37]}, "block_weights.0", "from -10 to 10"),
        ({"block_weights": HALF}, "profile_name", "has to be a text"),
        ({"profile_name": "", "block_weights": HALF}, "profile_name", "has 0 characters"),
        ({"profile_name": "a\nb", "block_weights": HALF}, "profile_name", "control character"),
    ],
)
def test_a_body_that_is_no_profile_is_a_bad_request_that_names_the_field(
    client: httpx2.Client, body: dict[str, Any], subject: str, words: str
) -> None:
    answer = client.post(ADDRESS, json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["subject"]) == (400, "bad_field", subject)
    assert words in answer.json()["detail"]
    assert stored(client) == []


@pytest.mark.parametrize(
    "text",
    [
        "[NaN" + ",1" * 37 + "]",
        "[Infinity" + ",1" * 37 + "]",
        "[-Infinity" + ",1" * 37 + "]",
        "[1e999" + ",1" * 37 + "]",
        "[" + "9" * 5000 + ",1" * 37 + "]",
        "[" * 50_000 + "]" * 50_000,
        "[null" + ",1" * 37 + "]",
    ],
    ids=["nan", "inf", "-inf", "overflow", "long int", "deep", "null"],
)
def test_numbers_that_are_none_are_refused_and_never_stored(server: Running, client: httpx2.Client, text: str) -> None:
    body = '{"profile_name": "odd", "block_weights": ' + text + "}"
    assert server.raw("POST", ADDRESS, JSON, body.encode()).status == 400
    own = f"{ADDRESS}/{create(client).json()['id']}"
    assert server.raw("PUT", own, JSON, body.encode()).status == 400
    [kept] = stored(client)
    assert (kept["profile_name"], kept["block_weights"]) == ("soft", HALF)


def test_only_json_is_taken(server: Running, client: httpx2.Client) -> None:
    body = b'{"profile_name": "x", "block_weights": []}'
    assert server.raw("POST", ADDRESS, {"Content-Type": "text/plain"}, body).status == 415
    for broken in (b"{", b"[]", b"7", b"\xff\xfe", b'{"profile_name": "\\ud800", "block_weights": []}'):
        assert server.raw("POST", ADDRESS, JSON, broken).status in {400, 422}
    assert stored(client) == []


def test_an_entry_without_measured_blocks_has_profiles_of_its_sixteen(client: httpx2.Client) -> None:
    address = f"/api/lora/{TORN}/profiles"
    assert client.post(address, json={"profile_name": "x", "block_weights": [1.0] * 16}).status_code == 201
    assert client.post(address, json={"profile_name": "y", "block_weights": [1.0] * 38}).status_code == 400


@pytest.mark.parametrize("address", ["/api/lora/FLX-CLT-999/profiles", "/api/lora/%C3%A9/profiles"])
def test_profiles_of_nobody_are_not_found(client: httpx2.Client, address: str) -> None:
    body = {"profile_name": "x", "block_weights": HALF}
    answers = [
        client.get(address),
        client.post(address, json=body),
        client.put(f"{address}/1", json=body),
        client.delete(f"{address}/1"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert {answer.json()["code"] for answer in answers} == {"not_found"}


@pytest.mark.parametrize("profile_id", ["0", "-1", "x", "1.5", "9223372036854775808", "1" * 400])
def test_an_id_that_is_none_is_refused(client: httpx2.Client, profile_id: str) -> None:
    assert client.delete(f"{ADDRESS}/{profile_id}").status_code == 422


def test_names_that_look_like_code_are_names(client: httpx2.Client) -> None:
    for name in ("=1+1", "<b>x</b>", "'; DROP TABLE lora; --", "%_", "ü" * 100, "雪"):
        assert create(client, name).json()["profile_name"] == name
    assert len(stored(client)) == 6


def test_of_many_clients_that_save_one_name_one_succeeds(server: Running, client: httpx2.Client) -> None:
    def post(number: int) -> int:
        with server.client() as one:
            return create(one, "same", [number / 10] * 38).status_code

    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(post, range(10)))
    assert statuses == [201] + [409] * 9
    assert len(stored(client)) == 1


def test_profiles_stay_when_the_file_is_gone_and_when_the_server_starts_anew(tmp_path: Path) -> None:
    root = make_library(tmp_path / "loras")
    settings = make_settings(tmp_path)
    with running(settings, index_at_start=[root]) as server, server.client() as client:
        server.app.state.jobs.wait(60)
        saved = create(client).json()
        (root / "FLUX" / "08 - Clothing" / "coat.safetensors").unlink()
        assert client.post("/api/lora/reindex_all").json()["scan"]["missing"] == 1
        assert [one["id"] for one in stored(client)] == [saved["id"]]
    with running(settings) as server, server.client() as client:
        assert client.get(f"/api/lora/{COAT}").json()["state"] == "missing"
        assert [one["block_weights"] for one in stored(client)] == [HALF]
