"""The built web interface: hashed assets for ever, the page itself never cached, every other address is the page.

Knows no API. The page carries a placeholder where its style nonce goes; each answer gets a fresh one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

NONCE_PLACEHOLDER: Final = "__CSP_NONCE__"
"""What the build leaves in ``index.html`` (Vite's ``html.cspNonce``)."""

INDEX: Final = "index.html"
_HASHED: Final = re.compile(r"[.-][A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
_FOREVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"

_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>LoRA Weights Builder</title></head><body><main>
<h1>LoRA Weights Builder</h1>
<p>The server works, but its web interface was not built. In a checkout of the repository run:</p>
<pre>python3 dev.py up</pre>
<p>The API answers: <a href="/health">/health</a>, <a href="/api/lora/search">/api/lora/search</a>,
<a href="/api/openapi.json">/api/openapi.json</a>.</p></main></body></html>
"""


class _UiPath(Convertor[str]):
    """Every path outside the API. Matching the API's too would turn its 405 answers into pages."""

    regex = r"(?!api(?:/|$)|health$).*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("ui_path", _UiPath())


def install_ui(app: FastAPI, directory: Path) -> None:
    """Serve ``directory`` at every address outside the API; a plain page where nothing was built."""

    async def serve(request: Request) -> Response:
        path: str = request.path_params["path"]
        return await run_in_threadpool(_answer, directory, path, request.state.csp_nonce)

    app.add_route("/{path:ui_path}", serve, methods=["GET", "HEAD"], include_in_schema=False)


def _answer(directory: Path, path: str, nonce: str) -> Response:
    file = _existing_file(directory, path) if path and path != INDEX else None
    if file is not None:
        hashed = path.startswith("assets/") and _HASHED.search(file.name) is not None
        return FileResponse(file, headers={"Cache-Control": _FOREVER if hashed else _ASK_AGAIN})
    if path.startswith("assets/") or Path(path).suffix in {".js", ".css", ".map", ".json", ".png", ".svg", ".ico"}:
        raise HTTPException(404)  # the page in place of a script would be a riddle
    index = directory / INDEX
    if not index.is_file():
        return HTMLResponse(_NOT_BUILT, headers={"Cache-Control": _ASK_AGAIN})
    page = index.read_text(encoding="utf-8").replace(NONCE_PLACEHOLDER, nonce)
    return HTMLResponse(page, headers={"Cache-Control": _ASK_AGAIN})


def _existing_file(directory: Path, path: str) -> Path | None:
    """The file at ``path`` inside ``directory``, symlinks resolved; ``None`` for anything outside or absent."""
    try:
        root = directory.resolve()
        file = (root / path).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, ValueError):  # too long a name, NUL
        return None
