"""The calls of a web client that is in use, in the order in which a person makes them, over real HTTP.

It sends and reads the fields named here, and was not written for this server.
"""

from __future__ import annotations

from pathlib import Path

from tests.api.support import flux_single_lora, make_library, make_settings, running

COAT, HAT = "FLX-CLT-001", "FLX-CHT-001"


def test_the_existing_client_s_session(tmp_path: Path) -> None:
    root = make_library(tmp_path / "loras")
    flux_single_lora(root / "FLUX" / "06 - Characters" / "hatter.safetensors", (0, 2), scale=2.0)
    with running(make_settings(tmp_path), index_at_start=[root]) as server, server.client() as client:
        server.app.state.jobs.wait(60)

        # It opens, and fills its lists.
        families = client.get("/api/model-families").json()["families"]
        assert {"code", "display_name", "folder_name", "support_level"} <= families[0].keys()
        status = client.get("/api/lora/index_status").json()
        assert status["indexing"] is False
        assert {"last_scan", "total_loras", "with_blocks", "duration_last_scan_sec"} <= status.keys()
        filters: dict[str, str | int] = {
            "base": "FLX",
            "category": "ALL",
            "search": "",
            "has_blocks": 1,
            "limit": 50,
            "offset": 0,
        }
        page = client.get("/api/lora/search", params=filters).json()
        assert (page["total"], COAT in {row["stable_id"] for row in page["results"]}) == (3, True)

        # It opens an entry.
        assert client.get(f"/api/lora/{COAT}").json()["clip_contributor"] is False
        blocks = client.get(f"/api/lora/{COAT}/blocks").json()
        assert (len(blocks["blocks"]), blocks["fallback"], blocks["block_layout"]) == (38, False, "flux_transformer_38")
        address = f"/api/lora/{COAT}/profiles"
        assert client.get(address).json()["profiles"] == []

        # It saves what it shows as a profile, changes it, reads it back, deletes it. DELETE has no body.
        weights = [block["weight"] for block in blocks["blocks"]]
        assert client.post(address, json={"profile_name": "as measured", "block_weights": weights}).is_success
        [profile] = client.get(address).json()["profiles"]
        assert {"id", "profile_name", "block_weights", "created_at", "updated_at"} <= profile.keys()
        assert (profile["profile_name"], profile["block_weights"]) == ("as measured", weights)
        changed = {"profile_name": "even", "block_weights": [1] * 38}
        assert client.put(f"{address}/{profile['id']}", json=changed).is_success
        [profile] = client.get(address).json()["profiles"]
        assert (profile["profile_name"], profile["block_weights"]) == ("even", [1.0] * 38)
        assert client.post(address, json={"profile_name": "short", "block_weights": [1] * 37}).status_code == 400
        assert client.delete(f"{address}/{profile['id']}").is_success
        assert client.get(address).json()["profiles"] == []

        # It opens the export in a tab.
        csv = client.get(f"/api/lora/{COAT}/export")
        assert csv.headers["content-disposition"].startswith("attachment")
        assert csv.text.splitlines()[:2] == ["block_index,weight,raw_strength", "0,0.333333,1.000000"]
        assert client.get("/api/lora/FLX-CLT-002/export").status_code == 404

        # It indexes again and waits.
        done = client.post("/api/lora/reindex_all").json()
        assert done["status"] == "success"
        assert done["summary"] == {"total": 5, "with_blocks": 4, "no_blocks": 1, "with_stable_id": 5}

        # It combines two entries, then two that do not go together, then none.
        settings = {"strength_model": 0.8, "strength_clip": 0.8, "affect_clip": True, "A": 4, "B": 1}
        sent = {"stable_ids": [COAT, HAT], "per_lora": {COAT: settings, HAT: settings}}
        answer = client.post("/api/lora/combine", json=sent).json()
        assert (answer["compatible"], answer["validated_base_model"]) == (True, "FLX")
        assert {
            "stable_id", "filename", "role", "base_model_code", "block_layout", "clip_contributor", "affect_clip",
            "strength_model", "strength_clip", "A", "B", "block_weights", "block_weights_csv", "orchestration_notes",
        } <= answer["node_payloads"][0].keys()  # fmt: skip
        assert len(answer["combined"]["block_weights_model"]) == 38
        refused = client.post("/api/lora/combine", json={**sent, "stable_ids": [COAT, "SDX-PPL-001"]})
        assert refused.status_code == 400
        assert refused.json()["detail"]["reasons"][0]["code"] == "base_model_mismatch"
        nothing = client.post("/api/lora/combine", json={"stable_ids": [], "per_lora": {}})
        assert (nothing.status_code, nothing.json()["detail"]["reasons"][0]["code"]) == (400, "no_loras")
