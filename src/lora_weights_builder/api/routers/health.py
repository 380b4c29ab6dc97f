"""Whether the server works."""

from __future__ import annotations

from fastapi import APIRouter

from lora_weights_builder import __version__
from lora_weights_builder.api.deps import CountsDep, JobsDep
from lora_weights_builder.api.schemas import Health
from lora_weights_builder.errors import CatalogError
from lora_weights_builder.records import CatalogSummary

router = APIRouter(tags=["health"])

_NO_COUNTS = CatalogSummary(
    total_loras=0, with_blocks=0, last_scan=None, duration_last_scan_sec=None, missing=0, failed=0, duplicates=0,
    fallbacks=0, pending=0, with_stable_id=0,
)  # fmt: skip


@router.get("/health")
def health(library: CountsDep, jobs: JobsDep) -> Health:
    """Version, state of the database, and counts. Answers 200 with `degraded` where the database cannot be read."""
    job = jobs.status()
    try:
        counts, works = library.get((job.job_id, job.outcome)), True
    except CatalogError:
        counts, works = _NO_COUNTS, False
    return Health(
        status="ok" if works else "degraded",
        version=__version__,
        database="ok" if works else "unavailable",
        total_loras=counts.total_loras,
        with_blocks=counts.with_blocks,
        missing=counts.missing,
        failed=counts.failed,
        duplicates=counts.duplicates,
        indexing=job.running,
    )
