"""What goes wrong on disk, in workers and between processes costs only what it must."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lora_weights_builder.errors import Busy
from lora_weights_builder.library import smoke_check
from lora_weights_builder.library.catalog import Catalog
from lora_weights_builder.library.indexer import IndexOptions, index
from lora_weights_builder.library.locks import index_lease
from lora_weights_builder.library.workers import ProcessPool
from lora_weights_builder.records import ProgressEvent, SearchQuery
from tests.library import stand_in
from tests.library.library_files import RunIndex, dump, ids_by_path, write_lora

REPOSITORY = Path(__file__).resolve().parents[2]
TIMES = ("at", "added_at", "created_at", "updated_at")

# Indexes sys.argv[1] into sys.argv[2] slowly, saying on stdout when the phase given in sys.argv[3] is under way.
SLOW_RUN = """
import sys, time
from lora_weights_builder.library import indexer
from lora_weights_builder.library.catalog import Catalog
from tests.library import stand_in
indexer.COMMIT_FILES = 5
def tell(event):
    if event.phase == sys.argv[3] and event.done >= 12:
        print("there", flush=True)
        time.sleep(60)
indexer.EVENT_SECONDS = 0
options = indexer.IndexOptions(inspector=stand_in.inspect, measure_at_once=0)
indexer.index(Catalog.open(sys.argv[2]), [sys.argv[1]], options=options, on_event=tell)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.parametrize("phase", ["headers", "store", "data"])
def test_a_killed_run_is_taken_up_and_ends_in_the_same_rows(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex, phase: str
) -> None:
    for number in range(40):
        write_lora(library / "FLUX/08 - Clothing" / f"{number:02}.safetensors", str(number // 2))
    run(measure_at_once=0)
    path = tmp_path / "killed.db"
    process = start(SLOW_RUN, library, path, phase)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    process.kill()
    process.wait()
    process.stdout.close()
    assert all(result.passed for result in smoke_check.run(path))
    with Catalog.open(path) as taken_up:
        options = IndexOptions(inspector=stand_in.inspect, measure_at_once=0)
        events: list[ProgressEvent] = []
        index(taken_up, [library], options=options, on_event=events.append)
        assert dump(taken_up, without=TIMES) == dump(catalog, without=TIMES)
        begun = {event.phase: event.total for event in events if event.done == 0 and event.total}
        # What an earlier run had committed is not read again: 40 files, batches of 5, killed after the 12th.
        assert begun.get("headers", 0) <= (30 if phase == "headers" else 0)
        assert begun["data"] <= (30 if phase == "data" else 40)
        assert [scan.status for scan in taken_up.scans()] == ["done", "failed"]


def test_two_indexers_at_once_are_one_that_runs_and_one_that_says_who(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    for number in range(20):
        write_lora(library / f"{number:02}.safetensors", str(number))
    process = start(SLOW_RUN, library, catalog.path, "headers")
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    with pytest.raises(Busy, match=f"process {process.pid} on "):
        run()
    catalog.add_root(tmp_path)  # other writers are not kept waiting
    process.kill()
    process.wait()
    process.stdout.close()
    assert run().added == 20


def test_a_free_lease_leaves_nothing_that_looks_held(catalog: Catalog) -> None:
    with index_lease(catalog.path):
        pass
    with index_lease(catalog.path), pytest.raises(Busy, match=f"process {os.getpid()} "), index_lease(catalog.path):
        pass


def test_a_worker_that_dies_hangs_or_slips_costs_only_its_file(library: Path, catalog: Catalog, run: RunIndex) -> None:
    for number in range(60):
        write_lora(library / f"{number:02}.safetensors", str(number))
    for name in ("killer", "sleeper", "raiser"):
        write_lora(library / "FLUX" / f"{name}.safetensors", name)
    with ProcessPool(2, timeout=3) as pool:
        summary = run(executor=pool, inspector=stand_in.fatal)
    assert (summary.discovered, summary.added, summary.failed) == (63, 60, 3)
    failed = {row.filename: row for row in catalog.iterate(SearchQuery(state="failed"))}
    assert {name: row.error_code for name, row in failed.items()} == {
        "killer.safetensors": "worker_died", "sleeper.safetensors": "timed_out", "raiser.safetensors": "internal_error",
    }  # fmt: skip
    assert all(row.block_layout == "flux_fallback_16" for row in failed.values())
    assert failed["raiser.safetensors"].error == "raiser.safetensors: ZeroDivisionError: a slip"
    again = run()
    assert (again.updated, again.failed, again.unchanged) == (2, 1, 60)
    assert run(full=True).failed == 0


def test_bad_files_are_entries_with_a_reason_and_keep_their_ids(library: Path, catalog: Catalog, run: RunIndex) -> None:
    write_lora(library / "good.safetensors", "good")
    (library / "FLUX").mkdir()
    (library / "FLUX/empty.safetensors").touch()
    (library / "FLUX/cut.safetensors").write_bytes((library / "good.safetensors").read_bytes()[:-3])
    (library / "pickle.SafeTensors").write_bytes(b"\x80\x04K\x01.")
    (library / "notes.txt").write_text("not asked")
    (library / ".hidden.safetensors").write_bytes(b"x")
    (library / ".git").mkdir()
    write_lora(library / ".git/a.safetensors", "a")
    summary = run()
    assert (summary.discovered, summary.added, summary.failed) == (4, 1, 3)
    reasons = {Path(problem.path).name: problem.code for problem in summary.errors}
    assert reasons == {
        "empty.safetensors": "empty_file",
        "cut.safetensors": "bad_header",
        "pickle.SafeTensors": "not_safetensors",
    }
    before = ids_by_path(catalog)
    (library / "FLUX/cut.safetensors").rename(library / "FLUX/renamed.safetensors")
    assert run().failed == 3
    after = ids_by_path(catalog)
    assert after["FLUX/renamed.safetensors"] == before["FLUX/cut.safetensors"]
    shutil.copyfile(library / "good.safetensors", library / "FLUX/empty.safetensors")
    summary = run()
    assert (summary.updated, summary.failed) == (1, 2)
    assert ids_by_path(catalog)["FLUX/empty.safetensors"] == before["FLUX/empty.safetensors"]


def test_a_stop_keeps_what_is_done_and_the_next_run_goes_on(library: Path, catalog: Catalog, run: RunIndex) -> None:
    for number in range(40):
        write_lora(library / f"{number:02}.safetensors", str(number))
    asked = iter([False] * 2 + [True] * 100)
    summary = index(
        catalog, [library], options=IndexOptions(inspector=stand_in.inspect), should_stop=lambda: next(asked)
    )
    assert summary.stopped
    assert catalog.scans()[0].status == "stopped"
    events: list[ProgressEvent] = []
    summary = index(catalog, [library], options=IndexOptions(inspector=stand_in.inspect), on_event=events.append)
    assert summary.added == 40
    [headers] = [event.total for event in events if event.phase == "headers" and event.done == 0]
    assert 0 < headers < 40


def test_an_absent_root_is_reported_and_not_saved(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    write_lora(library / "a.safetensors", "a")
    summary = run(tmp_path / "no such", library)
    assert (summary.added, summary.roots_unavailable) == (1, (str(tmp_path / "no such"),))
    assert [info.path for info in catalog.roots()] == [str(library)]


def test_without_roots_the_saved_ones_are_indexed(library: Path, catalog: Catalog) -> None:
    write_lora(library / "a.safetensors", "a")
    catalog.add_root(library)
    assert index(catalog, options=IndexOptions(inspector=stand_in.inspect)).added == 1


def test_links_are_followed_into_listed_roots_only_and_never_in_circles(
    tmp_path: Path, library: Path, catalog: Catalog, run: RunIndex
) -> None:
    other, foreign = tmp_path / "other", tmp_path / "foreign"
    write_lora(library / "own/a.safetensors", "a")
    write_lora(other / "b.safetensors", "b")
    write_lora(foreign / "c.safetensors", "c")
    (library / "to other").symlink_to(other)
    (library / "b link.safetensors").symlink_to(other / "b.safetensors")
    (library / "to foreign").symlink_to(foreign)
    (library / "c link.safetensors").symlink_to(foreign / "c.safetensors")
    (library / "dangling.safetensors").symlink_to(tmp_path / "nowhere")
    (library / "own/up").symlink_to(library)
    (library / "self.safetensors").symlink_to(library / "self.safetensors")
    summary = run(library, other)
    assert sorted(ids_by_path(catalog)) == [
        "b link.safetensors",
        "b.safetensors",
        "own/a.safetensors",
        "to other/b.safetensors",
    ]
    assert {Path(p.path).name: p.code for p in summary.errors} == {
        "to foreign": "foreign_link", "c link.safetensors": "foreign_link", "dangling.safetensors": "dangling_link",
        "up": "link_loop", "self.safetensors": "dangling_link",
    }  # fmt: skip
    assert (summary.failed, summary.duplicates) == (0, 2)
    assert run(library, other).unchanged == 4


def test_a_fifo_does_not_hang_the_run(library: Path, run: RunIndex) -> None:
    os.mkfifo(library / "pipe.safetensors")
    write_lora(library / "a.safetensors", "a")
    began = time.monotonic()
    summary = run()
    assert time.monotonic() - began < 10
    assert (summary.added, summary.failed) == (1, 1)


def test_progress_tells_phases_counts_and_bytes(library: Path, catalog: Catalog) -> None:
    for number in range(5):
        write_lora(library / f"{number}.safetensors", str(number))
    events: list[ProgressEvent] = []
    index(
        catalog, [library], options=IndexOptions(inspector=stand_in.inspect, measure_at_once=0), on_event=events.append
    )
    ends = {event.phase: event for event in events}
    # Storing and comparing are told of only where they take long enough to be worth a line.
    assert [phase for phase in ends if phase not in {"store", "duplicates"}] == ["walk", "headers", "data", "done"]
    size = (library / "0.safetensors").stat().st_size
    assert (ends["data"].done, ends["data"].total, ends["data"].bytes_done, ends["data"].bytes_total) == (
        5,
        5,
        size * 5,
        size * 5,
    )
    assert ends["done"].counts["added"] == 5


def test_a_process_pool_survives_the_kill_of_a_worker_from_outside() -> None:
    with ProcessPool(2) as pool:
        victim = pool.submit(os.getpid).result()
        os.kill(victim, signal.SIGKILL)
        assert all(pool.submit(abs, -n).result() == n for n in range(20))


def test_a_process_pool_survives_the_kill_of_all_its_idle_workers() -> None:
    with ProcessPool(2) as pool:
        for _ in range(3):
            for victim in {pool.submit(os.getpid).result() for _ in range(8)}:
                os.kill(victim, signal.SIGKILL)
            calls = [pool.submit(abs, -n) for n in range(50)]
            assert [call.result() for call in calls] == list(range(50))
