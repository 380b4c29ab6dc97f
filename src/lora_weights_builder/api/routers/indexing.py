"""The background index job over HTTP: start it, watch it, stop it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from fastapi.sse import EventSourceResponse
from starlette.concurrency import run_in_threadpool

from lora_weights_builder.api import schemas
from lora_weights_builder.api.answers import index_summary, lora_detail, scan_counts
from lora_weights_builder.api.counts import Counts
from lora_weights_builder.api.deps import CatalogDep, CountsDep, JobsDep
from lora_weights_builder.api.jobs import JobStatus
from lora_weights_builder.api.routers.lora import StableId, find
from lora_weights_builder.api.schemas import IndexStatus, ReindexAnswer, ReindexOneAnswer, ScanError, StopAnswer
from lora_weights_builder.errors import Busy
from lora_weights_builder.records import ProgressEvent

router = APIRouter(prefix="/api/lora", tags=["indexing"])

MAX_ERRORS_SHOWN: Final = 50
EVENT_SECONDS: Final = 0.25  # at most this often, however many files a second
RECOUNT_SECONDS: Final = 5.0  # another process may change the catalogue meanwhile
_NO_EVENT: Final = ProgressEvent(phase="walk", done=0, total=0)


@router.post("/reindex_all", responses={202: {"model": ReindexAnswer, "description": "Started, with `wait=false`."}})
async def reindex_all(
    response: Response,
    jobs: JobsDep,
    catalog: CatalogDep,
    wait: Annotated[bool, Query(description="`false` answers at once with a job id.")] = True,
    full: Annotated[bool, Query(description="Read every file again, changed or not.")] = False,
) -> ReindexAnswer:
    """Index all roots of the library again, and wait for the end unless told not to."""
    job = jobs.start(full=full)
    if job is None:
        return _reindex("already_running", jobs.status().job_id)
    if not wait:
        response.status_code = 202
        return _reindex("started", job.id)
    began = time.monotonic()
    # Shielded: a client that goes away gives up its answer, not the job.
    scan = await asyncio.shield(asyncio.wrap_future(job.future))
    counts = await run_in_threadpool(catalog.summary)
    return ReindexAnswer(
        status="stopped" if scan.stopped else "success",
        job_id=job.id,
        duration_sec=round(time.monotonic() - began, 3),
        summary=index_summary(counts),
        scan=scan_counts(scan),
    )


@router.post("/reindex_one/{stable_id}")
async def reindex_one(stable_id: StableId, catalog: CatalogDep, jobs: JobsDep) -> ReindexOneAnswer:
    """Read the file of one entry again, whether it seems to have changed or not, and no other file.

    Where the file is gone or holds something else, its whole root is looked at, because which entry a file is cannot be
    told from that file alone: it may have changed places with another one.
    """
    began = time.monotonic()
    await run_in_threadpool(find, catalog, stable_id)
    job = jobs.start(entry=stable_id)
    if job is None:
        raise Busy("An index job is running; try again when it has ended.", subject=stable_id)
    await asyncio.shield(asyncio.wrap_future(job.future))
    detail = await run_in_threadpool(find, catalog, stable_id)
    fault = detail.row.error or detail.row.stale_reason
    if detail.row.state == "missing":
        fault = "its file is no longer there"
    return ReindexOneAnswer(
        status="success" if fault is None else "failed",
        stable_id=stable_id,
        duration_sec=round(time.monotonic() - began, 3),
        error=fault,
        lora=lora_detail(detail),
    )


@router.get("/index_status")
def index_status(counts: CountsDep, jobs: JobsDep) -> IndexStatus:
    """The library's counts and the running job's progress."""
    return _status(counts, jobs.status())


@router.get("/index_events", response_class=EventSourceResponse)
async def index_events(counts: CountsDep, jobs: JobsDep) -> AsyncIterator[IndexStatus]:
    """The answers of `index_status` as server-sent events: one at once, then one whenever something changed."""
    sent: IndexStatus | None = None
    seen, asked = -1, 0.0
    while not jobs.closing:
        if jobs.status().version != seen or time.monotonic() - asked > RECOUNT_SECONDS:
            status = jobs.status()
            seen, asked = status.version, time.monotonic()
            answer = await run_in_threadpool(_status, counts, status)
            if answer != sent:
                yield answer
                sent = answer
        await asyncio.sleep(EVENT_SECONDS)


@router.post("/index_stop")
def index_stop(jobs: JobsDep) -> StopAnswer:
    """Stop the running job; what it has stored so far stays."""
    job_id = jobs.stop()
    return StopAnswer(status="not_running" if job_id is None else "stopping", job_id=job_id)


def _reindex(status: Literal["already_running", "started"], job_id: int | None) -> ReindexAnswer:
    return ReindexAnswer(status=status, job_id=job_id, duration_sec=None, summary=None, scan=None)


def _status(library: Counts, job: JobStatus) -> IndexStatus:
    counts = library.get((job.job_id, job.outcome))
    event = job.event or _NO_EVENT
    problems = job.summary.errors if job.summary is not None else ()
    return IndexStatus(
        indexing=job.running,
        job_id=job.job_id,
        phase=_phase(job),
        done=event.done,
        total=event.total or None,
        bytes_done=event.bytes_done,
        bytes_total=event.bytes_total or None,
        current=event.path,
        elapsed_sec=_rounded(job.elapsed),
        eta_sec=_rounded(job.eta),
        counts=dict(event.counts),
        error_count=len(problems) if job.summary is not None else event.counts.get("failed", 0),
        errors=[ScanError(path=problem.path, reason=problem.reason) for problem in problems[:MAX_ERRORS_SHOWN]],
        failure=job.failure,
        last_result=scan_counts(job.summary) if job.summary is not None else None,
        last_scan=counts.last_scan,
        total_loras=counts.total_loras,
        with_blocks=counts.with_blocks,
        pending=counts.pending,
        missing=counts.missing,
        failed=counts.failed,
        duplicates=counts.duplicates,
        duration_last_scan_sec=counts.duration_last_scan_sec,
    )


def _phase(job: JobStatus) -> schemas.JobPhase:
    if job.outcome == "running":
        return job.event.phase if job.event is not None else "walk"
    return job.outcome


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
