"""The preview image over HTTP: by id only, by its own bytes only, and nothing from outside the library."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lora_weights_builder.library.preview_file import sniff
from tests.api.support import Running, make_library, make_settings, running


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    + chunk(b"IEND", b"")
)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("previews") / "loras")


@pytest.fixture(scope="module")
def lora(library: Path) -> Path:
    """The file whose neighbours the tests make up."""
    return sorted(library.rglob("*.safetensors"))[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, library: Path, lora: Path) -> Iterator[Running]:
    lora.with_suffix(".png").write_bytes(PNG)
    info = {"model": {"name": "<script>Coats</script>"}, "baseModel": "Imaginary 1", "trainedWords": ["coat"]}
    lora.with_suffix(".civitai.info").write_text(json.dumps(info), encoding="utf-8")
    with running(make_settings(tmp_path_factory.mktemp("server")), index_at_start=[library]) as started:
        started.app.state.jobs.wait(60)
        yield started


@pytest.fixture
def image(lora: Path) -> Iterator[Path]:
    """The image's place; what was there is put back."""
    path = lora.with_suffix(".png")
    yield path
    path.unlink(missing_ok=True)
    path.write_bytes(PNG)


@pytest.fixture(scope="module")
def stable_id(server: Running, lora: Path) -> str:
    with server.client() as client:
        found = client.get("/api/lora/search?limit=500").json()["results"]
    return next(str(row["stable_id"]) for row in found if row["filename"] == lora.name)


def refusal(server: Running, stable_id: str) -> str:
    """The sentence with which the image is refused, in the one shape of errors."""
    with server.client() as client:
        answer = client.get(f"/api/lora/{stable_id}/preview")
    assert answer.status_code == 404
    body = answer.json()
    assert (body["code"], body["subject"], body["fields"]) == ("not_found", stable_id, [])
    return str(body["detail"])


def test_an_entry_says_where_its_image_is_and_what_its_sidecars_claim(server: Running, stable_id: str) -> None:
    with server.client() as client:
        entry = client.get(f"/api/lora/{stable_id}").json()
        row = next(r for r in client.get("/api/lora/search?limit=500").json()["results"] if r["stable_id"] != stable_id)
        other = client.get(f"/api/lora/{row['stable_id']}").json()
    stem = entry["filename"].removesuffix(".safetensors")
    assert entry["preview"] == {"url": f"/api/lora/{stable_id}/preview", "file": f"{stem}.png"}
    said = f"{stem}.civitai.info"
    assert entry["sidecar"] == {
        "trigger_words": ["coat"],
        "base_model": "Imaginary 1",
        "model_name": "<script>Coats</script>",
        "model_id": None,
        "version_name": None,
        "version_id": None,
        "description": None,
        "tags": [],
        "sha256": None,
        "sha256_matches": None,
        "said_by": {"base_model": said, "model_name": said, "trigger_words": said},
        "files": [{"name": said, "program": "Civitai Helper", "problem": None}],
    }
    assert "Imaginary 1" not in {entry["base_model_name"], entry["base_model_code"]}
    assert (other["preview"], other["sidecar"]) == (None, None)


def test_the_image_comes_in_the_type_of_its_bytes_and_is_not_sent_twice(server: Running, stable_id: str) -> None:
    with server.client() as client:
        answer = client.get(f"/api/lora/{stable_id}/preview")
        assert (answer.status_code, answer.content) == (200, PNG)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-cache"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        tag = answer.headers["etag"]
        again = client.get(f"/api/lora/{stable_id}/preview", headers={"If-None-Match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


def test_another_image_in_its_place_has_another_tag(server: Running, stable_id: str, image: Path) -> None:
    with server.client() as client:
        tag = client.get(f"/api/lora/{stable_id}/preview").headers["etag"]
        image.write_bytes(b"\xff\xd8\xff" + bytes(100))
        answer = client.get(f"/api/lora/{stable_id}/preview", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


@pytest.mark.parametrize(
    "content", [SVG, b"", b"GIF", b"<html>", b"\x89PNG", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", bytes(64)]
)
def test_what_is_no_image_is_refused_whatever_its_name(
    server: Running, stable_id: str, image: Path, content: bytes
) -> None:
    image.write_bytes(content)
    assert refusal(server, stable_id) == (
        f"The preview image of '{stable_id}' cannot be shown: it is no PNG, JPEG, WebP, GIF or AVIF, "
        "whatever its name says."
    )


def test_a_huge_image_is_refused_unread(server: Running, stable_id: str, image: Path) -> None:
    with image.open("r+b") as file:
        file.truncate(200 << 20)
    assert refusal(server, stable_id).endswith("it is larger than 32 MB.")


def test_an_image_that_is_gone_or_no_file_is_refused(server: Running, stable_id: str, image: Path) -> None:
    image.unlink()
    assert refusal(server, stable_id).endswith("it is gone; the next index run notices.")
    image.mkdir()
    try:
        assert refusal(server, stable_id).endswith(("it is no plain file.", "permission denied."))
    finally:
        image.rmdir()


def test_a_link_that_now_leads_out_of_the_library_is_refused(
    server: Running, stable_id: str, image: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(PNG)
    image.unlink()
    try:
        image.symlink_to(outside)
    except OSError:  # Windows lets few people make links
        return
    assert refusal(server, stable_id).endswith("it lies outside the library.")


def test_entries_without_an_image_and_ids_that_are_none_are_told_apart(server: Running, stable_id: str) -> None:
    with server.client() as client:
        rows = client.get("/api/lora/search?limit=500").json()["results"]
    other = next(row["stable_id"] for row in rows if row["stable_id"] != stable_id)
    assert refusal(server, other) == f"There is no preview image beside '{other}'."
    assert refusal(server, "XYZ-XYZ-999") == "No entry has the id 'XYZ-XYZ-999'."


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "..", "%00", "%5c%5chost%5cshare", "%2fetc%2fpasswd"])
def test_no_path_gets_past_the_id(server: Running, path: str) -> None:
    answer = server.raw("GET", f"/api/lora/{path}/preview")
    assert answer.status in {404, 422}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"GIF89a", "image/gif"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "image/avif"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf", "image/avif"),
        (b"\0\0\0\x20ftypisom\0\0\0\0isomavc1mp41", None),
        (b"<?xml version='1.0'?><svg/>", None),
    ],
)
def test_kinds_are_told_by_the_first_bytes(head: bytes, kind: str | None) -> None:
    assert sniff(head) == kind
