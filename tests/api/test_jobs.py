"""One background job at a time: watched, stopped, failed and closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lora_weights_builder.api.jobs import INTERNAL_FAILURE, IndexJobs, IndexRequest
from lora_weights_builder.errors import Busy
from lora_weights_builder.records import ProgressEvent, ScanSummary
from tests.api.support import wait_until


class Work:
    """A run that goes on until it is let go or told to stop, noting what it was asked for."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[IndexRequest] = []

    def __call__(
        self, request: IndexRequest, on_event: Callable[[ProgressEvent], None], should_stop: Callable[[], bool]
    ) -> ScanSummary:
        self.asked.append(request)
        done = 0
        while not self.let_go.wait(0.005) and not should_stop():
            done = min(done + 1, 50)
            on_event(ProgressEvent(phase="data", done=done, total=100, bytes_done=done * 10, bytes_total=1000))
        return ScanSummary(discovered=done, stopped=should_stop())


def test_before_any_job_all_is_idle() -> None:
    status = IndexJobs(Work()).status()
    assert (status.outcome, status.job_id, status.event, status.running) == ("idle", None, None, False)


def test_a_job_is_given_its_request_and_ends_with_its_summary() -> None:
    work = Work()
    jobs = IndexJobs(work)
    job = jobs.start([Path("loras")], full=True)
    assert job is not None
    wait_until(lambda: jobs.status().event is not None)
    assert jobs.status().running
    work.let_go.set()
    assert job.future.result(10).stopped is False
    status = jobs.status()
    assert (status.outcome, status.job_id, status.failure) == ("done", 1, None)
    assert status.summary == job.future.result()
    assert work.asked == [IndexRequest((Path("loras"),), full=True)]


def test_only_one_job_runs_at_a_time_and_the_next_gets_the_next_id() -> None:
    work = Work()
    jobs = IndexJobs(work)
    first = jobs.start()
    assert first is not None
    assert jobs.start() is None
    work.let_go.set()
    first.future.result(10)
    second = jobs.start()
    assert second is not None
    assert (first.id, second.id) == (1, 2)
    second.future.result(10)


def test_many_starters_at_once_start_one_job() -> None:
    work = Work()
    jobs = IndexJobs(work)
    barrier = threading.Barrier(8)
    started: list[int] = []

    def starter() -> None:
        barrier.wait()
        job = jobs.start()
        if job is not None:
            started.append(job.id)

    threads = [threading.Thread(target=starter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started == [1]
    jobs.close()


def test_progress_grows_the_version_and_tells_the_time_left() -> None:
    work = Work()
    jobs = IndexJobs(work)
    jobs.start()
    wait_until(lambda: (event := jobs.status().event) is not None and event.done >= 10)
    before = jobs.status()
    assert before.eta is not None
    assert before.elapsed is not None
    assert 0 < before.eta < 60
    wait_until(lambda: jobs.status().version > before.version)
    jobs.close()


def test_stopping_ends_the_job_and_says_so() -> None:
    jobs = IndexJobs(Work())
    assert jobs.stop() is None
    job = jobs.start()
    assert job is not None
    assert jobs.stop() == 1
    assert job.future.result(10).stopped
    assert jobs.status().outcome == "stopped"


def test_a_deliberate_error_ends_the_job_with_its_sentence() -> None:
    def run(
        request: IndexRequest, on_event: Callable[[ProgressEvent], None], should_stop: Callable[[], bool]
    ) -> ScanSummary:
        raise Busy("Process 7 indexes this library.")

    jobs = IndexJobs(run)
    job = jobs.start()
    assert job is not None
    with pytest.raises(Busy):
        job.future.result(10)
    assert (jobs.status().outcome, jobs.status().failure) == ("failed", "Process 7 indexes this library.")


def test_a_fault_of_the_code_is_logged_but_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def run(
        request: IndexRequest, on_event: Callable[[ProgressEvent], None], should_stop: Callable[[], bool]
    ) -> ScanSummary:
        raise ZeroDivisionError("secret")

    jobs = IndexJobs(run)
    job = jobs.start()
    assert job is not None
    with pytest.raises(ZeroDivisionError):
        job.future.result(10)
    assert jobs.status().failure == INTERNAL_FAILURE
    assert "secret" in caplog.text
    assert jobs.start() is not None, "the next job may start"
    jobs.close()


def test_closing_stops_the_job_waits_for_it_and_takes_no_more() -> None:
    jobs = IndexJobs(Work())
    job = jobs.start()
    assert job is not None
    jobs.close()
    assert jobs.closing
    assert job.future.done()
    assert jobs.start() is None
