"""Who may ask, from where, at which addresses, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_weights_builder.api.error_shape import NOTHING_HERE
from lora_weights_builder.api.gate import MAX_BODY_BYTES, policy_for
from lora_weights_builder.api.server import create_app
from lora_weights_builder.errors import ConfigError
from tests.api.support import Running, make_settings, running

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(make_settings(tmp_path_factory.mktemp("open"))) as server:
        yield server


@pytest.fixture(scope="module")
def locked_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(make_settings(tmp_path_factory.mktemp("locked"), token=TOKEN)) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:5173", "127.0.0.1:80", "[::1]:5001"])
def test_loopback_names_reach_the_server_whatever_the_port(open_server: Running, host: str) -> None:
    assert open_server.raw("GET", "/health", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:5001", "", "localhost@evil.example", "[::1", "a/b"]
)
def test_a_foreign_host_header_is_refused_before_any_route(open_server: Running, host: str) -> None:
    for path in ("/health", "/", "/api/lora/search", "/nowhere"):
        answer = open_server.raw("GET", path, {"Host": host})
        assert answer.status == 400
        assert b'"code":"bad_host"' in answer.body


def test_further_hosts_can_be_allowed(tmp_path: Path) -> None:
    with running(make_settings(tmp_path), allowed_hosts=["lora.lan"]) as server:
        assert server.raw("GET", "/health", {"Host": "lora.lan:5001"}).status == 200
        assert server.raw("GET", "/health", {"Host": "other.lan:5001"}).status == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "example.org"])
def test_no_server_beyond_this_machine_without_a_token(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        create_app(make_settings(tmp_path, host=host))


def test_beyond_this_machine_addresses_pass_and_foreign_names_do_not(tmp_path: Path) -> None:
    policy = policy_for(make_settings(tmp_path, host="0.0.0.0", token=TOKEN))
    assert policy.allows_host("192.168.1.20:5001")
    assert policy.allows_host("localhost")
    assert not policy.allows_host("evil.example:5001")
    named = policy_for(make_settings(tmp_path, host="box.lan", token=TOKEN))
    assert named.allows_host("box.lan:5001")


@pytest.mark.parametrize(
    "path",
    [
        "/api/lora/..",
        "/api/lora/../../etc/passwd",
        "/api/lora/%2e%2e/blocks",
        "/api/lora/..%2f..%2fetc%2fpasswd",
        "/api/lora/..%5c..%5cwindows",
        "/api/lora/..\\..\\windows",
        "/api/lora/a%00b",
        "/api/lora//etc/passwd",
        "/api/lora/%2fetc%2fpasswd/export",
        "/api/lora/%5c%5chost%5cshare",
        "/api/lora/%252e%252e",
        "/assets/../../pyproject.toml",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/api/nowhere",
        "/api/lora/a/b/c",
    ],
)
def test_addresses_that_lead_nowhere_all_get_one_and_the_same_answer(open_server: Running, path: str) -> None:
    answer = open_server.raw("GET", path)
    expected = f'{{"detail":"{NOTHING_HERE}","code":"not_found","subject":null,"fields":[]}}'
    assert (answer.status, answer.body.decode()) == (404, expected)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:5173"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "localhost:5173", "Origin": "http://localhost:5173"},
    ],
)
def test_changes_are_taken_from_own_pages_proxies_and_programs(open_server: Running, headers: dict[str, str]) -> None:
    assert open_server.raw("POST", "/api/lora/index_stop", headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9999"},
        {"Origin": "null"},
    ],
)
def test_changes_from_other_sites_are_refused(open_server: Running, headers: dict[str, str]) -> None:
    answer = open_server.raw("POST", "/api/lora/index_stop", headers)
    assert answer.status == 403
    assert b'"code":"cross_site"' in answer.body
    assert "access-control-allow-origin" not in answer.headers


def test_listed_origins_may_send_changes(tmp_path: Path) -> None:
    with running(make_settings(tmp_path), allowed_origins=["http://tools.lan:8000"]) as server:
        assert server.raw("POST", "/api/lora/index_stop", {"Origin": "http://tools.lan:8000"}).status == 200
        assert server.raw("POST", "/api/lora/index_stop", {"Origin": "http://tools.lan:8001"}).status == 403


def test_a_body_must_be_json(open_server: Running) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = open_server.raw("POST", "/api/lora/index_stop", {"Content-Type": kind}, b"a=1")
        assert answer.status == 415
        assert b'"code":"not_json"' in answer.body
    json = {"Content-Type": "application/json; charset=utf-8"}
    assert open_server.raw("POST", "/api/lora/index_stop", json, b"{}").status == 200


def test_a_large_body_is_refused_declared_or_not(open_server: Running) -> None:
    json = {"Content-Type": "application/json"}
    declared = open_server.raw("POST", "/api/lora/index_stop", {**json, "Content-Length": "99999999999"}, b"")
    assert declared.status == 413
    part = b"x" * 65536
    chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n"
    body = chunk * (MAX_BODY_BYTES // len(part) + 1) + b"0\r\n\r\n"
    chunked = open_server.raw("POST", "/api/lora/index_stop", {**json, "Transfer-Encoding": "chunked"}, body)
    assert chunked.status == 413
    assert b'"code":"body_too_large"' in chunked.body
    assert open_server.raw("GET", "/health").status == 200


@pytest.mark.parametrize("path", ["/health", "/", "/api/nowhere", "/api/lora/search?limit=0"])
def test_every_answer_carries_the_security_headers(open_server: Running, path: str) -> None:
    headers = open_server.raw("GET", path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "style-src 'self' 'nonce-" in policy
    assert "img-src 'self' data: blob:" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_the_nonce_is_another_one_each_time(open_server: Running) -> None:
    policies = {open_server.raw("GET", "/").headers["content-security-policy"] for _ in range(5)}
    assert len(policies) == 5


def test_without_the_token_nothing_is_told(locked_server: Running) -> None:
    for path in ("/health", "/api/lora/search", "/api/openapi.json", "/api/nowhere", "/assets/a.js"):
        answer = locked_server.raw("GET", path)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert b'"code":"unauthorized"' in answer.body
    for wrong in (TOKEN + "x", TOKEN[:-1], "", "é"):
        headers = {"Authorization": f"Bearer {wrong}".encode().decode("latin-1")}
        assert locked_server.raw("GET", "/health", headers).status == 401


def test_the_token_opens_as_bearer_and_never_in_the_address(locked_server: Running) -> None:
    assert locked_server.raw("GET", "/health", {"Authorization": f"Bearer {TOKEN}"}).status == 200
    assert locked_server.raw("GET", f"/health?token={TOKEN}").status == 401


def test_a_page_without_the_token_is_the_sign_in_form(locked_server: Running) -> None:
    answer = locked_server.raw("GET", "/", {"Accept": "text/html"})
    assert answer.status == 401
    assert b'action="/sign-in"' in answer.body
    assert locked_server.raw("GET", "/sign-in").status == 200


def test_signing_in_sets_a_cookie_that_opens_the_api(locked_server: Running) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    wrong = locked_server.raw("POST", "/sign-in", form, b"token=wrong")
    assert wrong.status == 401
    assert "set-cookie" not in wrong.headers
    right = locked_server.raw("POST", "/sign-in", form, f"token={TOKEN}".encode())
    assert (right.status, right.headers["location"]) == (303, "/")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert locked_server.raw("GET", "/health", {"Cookie": cookie.partition(";")[0]}).status == 200
    assert locked_server.raw("GET", "/health", {"Cookie": "lwb_session=guess"}).status == 401


def test_the_sign_in_form_is_small_and_from_this_site_only(locked_server: Running) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert locked_server.raw("POST", "/sign-in", form, b"token=" + b"x" * 10_000).status == 413
    foreign = {**form, "Origin": "http://evil.example"}
    assert locked_server.raw("POST", "/sign-in", foreign, f"token={TOKEN}".encode()).status == 403
