"""The app put together: routes, errors, gate, web interface, and the life of its catalogue and job.

``create_app`` opens and reads nothing, so that a server is up at once; the catalogue is opened by the life span.
Running a server process (sockets, browser, signals) is in :mod:`lora_weights_builder.api.run`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from lora_weights_builder import __version__
from lora_weights_builder.api.counts import Counts
from lora_weights_builder.api.error_shape import DOCUMENTED_ERRORS, FaultBoundary, install_error_handlers
from lora_weights_builder.api.gate import Gate, Policy, policy_for
from lora_weights_builder.api.jobs import IndexJobs
from lora_weights_builder.api.library_run import library_run
from lora_weights_builder.api.routers import (
    checks,
    combine,
    compare,
    health,
    indexing,
    layouts,
    lora,
    organise,
    preview,
    profiles,
)
from lora_weights_builder.api.ui_files import install_ui
from lora_weights_builder.config import Settings, load_settings
from lora_weights_builder.library.catalog import Catalog

ANSWERING_THREADS: Final = 8
"""Answers are arithmetic under one interpreter lock: more threads only take turns at it, and all get slower."""

OPENAPI_PATH: Final = "/api/openapi.json"
_ROUTERS: Final = (
    health.router,
    checks.router,
    compare.router,
    layouts.router,
    indexing.router,
    organise.router,
    combine.router,
    profiles.router,
    preview.router,
    lora.router,  # `/{stable_id}` last: it takes any
)


class App(FastAPI):
    """FastAPI with the gate outside everything, so that even the answer to a fault of the server passes it."""

    def __init__(self, policy: Policy, **options: Any) -> None:
        self._policy = policy
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """The stack of FastAPI, inside the gate."""
        return Gate(FaultBoundary(super().build_middleware_stack()), self._policy)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; the error answers stand in it once, and as JSON also where a route streams."""
        if self.openapi_schema is None:
            self.openapi_schema = _share_error_answers(super().openapi())
        return self.openapi_schema


def create_app(
    settings: Settings,
    *,
    open_catalog: Callable[[], Catalog] | None = None,
    index_at_start: Sequence[Path] | None = None,
    allowed_hosts: Iterable[str] = (),
    allowed_origins: Iterable[str] = (),
) -> App:
    """The ASGI app for ``settings``.

    Args:
        open_catalog: how to open the catalogue at start-up; that of ``settings.database`` by default.
        index_at_start: roots to index in the background from the start; empty means the saved ones, ``None`` nothing.
        allowed_hosts: further names this server is reached by, beside loopback and ``settings.host``.
        allowed_origins: whole origins of other sites whose pages may send changes.

    Raises:
        ConfigError: the server would listen beyond this machine without a token.
    """
    opener = open_catalog or (lambda: Catalog.open(settings.database))

    @asynccontextmanager
    async def life_span(app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = ANSWERING_THREADS
        app.state.catalog = catalog = await run_in_threadpool(opener)
        app.state.counts = Counts(catalog)
        app.state.jobs = jobs = IndexJobs(library_run(catalog, settings))
        if index_at_start is not None:
            jobs.start(index_at_start)
        try:
            yield
        finally:
            await run_in_threadpool(jobs.close)
            await run_in_threadpool(catalog.close)

    app = App(
        policy_for(settings, hosts=allowed_hosts, origins=allowed_origins),
        title="LoRA Weights Builder",
        version=__version__,
        docs_url=None,  # the stock page loads its scripts from elsewhere
        redoc_url=None,
        openapi_url=OPENAPI_PATH,
        responses=DOCUMENTED_ERRORS,
        generate_unique_id_function=_operation_id,
        lifespan=life_span,
    )
    app.state.settings = settings
    install_error_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    install_ui(app, settings.ui_directory)
    return app


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of the server, which depends on no setting."""
    return create_app(load_settings({})).openapi()


def _operation_id(route: APIRoute) -> str:
    return route.name


def _share_error_answers(document: dict[str, Any]) -> dict[str, Any]:
    shared: dict[str, Any] = {}
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if int(status) < 400:
                    continue
                schema = {"$ref": "#/components/schemas/ErrorBody"}
                if answer["content"].get("application/json", {}).get("schema", schema) != schema:
                    continue  # an error of a shape of its own, which its route declares
                shared[f"Error{status}"] = {
                    "description": answer["description"],
                    "content": {"application/json": {"schema": schema}},
                }
                operation["responses"][status] = {"$ref": f"#/components/responses/Error{status}"}
    document["components"]["responses"] = shared
    return document
