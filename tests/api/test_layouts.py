"""The registry over HTTP."""

from __future__ import annotations

import httpx2
import pytest

from lora_weights_builder.inspector.block_layouts import registry


def test_the_layouts_are_those_of_the_registry_in_full(client: httpx2.Client) -> None:
    body = client.get("/api/layouts").json()
    assert body["count"] == len(body["layouts"])
    assert [layout["id"] for layout in body["layouts"]] == list(registry().layouts)
    for layout in body["layouts"]:
        assert [block["block_index"] for block in layout["blocks"]] == list(range(layout["block_count"]))
        assert sum(group["count"] for group in layout["groups"]) == layout["block_count"]


def test_the_full_flux_layout(client: httpx2.Client) -> None:
    body = client.get("/api/layouts/flux_unet_57").json()
    assert (body["block_count"], body["legacy"]) == (57, False)
    assert [(group["start"], group["count"]) for group in body["groups"]] == [(0, 19), (19, 38)]
    labels = [block["label"] for block in body["blocks"]]
    assert (labels[0], labels[18], labels[19], labels[56]) == ("D00", "D18", "S00", "S37")


@pytest.mark.parametrize("spelling", ["FLUX_UNET_57", " flux_unet_57 ", "unet_57"])
def test_other_spellings_of_a_layout_are_understood(client: httpx2.Client, spelling: str) -> None:
    answer = client.get(f"/api/layouts/{spelling}")
    assert answer.status_code == 200
    assert answer.json()["block_count"] == 57


def test_numbered_layouts_of_the_earlier_system_are_legacy(client: httpx2.Client) -> None:
    body = client.get("/api/layouts/flux_transformer_20").json()
    assert (body["block_count"], body["legacy"]) == (20, True)


@pytest.mark.parametrize("layout_id", ["flux_unet_5x", "flux_transformer_1000", "x" * 100])
def test_an_unknown_layout_is_not_found(client: httpx2.Client, layout_id: str) -> None:
    answer = client.get(f"/api/layouts/{layout_id}")
    assert (answer.status_code, answer.json()["code"], answer.json()["subject"]) == (404, "not_found", layout_id)


@pytest.mark.parametrize(
    "path", ["/api/layouts", "/api/layouts/flux_unet_57", "/api/architectures", "/api/model-families"]
)
def test_who_has_the_answer_already_is_told_so(client: httpx2.Client, path: str) -> None:
    first = client.get(path)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_model_families_carry_what_the_existing_client_reads(client: httpx2.Client) -> None:
    families = {family["code"]: family for family in client.get("/api/model-families").json()["families"]}
    flux = families["FLX"]
    assert (flux["folder_name"], flux["requires_layout"]) == ("FLUX", True)
    assert flux["display_name"]
    assert flux["support_level"]
    assert flux["capabilities"]
    assert {"FLK", "SDX", "PNY", "ILL", "W21", "W22", "ZIM"} <= families.keys()


def test_architectures_name_their_layouts(client: httpx2.Client) -> None:
    found = {one["id"]: one for one in client.get("/api/architectures").json()["architectures"]}
    assert (found["flux1"]["layout_id"], found["flux1"]["block_count"]) == ("flux_unet_57", 57)
    assert "flux_transformer_38" in found["flux1"]["layouts"]
    layouts = {layout["id"] for layout in client.get("/api/layouts").json()["layouts"]}
    assert {one["layout_id"] for one in found.values()} <= layouts
