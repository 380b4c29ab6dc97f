"""The health of a real catalogue over HTTP, and the repairs it offers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from lora_weights_builder.library import smoke_check
from lora_weights_builder.library.check_explanations import EXPLANATIONS
from tests.api.support import Running, flux_single_lora, make_settings, running, sdxl_lora


@pytest.fixture
def troubled(tmp_path: Path) -> Iterator[Running]:
    """A library with a file, its copy, and a file of another model in a Flux folder."""
    root = tmp_path / "loras"
    coat = flux_single_lora(root / "FLUX" / "08 - Clothing" / "coat.safetensors")
    shutil.copyfile(coat, coat.with_name("coat copy.safetensors"))
    sdxl_lora(root / "FLUX" / "03 - Styles" / "lost.safetensors")
    with running(make_settings(tmp_path), index_at_start=[root]) as server:
        server.app.state.jobs.wait(60)
        yield server


def test_every_question_is_asked_with_an_explanation(client: httpx2.Client, indexed: Running) -> None:
    body = client.get("/api/checks").json()
    titles = [check["title"] for check in body["checks"]]
    assert titles == [result.title for result in smoke_check.run(indexed.app.state.catalog)]
    assert titles[:2] == ["Flux rows with null block_layout", "Duplicate stable_id groups"]
    assert body["passed"]
    assert all(check["passed"] for check in body["checks"])
    assert all(check["explanation"] for check in body["checks"])


def test_no_explanation_is_of_a_question_that_is_not_asked(indexed: Running) -> None:
    asked = {result.title for result in smoke_check.run(indexed.app.state.catalog)}
    assert EXPLANATIONS.keys() - asked == {"Missing tables"} - asked


def test_copies_stand_beside_what_they_are_copies_of(troubled: Running) -> None:
    with troubled.client() as client:
        body = client.get("/api/checks/duplicates").json()
        assert (body["count"], body["total"]) == (1, 1)
        first, copy = body["groups"][0]["entries"]
        assert copy["duplicate_of"] == first["stable_id"]
        assert first["duplicate_of"] is None
        assert {first["content_hash"], copy["content_hash"]} == {body["groups"][0]["content_hash"]}
        assert client.get("/api/checks/duplicates?offset=1").json() == {"groups": [], "count": 0, "total": 1}


def test_an_entry_that_contradicts_its_folder_says_how(troubled: Running) -> None:
    with troubled.client() as client:
        body = client.get("/api/checks/contradictions").json()
        assert (body["count"], body["total"]) == (1, 1)
        [found] = body["results"]
        assert found["filename"] == "lost.safetensors"
        assert found["statements"] == ["the folder says Flux, the tensors say Stable Diffusion XL"]


def test_only_a_missing_entry_can_be_forgotten(troubled: Running, tmp_path: Path) -> None:
    with troubled.client() as client:
        refused = client.post("/api/lora/FLX-CLT-001/forget")
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        [lost] = client.get("/api/lora/search?search=lost").json()["results"]
        (tmp_path / "loras" / "FLUX" / "03 - Styles" / "lost.safetensors").unlink()
        client.post("/api/lora/reindex_all")
        done = client.post(f"/api/lora/{lost['stable_id']}/forget")
        assert done.json() == {"status": "forgotten", "stable_id": lost["stable_id"]}
        assert client.get(f"/api/lora/{lost['stable_id']}").status_code == 404
        assert client.post("/api/lora/NO-SUCH-001/forget").status_code == 404
