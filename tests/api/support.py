"""A real server on a real socket over a real catalogue, for the tests of this folder."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from safetensors.numpy import save_file

from lora_weights_builder.api.run import Server, listen
from lora_weights_builder.api.server import App, create_app
from lora_weights_builder.config import Settings

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Running:
    """A server that answers at ``url``."""

    url: str
    port: int
    app: App
    server: Server

    def client(self, **options: Any) -> httpx2.Client:
        """A client of this server."""
        return httpx2.Client(base_url=self.url, timeout=60, **options)

    def raw(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Raw:
        """Send ``path`` as it stands: what clients would tidy up on the way arrives here as an attacker sends it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = dict(headers or {})
        connection.putrequest(method, path, skip_host="Host" in given, skip_accept_encoding=True)
        if body is not None and "Transfer-Encoding" not in given:
            given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            connection.putheader(name, value)
        try:
            connection.endheaders(body)
            answer = connection.getresponse()
            return Raw(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Raw:
    """A raw answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Settings whose every path lies in ``folder``."""
    given: dict[str, Any] = {
        "database": str(folder / "lora_master.db"),
        "conventions": folder / "conventions.toml",
        "jobs": 1,
        "port": 0,
        "ui_directory": folder / "ui_dist",
        **changes,
    }
    return Settings(**given)


@contextmanager
def running(settings: Settings, **options: Any) -> Iterator[Running]:
    """A server in a thread, ended in an orderly way."""
    app = create_app(settings, **options)
    listener = listen(settings)
    server = Server(app, settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    assert server.started, "the server did not start"
    port = listener.getsockname()[1]
    try:
        yield Running(f"http://127.0.0.1:{port}", port, app, server)
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
        assert not thread.is_alive(), "the server did not end"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return once ``condition`` holds; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def flux_single_lora(path: Path, blocks: Sequence[int] = (0, 1, 2), *, rank: int = 1, scale: float = 1.0) -> Path:
    """A Flux LoRA in kohya names with ``linear2`` of some single blocks; block i has ||dW|| = scale * (i + 1)."""
    tensors: dict[str, Array] = {}
    for block in blocks:
        name = f"lora_unet_single_blocks_{block}_linear2"
        down, up = np.zeros((rank, 15360), np.float32), np.zeros((3072, rank), np.float32)
        down[0, 0], up[0, 0] = scale, block + 1
        tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"] = down, up
        tensors[f"{name}.alpha"] = np.array(rank, np.float32)
    return _saved(tensors, path)


def flux_text_and_double_lora(path: Path) -> Path:
    """A Flux LoRA with one double block and one CLIP-L layer."""
    tensors: dict[str, Array] = {}
    for name, out, into in (
        ("lora_unet_double_blocks_3_img_attn_proj", 3072, 3072),
        ("lora_unet_double_blocks_4_img_attn_proj", 3072, 3072),
        ("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768, 768),
    ):
        tensors[f"{name}.lora_down.weight"] = np.full((1, into), 0.01, np.float32)
        tensors[f"{name}.lora_up.weight"] = np.full((out, 1), 0.01, np.float32)
    return _saved(tensors, path)


def sdxl_lora(path: Path) -> Path:
    """An SDXL LoRA with two attention modules in kohya names."""
    tensors: dict[str, Array] = {}
    for name, out, into in (
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 640, 2048),
        ("lora_unet_output_blocks_0_1_transformer_blocks_3_attn2_to_k", 1280, 2048),
        ("lora_unet_output_blocks_0_1_transformer_blocks_3_attn2_to_v", 1280, 2048),
    ):
        tensors[f"{name}.lora_down.weight"] = np.full((1, into), 0.02, np.float32)
        tensors[f"{name}.lora_up.weight"] = np.full((out, 1), 0.02, np.float32)
    return _saved(tensors, path)


def _saved(tensors: dict[str, Array], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def make_library(root: Path) -> Path:
    """A root with four entries: two Flux, one SDXL, and one Flux file that is no LoRA."""
    flux_single_lora(root / "FLUX" / "08 - Clothing" / "coat.safetensors")
    flux_text_and_double_lora(root / "FLUX" / "02 - Styles" / "100%_ink.safetensors")
    sdxl_lora(root / "SDXL" / "01 - People" / "ada.safetensors")
    (root / "FLUX" / "08 - Clothing" / "torn.safetensors").write_bytes(b"\xff" * 40)
    return root
