"""Every error as the same JSON: the handlers, and the OpenAPI entries that promise it.

What does not belong here: deciding that something is an error. Rooms below raise; this module only words the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lora_weights_builder.api.schemas import ErrorBody, FieldProblem
from lora_weights_builder.errors import LwbError

logger = logging.getLogger(__name__)

NOTHING_HERE: Final = "There is nothing at this address. `GET /api/openapi.json` lists the addresses there are."
BAD_JSON: Final = "The body is not valid JSON."

_HTTP_CODES: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "body_too_large",
    415: "not_json",
    422: "invalid_request",
    503: "unavailable",
}

_DOCUMENTED: Final[Mapping[int, str]] = {
    400: "The Host header or the JSON of the body cannot be used.",
    401: "This server asks for a token and none, or another one, was given.",
    403: "An unsafe request from another site.",
    404: "No such entry, layout or address.",
    405: "The address exists, but not for this method.",
    409: "Another process or job is in the way.",
    413: "The body is larger than this server reads.",
    415: "A body was sent that is not declared as JSON.",
    422: "A parameter or field cannot be used; `fields` says which.",
    500: "A fault of the server; the log has it.",
    503: "The catalogue cannot be used right now.",
}

DOCUMENTED_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ErrorBody, "description": text} for status, text in _DOCUMENTED.items()
}
"""For ``FastAPI(responses=...)``: every route promises the one shape."""


def error_response(
    status: int,
    detail: str,
    *,
    code: str | None = None,
    subject: str | None = None,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error answer in the one shape; ``code`` defaults to the status's own name."""
    body = ErrorBody(detail=detail, code=code or _HTTP_CODES.get(status, "error"), subject=subject, fields=list(fields))
    return JSONResponse(body.model_dump(), status_code=status, headers=dict(headers or {}))


def nothing_here() -> JSONResponse:
    """The one answer for every address that leads nowhere, whatever it was meant to reach."""
    return error_response(404, NOTHING_HERE)


def install_error_handlers(app: FastAPI) -> None:
    """Make ``app`` answer each kind of error in the one shape."""

    @app.exception_handler(LwbError)
    def deliberate(_: Request, error: LwbError) -> Response:
        if error.http_status >= 500:
            logger.error("%s: %s", error.code, error.message)
        return error_response(error.http_status, error.message, code=error.code, subject=error.subject)

    @app.exception_handler(RequestValidationError)
    def refused(_: Request, error: RequestValidationError) -> Response:
        return _validation_response(error.errors())

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 404:
            return nothing_here()
        if error.status_code == 400:  # FastAPI, of a body that the JSON parser could not even fail on properly
            return error_response(400, BAD_JSON, code="bad_json")
        if error.status_code == 405:
            allowed = headers.get("Allow") or headers.get("allow") or ""
            return error_response(405, f"This address only takes: {allowed or 'other methods'}.", headers=headers)
        return error_response(error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(Exception)
    def unforeseen(_: Request, __: Exception) -> Response:
        # Whatever went wrong, the client learns that and nothing of the code. FaultBoundary logs it.
        return error_response(500, "The server met a fault of its own; its log says which.", code="internal")


class FaultBoundary:
    """The outermost place: logs a fault of the server once, after its 500 was sent, and keeps it from the connection.

    Without it the fault would travel on to the socket's owner, which logs it again and drops a connection that the
    client may be about to use.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; swallow what it raises once its answer is complete."""
        complete = False

        async def watched(message: Message) -> None:
            nonlocal complete
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            if not complete:
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])


def _validation_response(problems: Sequence[Mapping[str, Any]]) -> Response:
    """422 with the refused fields; 400 where the body was not JSON at all. The client's input is not echoed."""
    if any(problem["type"] == "json_invalid" for problem in problems):
        return error_response(400, BAD_JSON, code="bad_json")
    fields = [
        FieldProblem(field=".".join(str(part) for part in problem["loc"]), reason=str(problem["msg"]))
        for problem in problems
    ]
    names = ", ".join(dict.fromkeys(field.field for field in fields)) or "the request"
    subject = fields[0].field if fields else None
    return error_response(422, f"Cannot use {names}; `fields` says why.", subject=subject, fields=fields)
