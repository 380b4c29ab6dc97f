"""``lwb serve`` as a process: it answers where it says it does, and ends without a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path


def test_it_serves_the_roots_it_is_given_until_interrupted(folder: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lora_weights_builder", "serve", str(folder), "--no-open", "--port", "0", "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LWB_DB": str(tmp_path / "serve.db")},
    )
    assert process.stderr is not None
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert address is not None
        with urllib.request.urlopen(f"{address.group()}/health", timeout=20) as answer:
            assert json.load(answer)["status"] == "ok"
    finally:
        if sys.platform == "win32":  # a child there cannot be sent Ctrl+C alone
            process.terminate()
        else:
            process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        process.stderr.close()
        process.wait(timeout=30)
    assert "Traceback" not in rest
