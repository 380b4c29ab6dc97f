"""What routes are handed: the catalogue, its counts and the jobs of the running app."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from lora_weights_builder.api.counts import Counts
from lora_weights_builder.api.jobs import IndexJobs
from lora_weights_builder.library.catalog import Catalog


def get_catalog(request: Request) -> Catalog:
    """The one catalogue of the app, open for its life; safe to share between threads."""
    return cast(Catalog, request.app.state.catalog)


def get_jobs(request: Request) -> IndexJobs:
    """The one runner of index jobs."""
    return cast(IndexJobs, request.app.state.jobs)


def get_counts(request: Request) -> Counts:
    """The catalogue's counts, for whoever asks often."""
    return cast(Counts, request.app.state.counts)


CatalogDep = Annotated[Catalog, Depends(get_catalog)]
JobsDep = Annotated[IndexJobs, Depends(get_jobs)]
CountsDep = Annotated[Counts, Depends(get_counts)]
