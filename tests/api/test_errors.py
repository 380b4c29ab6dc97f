"""Every error answers in one shape, and tells nothing of the code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from lora_weights_builder.errors import (
    Busy,
    CatalogError,
    ConfigError,
    Conflict,
    FileRejected,
    LwbError,
    NotFound,
    RootUnavailable,
    UsageError,
)
from tests.api.support import Running, make_settings, running

SHAPE = {"detail", "code", "subject", "fields"}


class Numbers(BaseModel):
    """A body, as the routes to come will take them."""

    numbers: list[float]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(make_settings(tmp_path_factory.mktemp("errors"))) as one:

        def boom() -> None:
            raise RuntimeError("/secret/path in a message")

        def echo(body: Numbers) -> Numbers:
            return body

        def raises(name: str) -> None:
            raise DELIBERATE[name]

        one.app.add_api_route("/api/test/boom", boom)
        one.app.add_api_route("/api/test/echo", echo, methods=["POST"])
        one.app.add_api_route("/api/test/raises/{name}", raises)
        yield one


DELIBERATE: dict[str, LwbError] = {
    "usage": UsageError("Give a text.", subject="search"),
    "rejected": FileRejected("Torn.", subject="a.safetensors", code="bad_header"),
    "config": ConfigError("Bad setting."),
    "catalog": CatalogError("The disk is full."),
    "busy": Busy("Process 7 indexes."),
    "not_found": NotFound("No such entry.", subject="X"),
    "root": RootUnavailable("Unplugged."),
    "conflict": Conflict("Two files claim it."),
}
EXPECTED = {
    "usage": (422, "usage"),
    "rejected": (422, "bad_header"),
    "config": (500, "config"),
    "catalog": (503, "catalog"),
    "busy": (409, "busy"),
    "not_found": (404, "not_found"),
    "root": (409, "root_unavailable"),
    "conflict": (409, "conflict"),
}


@pytest.mark.parametrize("name", sorted(DELIBERATE))
def test_a_deliberate_error_gives_its_status_code_and_subject(server: Running, name: str) -> None:
    with server.client() as client:
        answer = client.get(f"/api/test/raises/{name}")
    error = DELIBERATE[name]
    assert (answer.status_code, answer.json()["code"]) == EXPECTED[name]
    assert answer.json() == {
        "detail": error.message,
        "code": EXPECTED[name][1],
        "subject": error.subject,
        "fields": [],
    }


def _refusals() -> list[tuple[str, str, dict[str, Any], int, str]]:
    json = {"headers": {"Content-Type": "application/json"}}
    return [
        ("GET", "/api/nowhere", {}, 404, "not_found"),
        ("PUT", "/api/nowhere", {}, 404, "not_found"),
        ("DELETE", "/api/lora/search", {}, 405, "method_not_allowed"),
        ("POST", "/api/layouts", {}, 405, "method_not_allowed"),
        ("GET", "/api/lora/reindex_all/x/y", {}, 404, "not_found"),
        ("GET", "/api/lora/search?limit=0", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?limit=501", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?limit=ten", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?offset=-1", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?sort=size;drop", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?state=gone", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?has_blocks=maybe", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?search=a%00b", {}, 422, "invalid_request"),
        ("GET", "/api/lora/search?search=" + "x" * 201, {}, 422, "invalid_request"),
        ("GET", "/api/lora/" + "x" * 129, {}, 422, "invalid_request"),
        ("POST", "/api/lora/reindex_all?wait=perhaps", {}, 422, "invalid_request"),
        ("POST", "/api/test/echo", {"content": b"{", **json}, 400, "bad_json"),
        ("POST", "/api/test/echo", {"content": b"[" * 100_000, **json}, 400, "bad_json"),
        ("POST", "/api/test/echo", {"content": b"\xff\xfe", **json}, 400, "bad_json"),
        ("POST", "/api/test/echo", {"json": {"numbers": "x"}}, 422, "invalid_request"),
        ("POST", "/api/test/echo", {"content": b"a=1"}, 415, "not_json"),
        ("POST", "/api/test/echo", {}, 422, "invalid_request"),
        ("GET", "/api/test/boom", {}, 500, "internal"),
    ]


@pytest.mark.parametrize(("method", "path", "sent", "status", "code"), _refusals())
def test_every_refusal_has_the_one_shape(
    server: Running, method: str, path: str, sent: dict[str, Any], status: int, code: str
) -> None:
    with server.client() as client:
        answer = client.request(method, path, **sent)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert set(body) == SHAPE
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for leak in ("Traceback", "secret", "site-packages", "RuntimeError"):
        assert leak not in answer.text


def test_a_refused_parameter_is_named_and_what_was_sent_is_not_repeated(server: Running) -> None:
    with server.client() as client:
        body = client.get("/api/lora/search", params={"limit": "9999", "sort": "<script>"}).json()
    assert {problem["field"] for problem in body["fields"]} == {"query.limit", "query.sort"}
    assert "<script>" not in str(body)


def test_a_method_that_is_not_allowed_names_those_that_are(server: Running) -> None:
    with server.client() as client:
        answer = client.post("/api/layouts")
    assert answer.headers["allow"] == "GET"


def test_the_server_goes_on_after_a_fault_of_its_own(server: Running) -> None:
    with server.client() as client:
        assert client.get("/api/test/boom").status_code == 500
        assert client.get("/health").status_code == 200
