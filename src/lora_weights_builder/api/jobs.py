"""The background index job: one at a time, watched by snapshots, stopped cleanly.

A job is a thread that drives the library's indexer; the files are read in its worker processes, so that the server goes
on answering. What does not belong here: what indexing is (``library/indexer.py``) and how progress looks as JSON.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Literal

from lora_weights_builder.errors import LwbError
from lora_weights_builder.records import ProgressEvent, ScanSummary

logger = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 20.0  # a worker in the middle of a large file may take this long to let go
INTERNAL_FAILURE: Final = "The index job met a fault of its own; the server's log says which."

Outcome = Literal["idle", "running", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """What to index. No ``roots`` means the library's saved ones; ``full`` reads unchanged files again.

    ``entry`` is the stable id of an entry whose file alone is to be read again.
    """

    roots: tuple[str | os.PathLike[str], ...] = ()
    full: bool = False
    entry: str | None = None


RunIndex = Callable[[IndexRequest, Callable[[ProgressEvent], None], Callable[[], bool]], ScanSummary]
"""``run(request, on_event, should_stop)``: index in this thread, return the summary, raise an ``LwbError``."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A snapshot. ``version`` grows with every change; times in seconds; ``event`` is the newest progress."""

    version: int
    job_id: int | None
    outcome: Outcome
    event: ProgressEvent | None
    elapsed: float | None
    eta: float | None
    summary: ScanSummary | None
    failure: str | None

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self.outcome == "running"


@dataclass(slots=True)
class Job:
    """One run. ``future`` gives its summary, or raises what ended it."""

    id: int
    future: Future[ScanSummary] = field(default_factory=Future)
    stop: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None
    outcome: Outcome = "running"
    event: ProgressEvent | None = None
    phase_began: float = field(default_factory=time.monotonic)
    summary: ScanSummary | None = None
    failure: str | None = None
    thread: threading.Thread | None = None


class IndexJobs:
    """Runs one index job at a time. Any thread may call any method; all but ``wait`` and ``close`` return at once."""

    def __init__(self, run: RunIndex) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._version = 0
        self._next_id = 1
        self._closing = threading.Event()

    @property
    def closing(self) -> bool:
        """Whether the server is ending, so that streams should too."""
        return self._closing.is_set()

    def start(
        self, roots: Sequence[str | os.PathLike[str]] = (), *, full: bool = False, entry: str | None = None
    ) -> Job | None:
        """Start a job; ``None`` where one is running already or the server is ending."""
        with self._lock:
            if self.closing or (self._job is not None and self._job.outcome == "running"):
                return None
            job = Job(self._next_id)
            self._next_id += 1
            self._job = job
            self._version += 1
            # A daemon: a worker that never lets go must not keep the process from ending.
            request = IndexRequest(tuple(roots), full, entry)
            job.thread = threading.Thread(target=self._work, args=(job, request), name=f"index-{job.id}", daemon=True)
            job.thread.start()
            return job

    def status(self) -> JobStatus:
        """How the running job stands, or how the last one ended."""
        with self._lock:
            job = self._job
            if job is None:
                return JobStatus(self._version, None, "idle", None, None, None, None, None)
            now = time.monotonic()
            return JobStatus(
                version=self._version,
                job_id=job.id,
                outcome=job.outcome,
                event=job.event,
                elapsed=(job.ended or now) - job.started,
                eta=_eta(job, now) if job.outcome == "running" else None,
                summary=job.summary,
                failure=job.failure,
            )

    def stop(self) -> int | None:
        """Ask the running job to stop; its id, or ``None`` where nothing runs."""
        with self._lock:
            if self._job is None or self._job.outcome != "running":
                return None
            self._job.stop.set()
            return self._job.id

    def wait(self, timeout: float) -> bool:
        """Wait for the running job to end, at most ``timeout`` seconds; whether nothing runs any more."""
        job = self._job
        if job is not None and job.thread is not None:
            job.thread.join(timeout)
            return not job.thread.is_alive()
        return True

    def begin_close(self) -> None:
        """Take no more jobs, end the running one and let event streams end."""
        self._closing.set()
        self.stop()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait for the running job to end, at most ``timeout`` seconds."""
        self.begin_close()
        if not self.wait(timeout):
            logger.warning("the index job did not end within %g seconds", timeout)

    def _work(self, job: Job, request: IndexRequest) -> None:
        try:
            summary = self._run(request, lambda event: self._note(job, event), job.stop.is_set)
        except LwbError as error:
            self._end(job, "failed", failure=error.message)
            job.future.set_exception(error)
        except Exception as error:  # the one boundary that must survive anything: a job must not die unseen
            logger.exception("index job %d failed", job.id)
            self._end(job, "failed", failure=INTERNAL_FAILURE)
            job.future.set_exception(error)
        else:
            self._end(job, "stopped" if summary.stopped else "done", summary=summary)
            job.future.set_result(summary)

    def _note(self, job: Job, event: ProgressEvent) -> None:
        with self._lock:
            if job.event is None or job.event.phase != event.phase:
                job.phase_began = time.monotonic()
            job.event = event
            self._version += 1

    def _end(
        self, job: Job, outcome: Outcome, *, summary: ScanSummary | None = None, failure: str | None = None
    ) -> None:
        with self._lock:
            job.ended = time.monotonic()
            job.outcome, job.summary, job.failure = outcome, summary, failure
            self._version += 1


def _eta(job: Job, now: float) -> float | None:
    """Seconds left of this phase at the pace so far, by bytes where they are known."""
    event = job.event
    if event is None:
        return None
    done, total = (event.bytes_done, event.bytes_total) if event.bytes_total else (event.done, event.total)
    if done <= 0 or total < done:
        return None
    return (now - job.phase_began) * (total - done) / done
