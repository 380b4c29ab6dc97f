"""The background job over HTTP: waiting for it, watching it, stopping it, and answering meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.support import Running, flux_single_lora, make_library, make_settings, running, wait_until

STATUS_FIELDS_OF_THE_EXISTING_CLIENT = {
    "indexing",
    "last_scan",
    "total_loras",
    "with_blocks",
    "duration_last_scan_sec",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_library(tmp_path / "loras")


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Iterator[Running]:
    with running(make_settings(tmp_path), index_at_start=[root]) as one:
        assert one.app.state.jobs.wait(60)
        yield one


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Running]:
    """A server with a root whose indexing takes a while: 200 files."""
    many_files(tmp_path / "loras", 200)
    with running(make_settings(tmp_path)) as one:
        one.app.state.catalog.add_root(tmp_path / "loras")
        yield one


def many_files(root: Path, count: int) -> None:
    """Links to one Flux file of 2.8 MB: much to read, little to write."""
    first = flux_single_lora(root / "FLUX" / "02 - Styles" / "a000.safetensors", range(38))
    for i in range(1, count):
        first.with_name(f"a{i:03d}.safetensors").hardlink_to(first)


def events(stream: httpx2.Response) -> Iterator[dict[str, Any]]:
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_an_empty_library_is_indexed_at_once(tmp_path: Path) -> None:
    with running(make_settings(tmp_path)) as server, server.client() as client:
        body = client.post("/api/lora/reindex_all").json()
        assert body["status"] == "success"
        assert body["summary"] == {"total": 0, "with_blocks": 0, "no_blocks": 0, "with_stable_id": 0}


def test_reindexing_waits_for_the_end_and_sums_up(server: Running, root: Path) -> None:
    flux_single_lora(root / "FLUX" / "08 - Clothing" / "hat.safetensors", scale=2.0)
    with server.client() as client:
        body = client.post("/api/lora/reindex_all").json()
    assert body["status"] == "success"
    assert body["duration_sec"] > 0
    assert body["summary"] == {"total": 5, "with_blocks": 4, "no_blocks": 1, "with_stable_id": 5}
    assert (body["scan"]["discovered"], body["scan"]["added"]) == (5, 1)


def test_the_status_carries_counts_and_the_last_result(server: Running) -> None:
    with server.client() as client:
        body = client.get("/api/lora/index_status").json()
    assert set(body) >= STATUS_FIELDS_OF_THE_EXISTING_CLIENT
    assert (body["indexing"], body["phase"], body["total_loras"], body["with_blocks"]) == (False, "done", 4, 3)
    assert body["last_scan"] is not None
    assert body["last_result"]["added"] + body["last_result"]["failed"] == 4
    assert [Path(problem["path"]).name for problem in body["errors"]] == ["torn.safetensors"]
    assert body["error_count"] == 1


def test_without_waiting_the_answer_is_202_and_a_job_id(server: Running) -> None:
    with server.client() as client:
        answer = client.post("/api/lora/reindex_all", params={"wait": "false"})
        assert (answer.status_code, answer.json()["status"]) == (202, "started")
        assert answer.json()["job_id"] == 2
        assert server.app.state.jobs.wait(60)
        assert client.get("/api/lora/index_status").json()["job_id"] == 2


def test_one_entry_is_read_again(server: Running, root: Path) -> None:
    flux_single_lora(root / "FLUX" / "08 - Clothing" / "coat.safetensors", [5], scale=3.0)
    with server.client() as client:
        body = client.post("/api/lora/reindex_one/FLX-CLT-001").json()
        assert (body["status"], body["stable_id"], body["error"]) == ("success", "FLX-CLT-001", None)
        assert [block["block_index"] for block in body["lora"]["blocks"] if block["present"]] == [5]
        assert body["lora"]["revision"] == 2
        assert client.get("/api/lora/FLX-CLT-001").json() == body["lora"]
        unknown = client.post("/api/lora/reindex_one/FLX-CLT-999")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


def test_one_entry_is_read_again_though_nothing_seems_to_have_changed_and_no_other_is(
    server: Running, root: Path
) -> None:
    with server.app.state.catalog.database.writing() as connection:
        connection.exec_driver_sql("UPDATE lora SET rank = 99")
    flux_single_lora(root / "FLUX" / "08 - Clothing" / "hat.safetensors", scale=2.0)
    with server.client() as client:
        body = client.post("/api/lora/reindex_one/FLX-CLT-001").json()
        assert (body["status"], body["lora"]["rank"], body["lora"]["revision"]) == ("success", 1, 1)
        rows = client.get("/api/lora/search").json()["results"]
    assert {row["stable_id"]: row["rank"] for row in rows if row["error"] is None} == {
        "FLX-CLT-001": 1, "FLX-STL-001": 99, "SDX-PPL-001": 99,
    }  # fmt: skip


def test_an_entry_whose_file_is_gone_becomes_missing(server: Running, root: Path) -> None:
    (root / "FLUX" / "08 - Clothing" / "coat.safetensors").unlink()
    with server.client() as client:
        assert client.post("/api/lora/reindex_all").json()["scan"]["missing"] == 1
        assert client.get("/api/lora/FLX-CLT-001").json()["state"] == "missing"
        shown = client.get("/api/lora/search", params={"search": "coat"}).json()["total"]
        asked = client.get("/api/lora/search", params={"search": "coat", "state": "missing"}).json()["total"]
    assert (shown, asked) == (0, 1)


def test_while_a_job_runs_every_address_answers_and_a_second_job_is_refused(large: Running) -> None:
    paths = ["/health", "/api/lora/search?facets=1", "/api/lora/index_status", "/api/layouts", "/"]
    slowest = 0.0
    answers = 0
    with large.client() as client:
        assert client.post("/api/lora/reindex_all?wait=false").status_code == 202
        assert client.post("/api/lora/reindex_all").json()["status"] == "already_running"
        while client.get("/api/lora/index_status").json()["indexing"]:
            for path in paths:
                began = time.monotonic()
                assert client.get(path).status_code == 200
                slowest = max(slowest, time.monotonic() - began)
                answers += 1
        body = client.get("/api/lora/index_status").json()
    assert (body["phase"], body["total_loras"], body["with_blocks"]) == ("done", 200, 200)
    assert answers >= 10
    assert slowest < 2.0


def test_a_running_job_can_be_stopped_and_the_next_one_finishes_it(large: Running) -> None:
    with large.client() as client:
        client.post("/api/lora/reindex_all?wait=false")
        wait_until(lambda: client.get("/api/lora/index_status").json()["done"] > 0)
        assert client.post("/api/lora/index_stop").json() == {"status": "stopping", "job_id": 1}
        assert large.app.state.jobs.wait(30)
        body = client.get("/api/lora/index_status").json()
        assert (body["indexing"], body["phase"]) == (False, "stopped")
        assert body["last_result"] is not None
        assert client.post("/api/lora/index_stop").json() == {"status": "not_running", "job_id": None}
        assert client.post("/api/lora/reindex_all").json()["summary"]["with_blocks"] == 200


def test_a_waiting_client_is_told_that_its_job_was_stopped(large: Running) -> None:
    answers: list[dict[str, Any]] = []

    def wait() -> None:
        with large.client() as client:
            answers.append(client.post("/api/lora/reindex_all").json())

    waiter = threading.Thread(target=wait)
    waiter.start()
    with large.client() as client:
        wait_until(lambda: client.get("/api/lora/index_status").json()["indexing"])
        client.post("/api/lora/index_stop")
    waiter.join(30)
    assert [answer["status"] for answer in answers] == ["stopped"]


def test_events_tell_the_state_at_once_and_each_change_until_the_end(large: Running) -> None:
    with large.client() as client, large.client() as other:
        with client.stream("GET", "/api/lora/index_events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert stream.headers["cache-control"] == "no-cache"
            seen = events(stream)
            first = next(seen)
            assert first == other.get("/api/lora/index_status").json()
            other.post("/api/lora/reindex_all?wait=false")
            told = []
            for event in seen:
                told.append(event)
                if not event["indexing"]:
                    break
        assert told[0]["indexing"]
        assert len(told) >= 3
        assert told[-1]["total_loras"] == 200
        assert {event["phase"] for event in told} > {"done"}
        assert other.get("/health").status_code == 200


def test_the_server_ends_though_a_stream_is_open_and_a_job_runs(tmp_path: Path) -> None:
    many_files(tmp_path / "loras", 200)
    with ExitStack() as opened:
        with running(make_settings(tmp_path), index_at_start=[tmp_path / "loras"]) as server:
            client = opened.enter_context(server.client())
            stream = opened.enter_context(client.stream("GET", "/api/lora/index_events"))
            assert next(events(stream))["indexing"]
            began = time.monotonic()
        assert time.monotonic() - began < 15
