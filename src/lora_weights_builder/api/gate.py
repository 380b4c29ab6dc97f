"""What stands before every route: who may ask, from where, at which addresses, and how much.

A pure ASGI wrapper around the whole app, so that nothing (static files, event streams, unknown routes) goes past it:

* Host header against an allow-list: a foreign page whose name was pointed at this machine (DNS rebinding) is refused;
* addresses with ``..``, encoded slashes, backslashes or NUL lead nowhere, all with the same answer;
* unsafe methods only from this site (``Sec-Fetch-Site``, else ``Origin``), and a body only as JSON, up to a limit;
* the token, where one is set, as Bearer or as the cookie of the sign-in form;
* security headers on every answer.

What does not belong here: anything that knows LoRAs.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lora_weights_builder.api.error_shape import error_response, nothing_here
from lora_weights_builder.config import Settings
from lora_weights_builder.errors import ConfigError

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
MAX_SIGN_IN_BYTES: Final = 8 * 1024
SIGN_IN_PATH: Final = "/sign-in"
COOKIE_NAME: Final = "lwb_session"
LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOSTILE_IN_PATH: Final = (b"%2f", b"%5c", b"%00", b"%2e", b"%25", b"\\", b"//")

_FIXED_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def content_security_policy(nonce: str) -> str:
    """The policy for one answer: everything from this server, inline styles only with ``nonce``."""
    return (
        f"default-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask. ``hosts`` are lower-case names without port; ``origins`` are whole origins of other sites."""

    hosts: frozenset[str]
    any_address: bool  # IP literals pass as Host: rebinding needs a name
    origins: frozenset[str]
    token: str | None

    def allows_host(self, header: str | None) -> bool:
        """Whether a Host header names this server; the port is not looked at, since proxies change it."""
        name = _host_name(header)
        if name is None:
            return False
        return name in self.hosts or (self.any_address and _is_address(name))

    def allows_origin(self, origin: str | None, host: str | None) -> bool:
        """Whether an unsafe request may come from a page of ``origin``: none, this very host, or a listed one."""
        if origin is None or origin in self.origins:
            return True
        return bool(host) and urlsplit(origin).netloc.lower() == str(host).lower()

    def session(self) -> str:
        """What the cookie holds: derived from the token, so that the token itself is not stored in a browser."""
        key = (self.token or "").encode()
        return hmac.new(key, b"lora-weights-builder session", hashlib.sha256).hexdigest()

    def knows(self, headers: Headers) -> bool:
        """Whether a request carries the token or the cookie made from it; compared in constant time."""
        if self.token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and _same(given.strip(), self.token)
        return bearer or _same(_cookie(headers), self.session())


def policy_for(settings: Settings, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> Policy:
    """The policy of a server with these settings.

    Raises:
        ConfigError: the server would listen beyond this machine without a token.
    """
    if settings.listens_beyond_this_machine and not settings.token:
        raise ConfigError(
            f"Serving on {settings.host} lets other machines in, so it needs a token: give --token or set LWB_TOKEN, "
            "or stay on 127.0.0.1.",
            subject="token",
        )
    names = {*LOOPBACK_NAMES, *(name.lower() for name in hosts)}
    if settings.listens_beyond_this_machine and settings.host not in {"0.0.0.0", "::"}:
        names.add(settings.host.lower())
    return Policy(frozenset(names), settings.listens_beyond_this_machine, frozenset(origins), settings.token)


class Gate:
    """ASGI middleware that applies a :class:`Policy`; see the module's docstring."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self.app = app
        self.policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request here, or hand it on with its body read and its answer's headers completed."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["csp_nonce"] = nonce
        send = _with_headers(send, nonce)
        headers = Headers(scope=scope)
        refusal = self._refuse(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if scope["method"] not in _SAFE_METHODS:
            limit = MAX_SIGN_IN_BYTES if scope["path"] == SIGN_IN_PATH else MAX_BODY_BYTES
            body = await _read_body(headers, receive, limit)
            if body is None:
                await error_response(413, f"The body is larger than {limit} bytes.")(scope, receive, send)
                return
            if scope["path"] == SIGN_IN_PATH and self.policy.token is not None:
                await self._sign_in(body, scope)(scope, receive, send)
                return
            if body and not _is_json(headers):
                await error_response(415, "A body must be sent as `Content-Type: application/json`.")(
                    scope, receive, send
                )
                return
            receive = _replay(body, receive)
        await self.app(scope, receive, send)

    def _refuse(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.get("host")
        if not self.policy.allows_host(host):
            return error_response(
                400, "The Host header does not name this server. Open it by the address it printed.", code="bad_host"
            )
        if _is_hostile(scope):
            return nothing_here()
        if scope["method"] not in _SAFE_METHODS and not self._same_site(headers, host):
            return error_response(403, "Changes are only taken from this server's own pages.", code="cross_site")
        if self.policy.token is not None and scope["path"] == SIGN_IN_PATH:
            return sign_in_page(scope) if scope["method"] in {"GET", "HEAD"} else None
        if not self.policy.knows(headers):
            if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
                return sign_in_page(scope, status=401)
            return error_response(
                401,
                "This server needs its token, as `Authorization: Bearer ...` or through the sign-in page.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _same_site(self, headers: Headers, host: str | None) -> bool:
        if headers.get("sec-fetch-site") in {"same-origin", "none"}:
            return True
        return self.policy.allows_origin(headers.get("origin"), host)

    def _sign_in(self, body: bytes, scope: Scope) -> Response:
        given = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        if self.policy.token is None or not _same(given.strip(), self.policy.token):
            return sign_in_page(scope, status=401, message="That is not the token.")
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            COOKIE_NAME,
            self.policy.session(),
            max_age=30 * 24 * 3600,
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] == "https",
        )
        return answer


def sign_in_page(scope: Scope, *, status: int = 200, message: str = "") -> HTMLResponse:
    """The small form that turns the token into a cookie, for what cannot send headers: pages, streams, downloads."""
    nonce = scope["state"]["csp_nonce"]
    note = f'<p role="alert">{message}</p>' if message else ""
    return HTMLResponse(_SIGN_IN_HTML.format(nonce=nonce, note=note, path=SIGN_IN_PATH), status_code=status)


_SIGN_IN_HTML: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in - LoRA Weights Builder</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style nonce="{nonce}">body{{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:15vh auto;padding:0 1rem}}
input,button{{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0}}</style></head>
<body><main><h1>LoRA Weights Builder</h1><form method="post" action="{path}">
<label for="token">Token of this server</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Sign in</button></form>{note}</main></body></html>
"""


def _with_headers(send: Send, nonce: str) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _FIXED_HEADERS.items():
                headers[name] = value
            headers["Content-Security-Policy"] = content_security_policy(nonce)
            # A catalogue changes under its readers; only what says otherwise (hashed assets, tagged answers) is kept.
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return wrapped


async def _read_body(headers: Headers, receive: Receive, limit: int) -> bytes | None:
    """The whole body, or ``None`` where it is larger than ``limit`` bytes."""
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # the client went away
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body already read, then whatever comes after it (the disconnect)."""
    given = False

    async def wrapped() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return wrapped


def _is_hostile(scope: Scope) -> bool:
    """Whether an address tries to leave its place; no address of this server needs any of this."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
    raw = raw.lower()
    if any(mark in raw for mark in _HOSTILE_IN_PATH):
        return True
    return "\x00" in scope["path"] or any(part in {".", ".."} for part in scope["path"].split("/"))


def _is_json(headers: Headers) -> bool:
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _host_name(header: str | None) -> str | None:
    """The name in a Host header, without port and brackets, in lower case; ``None`` where there is none."""
    if not header or "@" in header or "/" in header:
        return None
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE_NAME)
    except CookieError:
        return ""
    return morsel.value if morsel is not None else ""
