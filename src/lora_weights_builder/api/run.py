"""A server process: the socket, the printed address, the browser, and an orderly end.

The only room that starts uvicorn. ``lwb serve`` calls :func:`run_server`; tests use :class:`Server` in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvicorn

from lora_weights_builder.api.gate import policy_for
from lora_weights_builder.api.server import App, create_app
from lora_weights_builder.config import Settings
from lora_weights_builder.errors import ConfigError
from lora_weights_builder.library.catalog import Catalog

GRACE_SECONDS: Final = 5  # for requests under way when the server ends


class Server(uvicorn.Server):
    """uvicorn that tells the job to end before it waits for open answers; a stream would else hold it up."""

    def __init__(self, app: App, settings: Settings) -> None:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,  # addresses hold what people search for
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            lifespan="on",
        )
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams and the job, then the server."""
        jobs = getattr(self._app.state, "jobs", None)
        if jobs is not None:
            jobs.begin_close()
        await super().shutdown(sockets)


def run_server(settings: Settings, roots: Sequence[Path] = (), open_browser: bool = False) -> None:
    """Serve until interrupted; index ``roots`` (else the library's saved ones) in the background meanwhile.

    Prints the address to stderr once the server answers.

    Raises:
        ConfigError: no token on an address that other machines reach, or the address cannot be listened on.
        CatalogError: the database cannot be used.
    """
    policy_for(settings)  # refused before anything is opened
    with contextlib.closing(listen(settings)) as listener:
        catalog = Catalog.open(settings.database)  # here, so that its faults reach the caller and not a log
        try:
            app = create_app(settings, open_catalog=lambda: catalog, index_at_start=roots)
            server = Server(app, settings)
            address = address_of(listener, settings)
            threading.Thread(target=_announce, args=(server, address, open_browser), daemon=True).start()
            with contextlib.suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            catalog.close()


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the configured address.

    Raises:
        ConfigError: the port is in use, or the address is not one of this machine.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"Cannot resolve the host {settings.host!r}: {error}.", subject="host") from error
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigError(_why_not(error, settings), subject="port") from error
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket, settings: Settings) -> str:
    """The URL to open, with the port that was really taken."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _why_not(error: OSError, settings: Settings) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {settings.port} of {settings.host} is in use, perhaps by another `lwb serve`. "
            "Stop that one, or choose another port with --port (0 takes a free one)."
        )
    return f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}."


def _announce(server: Server, address: str, open_browser: bool) -> None:
    """Print the address as soon as the server answers, and open it if wanted."""
    pause = threading.Event()
    while not server.started:
        if server.should_exit:
            return
        pause.wait(0.02)
    print(f"LoRA Weights Builder is at {address} (Ctrl+C ends it)", file=sys.stderr, flush=True)
    if open_browser:
        webbrowser.open(address)
