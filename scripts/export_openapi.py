"""Write the server's OpenAPI document to ``ui/openapi.json``, byte for byte the same for the same code.

Usage: ``python scripts/export_openapi.py [--check] [FILE]``. ``--check`` writes nothing and exits 1 where the file is
not up to date.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "src"))

from lora_weights_builder.api.server import openapi_document  # noqa: E402  (needs the path above)


def main() -> int:
    """Write or check the file; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=REPOSITORY / "ui" / "openapi.json")
    parser.add_argument("--check", action="store_true", help="exit 1 if the file is not up to date; write nothing")
    options = parser.parse_args()
    text = json.dumps(openapi_document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    if options.check:
        current = options.file.read_text(encoding="utf-8") if options.file.exists() else ""
        if current == text:
            return 0
        print(f"{options.file} is not up to date; run scripts/export_openapi.py", file=sys.stderr)
        return 1
    options.file.parent.mkdir(parents=True, exist_ok=True)
    options.file.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
