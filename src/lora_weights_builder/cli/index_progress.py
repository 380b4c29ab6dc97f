"""Progress of an index run on a terminal: files, bytes a second, time remaining; and its summary at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lora_weights_builder.cli.console import shown, stderr, table
from lora_weights_builder.records import ProgressEvent, ScanSummary

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import ProgressColumn

_PHASES: Final = {
    "walk": "Looking for files",
    "headers": "Reading headers",
    "identity": "Telling moves from copies",
    "store": "Storing",
    "data": "Measuring weights",
    "duplicates": "Finding duplicates",
    "done": "Done",
}
_DESCRIPTION_WIDTH: Final = max(len(text) for text in _PHASES.values())


@contextmanager
def progress_view() -> Iterator[Callable[[ProgressEvent], None]]:
    """A sink for progress events, drawn on stderr where that is a terminal and silent elsewhere."""
    console = stderr()
    if not console.is_terminal:
        yield lambda event: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns: tuple[ProgressColumn, ...] = (
        TextColumn(f"{{task.description:<{_DESCRIPTION_WIDTH}}}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None, speed="")
        phase: str | None = None
        began = 0.0

        def show(event: ProgressEvent) -> None:
            nonlocal phase, began
            if event.phase != phase:
                phase, began = event.phase, event.seconds
                progress.reset(task, description=_PHASES[event.phase], total=event.total or None, speed="")
            elapsed = event.seconds - began
            speed = f"{event.bytes_done / elapsed / 1e6:.0f} MB/s" if elapsed > 0 and event.bytes_done else ""
            progress.update(task, completed=event.done, total=event.total or None, speed=speed)

        yield show


def summary_lines(summary: ScanSummary) -> list[str]:
    """The counters as a small table, then every problem with its reason."""
    counters = (
        ("found", summary.discovered),
        ("added", summary.added),
        ("updated", summary.updated),
        ("moved", summary.moved),
        ("unchanged", summary.unchanged),
        ("missing", summary.missing),
        ("failed", summary.failed),
        ("duplicates", summary.duplicates),
    )
    lines = table([name for name, _ in counters], [[str(count) for _, count in counters]], right=range(len(counters)))
    lines.append(f"{'Stopped early after' if summary.stopped else 'Done in'} {summary.seconds:.1f} s.")
    return lines + [shown(located(problem.path, problem.reason)) for problem in summary.errors]


def located(path: str, reason: str) -> str:
    """``path: reason``; reasons that begin with the path already are left as they are."""
    return reason if reason.startswith(path) else f"{path}: {reason}"
