"""The built web interface as the server hands it out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.support import Running, make_settings, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("ui")
    ui = folder / "ui_dist"
    (ui / "assets").mkdir(parents=True)
    (ui / "index.html").write_text('<meta property="csp-nonce" nonce="__CSP_NONCE__"><div id="root">', encoding="utf-8")
    (ui / "assets" / "index-DeadBeef.js").write_text("export {}", encoding="utf-8")
    (ui / "assets" / "font.woff2").write_bytes(b"wOF2")
    (ui / "theme.js").write_text("0", encoding="utf-8")
    (folder / "secret.txt").write_text("secret", encoding="utf-8")
    (ui / "out.txt").symlink_to(folder / "secret.txt")
    with running(make_settings(folder)) as one:
        yield one


@pytest.mark.parametrize("path", ["/", "/index.html", "/lora/FLX-CLT-057", "/layouts/flux_unet_57", "/healthy"])
def test_the_page_answers_at_every_address_of_the_interface_and_is_not_kept(server: Running, path: str) -> None:
    answer = server.raw("GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert b'id="root"' in answer.body


def test_the_page_carries_the_nonce_of_its_own_policy(server: Running) -> None:
    answer = server.raw("GET", "/")
    nonce = answer.body.decode().partition('nonce="')[2].partition('"')[0]
    assert len(nonce) >= 20
    assert f"'nonce-{nonce}'" in answer.headers["content-security-policy"]


def test_hashed_assets_are_kept_for_ever_and_others_are_asked_for_again(server: Running) -> None:
    hashed = server.raw("GET", "/assets/index-DeadBeef.js")
    assert (hashed.status, hashed.body) == (200, b"export {}")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashed.headers["content-type"].startswith(("text/javascript", "application/javascript"))
    assert server.raw("GET", "/assets/font.woff2").headers["cache-control"] == "no-cache"
    assert server.raw("GET", "/theme.js").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/assets/gone-DeadBeef.js", "/gone.js", "/assets/", "/out.txt.map"])
def test_an_absent_asset_is_not_found_rather_than_the_page(server: Running, path: str) -> None:
    answer = server.raw("GET", path)
    assert answer.status == 404
    assert b'"code":"not_found"' in answer.body


def test_a_link_out_of_the_folder_is_not_followed(server: Running) -> None:
    assert b"secret" not in server.raw("GET", "/out.txt").body


def test_head_answers_like_get_without_the_body(server: Running) -> None:
    answer = server.raw("HEAD", "/")
    assert (answer.status, answer.body) == (200, b"")


def test_other_methods_are_not_allowed(server: Running) -> None:
    answer = server.raw("POST", "/lora/FLX-CLT-057")
    assert answer.status == 405
    assert b'"code":"method_not_allowed"' in answer.body


def test_where_nothing_was_built_a_plain_page_says_how(tmp_path: Path) -> None:
    with running(make_settings(tmp_path)) as server:
        answer = server.raw("GET", "/")
        assert answer.status == 200
        assert b"python3 dev.py up" in answer.body
        assert server.raw("GET", "/health").status == 200
