#!/usr/bin/env python3
"""Everything a checkout needs, from python3 (3.11 or later) and git alone.

    python3 dev.py up        set up, build, write a demo library and serve it
    python3 dev.py test      every check the project has
    python3 dev.py --help    the rest

Standard library only. What it fetches lies in .tools/ and .venv/, what it writes for the demo in .demo/; deleting
them undoes it. What does not belong here: anything that a user of the installed package needs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

if sys.version_info < (3, 11):  # noqa: UP036 - this file is also started by older ones, which deserve a sentence
    sys.exit(f"dev.py needs Python 3.11 or later; this is {sys.version.split()[0]}. Run it with a newer python3.")

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

import build_ui
from find_browser import INSTALL_HINT, find_browser

ROOT: Final = Path(__file__).resolve().parent
TOOLS: Final = ROOT / ".tools"
VENV: Final = ROOT / ".venv"
DEMO: Final = ROOT / ".demo"
REQUIREMENTS: Final = ROOT / "requirements"
LOCKED: Final = {
    "runtime": ["pyproject.toml", "--group", "build"],
    "dev": ["pyproject.toml", "--group", "dev", "--constraint", "requirements/runtime.txt"],
    "tools": ["--group", "tools"],
    "node": ["--group", "node"],
}
DEFAULT_PORT: Final = 5001
SERVER_START_SECONDS: Final = 90.0
WINDOWS: Final = os.name == "nt"


def fail(message: str) -> NoReturn:
    """Ends with one sentence on stderr."""
    raise SystemExit(f"dev.py: {message}")


def say(message: str) -> None:
    """Progress, in order with what the called programs print."""
    print(f"[dev] {message}", flush=True)


def call(command: Sequence[str | Path], *, env: dict[str, str], output: int | None = None) -> None:
    """Runs a step that the rest depends on; its output is ours unless redirected, its failure ends everything."""
    if subprocess.run(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output).returncode != 0:
        fail(f"`{' '.join(str(part) for part in command)}` failed; its own output above says why.")


# --- the environment -------------------------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    """The process environment for everything called: no foreign Python, caches even without a home folder."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}}
    env["UV_PYTHON_DOWNLOADS"] = "never"
    env["PIP_USER"] = "0"  # contradicts --target where someone's pip configuration sets it
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env["PIP_ROOT_USER_ACTION"] = "ignore"  # nothing is installed outside the checkout, whoever runs this
    env["LWB_SKIP_UI"] = "1"  # the interface is built below, not once more by the install
    if not env.get("HOME") and not WINDOWS:
        env["UV_CACHE_DIR"] = str(TOOLS / "uv-cache")
        env["PIP_CACHE_DIR"] = str(TOOLS / "pip-cache")
    return env


def digest(*paths: Path) -> str:
    """A hash over the bytes of the files, hex."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def find_uv() -> Path:
    """The pinned uv in .tools, fetched by pip if need be."""
    home, stamp = TOOLS / "uv", TOOLS / "uv" / ".lwb-lock"
    wanted = digest(REQUIREMENTS / "tools.txt")

    def executable() -> Path | None:
        candidates = (home / folder / name for folder in ("bin", "Scripts") for name in ("uv", "uv.exe"))
        return next((path for path in candidates if path.is_file()), None)

    if (found := executable()) and stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return found
    say("fetching uv into .tools")
    shutil.rmtree(home, ignore_errors=True)
    # --target is a folder of our own, so distributions that guard their Python (PEP 668) do not object.
    arguments: list[str | Path] = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", home]
    call([*pip(), *arguments, "-r", REQUIREMENTS / "tools.txt"], env=environment())
    found = executable()
    if found is None:
        fail(f"pip installed uv into {home}, but no uv executable is there; delete .tools and try again.")
    stamp.write_text(wanted, "utf-8")
    return found


def pip() -> list[str | Path]:
    """A pip to fetch uv with: this Python's own, else that of a throw-away environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    bootstrap = TOOLS / "bootstrap"
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", bootstrap],
        env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode != 0:
        fail(
            f"{sys.executable} has neither pip nor a working venv module. Install one (Debian and Ubuntu: "
            "`apt install python3-pip`; Fedora: `dnf install python3-pip`; Arch: `pacman -S python-pip`) and try again."
        )
    return [executables_of(bootstrap) / ("python.exe" if WINDOWS else "python"), "-m", "pip"]


def executables_of(venv: Path) -> Path:
    """The folder of a virtual environment's executables."""
    return venv / ("Scripts" if WINDOWS else "bin")


def program(name: str) -> Path:
    """A program of the project's environment."""
    return executables_of(VENV) / (f"{name}.exe" if WINDOWS else name)


def ensure_python(kind: str) -> None:
    """The environment with the ``runtime`` or ``dev`` requirements and the package itself, editable."""
    stamp = VENV / "lwb-stamp.txt"
    wanted = {
        each: f"{each} {digest(REQUIREMENTS / f'{each}.txt', ROOT / 'pyproject.toml')}" for each in ("runtime", "dev")
    }
    works = program("python").exists() and subprocess.run([program("python"), "-c", ""]).returncode == 0
    installed = stamp.read_text("utf-8") if works and stamp.is_file() else ""
    if installed in {wanted[kind], wanted["dev"]}:  # dev holds all of runtime
        return
    uv, env = find_uv(), environment()
    if not works:
        say(f"making .venv with Python {sys.version.split()[0]}")
        call([uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV], env=env)
    say(f"installing the {kind} requirements")
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", program("python")]
    call([*install, "--require-hashes", "-r", REQUIREMENTS / f"{kind}.txt"], env=env)
    call([*install, "--no-deps", "--no-build-isolation", "--editable", ROOT], env=env)
    stamp.write_text(wanted[kind], "utf-8")


def ensure_node() -> build_ui.Node:
    """A Node for the UI: the system's if it will do, else a private one in .tools."""
    if node := build_ui.find_node():
        return node
    say("no Node 20.19 or later here: fetching one into .tools")
    call(
        [find_uv(), "pip", "install", "--quiet", "--require-hashes", "--python", sys.executable,
         "--target", build_ui.PRIVATE_NODE, "-r", REQUIREMENTS / "node.txt"],
        env=environment(),
    )  # fmt: skip
    node = build_ui.find_node()
    if node is None:
        fail("the fetched Node does not run on this system; install Node 20.19 or later yourself and try again.")
    return node


def ensure_ui() -> None:
    """The built interface, of the present sources."""
    if build_ui.is_current():
        return
    say("building the web interface")
    build_ui.build(ensure_node())


# --- up --------------------------------------------------------------------------------------------------------------


def up(options: argparse.Namespace) -> int:
    """Serves the given roots with the user's own catalogue, else the demo library with one of its own."""
    ensure_python("runtime")
    ensure_ui()
    roots: list[str] = options.roots
    command: list[str | Path] = [program("lwb"), "serve"]
    if roots:
        command += roots
    else:
        command += [demo_library(), "--db", DEMO / "lora_master.db"]
    port = options.port or free_port(DEFAULT_PORT)
    url = f"http://127.0.0.1:{port}/"
    say(f"serving {', '.join(roots) or 'the demo library'} on {url} (Ctrl+C stops)")
    server = subprocess.Popen([*command, "--port", str(port), "--no-open"], env=environment(), stdin=subprocess.DEVNULL)
    # Whoever ends us ends the server too.
    signal.signal(signal.SIGTERM, interrupt)
    try:
        wait_for_interface(server, url)
        say(f"ready: {url}")
        if options.once:
            return 0
        if not options.no_open:
            webbrowser.open(url)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stop(server)


def interrupt(_signal: int, _frame: object) -> NoReturn:
    """A request to end, treated like Ctrl+C."""
    raise KeyboardInterrupt


def demo_library() -> Path:
    """The demo library, written on first use. An interrupted writing leaves nothing that looks whole."""
    library = DEMO / "library"
    if not library.is_dir():
        say("writing the demo library into .demo")
        unfinished = DEMO / "library.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        DEMO.mkdir(exist_ok=True)
        # As JSON, and that unseen: the summary for people would name the folder that is about to be renamed.
        call([program("lwb"), "demo", unfinished, "--json"], env=environment(), output=subprocess.DEVNULL)
        unfinished.rename(library)
    return library


def free_port(preferred: int) -> int:
    """``preferred``, else the next of ten that nobody listens on."""
    for port in range(preferred, preferred + 10):
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                if port != preferred:
                    say(f"port {preferred} is in use; taking {port}")
                return port
    fail(f"ports {preferred} to {preferred + 9} are all in use; choose one with --port.")


def wait_for_interface(server: subprocess.Popen[bytes], url: str) -> None:
    """Returns once the web page answers; fails if the server ends first or takes too long."""
    # Straight to this machine, whatever proxy the environment names.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + SERVER_START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            fail(f"the server ended at once with exit code {server.returncode}; its own output above says why.")
        try:
            with opener.open(url, timeout=5) as answer:
                if b"<script" in answer.read().lower():
                    return
                fail(f"{url} answers, but not with the web interface; is another program on this port?")
        except urllib.error.HTTPError as error:
            fail(f"{url} answers with {error.code} instead of the web interface.")
        except OSError:
            time.sleep(0.1)
    fail(f"the server did not answer on {url} within {SERVER_START_SECONDS:.0f} seconds.")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Ends the server: politely, then for good."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


# --- test and lint ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name and what to run, from the repository's root or, for npm scripts, in ui/."""

    name: str
    command: tuple[str | Path, ...]
    npm: bool = False


def python_lint() -> list[Check]:
    """Style, types and the import floors."""
    return [
        Check("ruff", (program("ruff"), "check")),
        Check("ruff format", (program("ruff"), "format", "--check")),
        Check("mypy --strict", (program("mypy"),)),
        Check("import floors", (program("lint-imports"), "--no-cache")),
        Check("dead code", (program("vulture"),)),
    ]


def test(options: argparse.Namespace) -> int:
    """Runs the chosen checks, all of them even after a failure; pytest last, so that its summary is in sight."""
    both = options.python == options.ui
    with_python, with_ui = both or options.python, both or options.ui
    lint_only = options.command == "lint"
    started = time.monotonic()
    if with_python:
        ensure_python("dev")
    # The Python side too: its end-to-end tests drive the browser through the interface's packages.
    node = None if lint_only and not with_ui else ensure_node()
    if node is not None:
        build_ui.install_packages(node, dev=True)
    checks: list[Check] = []
    if with_python:
        checks += python_lint()
    if with_ui:
        checks += [Check("ui lint", ("run", "lint"), npm=True), Check("ui types", ("run", "typecheck"), npm=True)]
    if both:
        checks.append(Check("openapi", (program("python"), ROOT / "dev.py", "openapi", "--check")))
    if not lint_only:
        # On both sides, for the end-to-end tests are of the interface that is built in.
        checks.append(Check("ui build", (sys.executable, ROOT / "dev.py", "build")))
    if not lint_only and with_ui:
        checks.append(Check("ui tests", ("run", "test"), npm=True))
    env = environment()
    if not lint_only and with_python:
        env["CHROME"] = str(require_browser(env))
        checks.append(Check("dev.py up", (program("python"), ROOT / "dev.py", "up", "--once", "--no-open")))
        checks.append(Check("pytest", (program("python"), "-m", "pytest", *options.pytest)))
    return run_checks(checks, env, node, started)


def require_browser(env: dict[str, str]) -> Path:
    """The browser of the end-to-end tests; without one the run fails, for skipped tests would look like passed ones."""
    try:
        browser = find_browser(env)
    except FileNotFoundError as error:
        fail(str(error))
    return browser or fail(INSTALL_HINT)


def run_checks(checks: Sequence[Check], env: dict[str, str], node: build_ui.Node | None, started: float) -> int:
    """Runs every check and says at the end which failed; 0 when none did."""
    if node is not None:
        env["LWB_NODE"] = str(node.executable)
    failed: list[str] = []
    for check in checks:
        say(f"{check.name} ...")
        begun = time.monotonic()
        if check.npm:
            if node is None:
                raise AssertionError("npm checks are only chosen where a Node was found")
            npm_env = {**env, **node.environment(), "CHROME": env.get("CHROME", "")}
            done = subprocess.run([*node.npm, *check.command], cwd=build_ui.UI, env=npm_env, stdin=subprocess.DEVNULL)
        else:
            done = subprocess.run(check.command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL)
        outcome = "ok" if done.returncode == 0 else f"FAILED with exit code {done.returncode}"
        say(f"{check.name}: {outcome} ({time.monotonic() - begun:.1f} s)")
        if done.returncode != 0:
            failed.append(check.name)
    seconds = time.monotonic() - started
    if failed:
        say(f"{len(failed)} of {len(checks)} checks failed in {seconds:.0f} s: {', '.join(failed)}")
        return 1
    say(f"all {len(checks)} checks passed in {seconds:.0f} s")
    return 0


# --- generated files -------------------------------------------------------------------------------------------------


def lock(options: argparse.Namespace) -> int:
    """Compiles requirements/*.txt from pyproject.toml; existing pins stay unless ``--upgrade``."""
    for name, sources in LOCKED.items():
        command: list[str | Path] = [find_uv(), "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        command += ["--no-header", "--python-version", "3.11", "--output-file", f"requirements/{name}.txt", *sources]
        call([*command, *(["--upgrade"] if options.upgrade else [])], env=environment())
    for path in sorted(REQUIREMENTS.glob("*.txt")):
        if "://" in path.read_text("utf-8"):
            fail(f"{path.name} names an address; requirement files hold names, versions and hashes only.")
    return 0


def build(_options: argparse.Namespace) -> int:
    """Builds the interface into the package unless that build is current."""
    ensure_ui()
    return 0


def generate(options: argparse.Namespace) -> int:
    """Writes ui/openapi.json and its types, or parts of docs/; with ``--check`` says whether they are current."""
    ensure_python("dev")
    check = ["--check"] if options.check else []
    script = {"openapi": "export_openapi.py", "docs": "write_docs.py"}[options.command]
    call([program("python"), ROOT / "scripts" / script, *check], env=environment())
    if options.command == "openapi":
        node = ensure_node()
        build_ui.install_packages(node, dev=True)
        build_ui.run_npm(node, ["run", "--silent", "gen", "--", *check])
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="dev.py", description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("up", help="set up, build, write a demo library and serve it")
    command.add_argument("roots", nargs="*", metavar="ROOT", help="library folders to serve instead of the demo")
    command.add_argument("--port", type=int, help=f"default: {DEFAULT_PORT}, or the next free one")
    command.add_argument("--no-open", action="store_true", help="leave the browser alone")
    command.add_argument("--once", action="store_true", help="stop once the interface has answered")
    command.set_defaults(run=up)

    for name, text in (("test", "run every check"), ("lint", "run only the checks of style, types and imports")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--python", action="store_true", help="only the Python side")
        command.add_argument("--ui", action="store_true", help="only the web interface")
        command.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
        command.set_defaults(run=test)

    command = commands.add_parser("build", help="build the web interface into the package")
    command.set_defaults(run=build)

    command = commands.add_parser("lock", help="compile requirements/*.txt from pyproject.toml")
    command.add_argument("--upgrade", action="store_true", help="take the newest versions instead of the present pins")
    command.set_defaults(run=lock)

    for name, text in (("openapi", "ui/openapi.json and the types from it"), ("docs", "the generated parts of docs/")):
        command = commands.add_parser(name, help=f"write {text}")
        command.add_argument("--check", action="store_true", help="change nothing; fail if they are not current")
        command.set_defaults(run=generate)

    options = parser.parse_args(arguments)
    try:
        result: int = options.run(options)
    except build_ui.UiBuildError as error:
        fail(str(error))
    return result


if __name__ == "__main__":
    raise SystemExit(main())
