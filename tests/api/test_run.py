"""A server process: its socket, its address on the terminal, and its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from lora_weights_builder.api.run import address_of, listen, run_server
from lora_weights_builder.errors import ConfigError
from tests.api.support import make_settings

SERVE = """
import sys
from pathlib import Path
from lora_weights_builder.api.run import run_server
from lora_weights_builder.config import load_settings
if __name__ == "__main__":
    run_server(load_settings(), [Path(root) for root in sys.argv[1:]])
"""


def test_a_port_in_use_is_a_clear_error_before_anything_is_opened(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"Port {port} of 127\.0\.0\.1 is in use.*--port"):
            run_server(make_settings(tmp_path, port=port))
    assert not (tmp_path / "lora_master.db").exists()


def test_an_address_of_another_machine_cannot_be_listened_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot listen on 192\.0\.2\.1"):
        listen(make_settings(tmp_path, host="192.0.2.1", token="t"))


def test_serving_other_machines_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token"):
        run_server(make_settings(tmp_path, host="0.0.0.0"))


def test_the_printed_address_is_one_to_open(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, host="0.0.0.0", token="t")
    with listen(settings) as listener:
        assert address_of(listener, settings) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_process_serves_indexes_and_ends_on_interrupt_even_with_a_stream_open(tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    script = tmp_path / "serve.py"
    script.write_text(SERVE, encoding="utf-8")
    environment = {
        **os.environ,
        "LWB_DB": str(tmp_path / "lora_master.db"),
        "LWB_PORT": "0",
        "LWB_JOBS": "1",
        "LWB_CONVENTIONS": str(tmp_path / "conventions.toml"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    # Windows sends an interrupt to a whole group of processes, so the server gets one of its own.
    interrupt, group = signal.SIGINT, 0
    if sys.platform == "win32":
        interrupt, group = signal.CTRL_BREAK_EVENT, subprocess.CREATE_NEW_PROCESS_GROUP
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "loras")],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        creationflags=group,
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("LoRA Weights Builder is at http://127.0.0.1:")
        address = line.split()[5]
        with httpx2.Client(base_url=address, timeout=30) as client:
            assert client.get("/health").json()["status"] == "ok"
            with client.stream("GET", "/api/lora/index_events") as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith("data: ")
                process.send_signal(interrupt)
                assert [line for line in lines if "Traceback" in line] == []
        assert process.wait(30) in {0, -interrupt}
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
