"""Where inspections run: in this process, or in several that may be killed without harm to the others.

An executor takes functions and gives futures; it knows nothing of LoRA files. What runs in it is in ``inspections.py``.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from pebble import ProcessExpired
from pebble import ProcessPool as PebblePool

T = TypeVar("T")

WATCH_S: Final = 0.2
POOLS_A_CALL: Final = 5  # how many pools may break under one call before it is given up
TASK_TIMEOUT_S: Final = 900.0  # a 20 GB file from a slow disk; what takes longer hangs
_ONE_THREAD: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
_PRELOAD: Final = ("lora_weights_builder.library.inspections", "lora_weights_builder.inspector.delta_inspector")


class WorkerLost(Exception):
    """A task did not come to an end. ``code`` is ``worker_died`` or ``timed_out``; the text says what happened."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Executor(Protocol):
    """What the indexer needs: somewhere to run functions, and how many run at once.

    A future's ``result()`` raises :class:`WorkerLost` where the worker died or took too long.
    """

    workers: int

    def submit(self, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Begin a call; ``function`` and ``args`` must pickle."""
        ...

    def close(self) -> None:
        """End the workers; what has not begun is dropped."""
        ...


class SerialExecutor:
    """Runs each call at once, in this process."""

    workers = 1

    def submit(self, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Call the function now; its exception becomes the future's."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*args))
        except Exception as fault:  # handed to whoever asks for the result, as every executor does
            future.set_exception(fault)
        return future

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class ProcessPool:
    """Runs calls in ``workers`` processes, each with one thread of arithmetic.

    A process that is killed, or a call that takes longer than ``timeout`` seconds, costs that call only: the pool
    starts another process and goes on.
    """

    def __init__(self, workers: int, *, timeout: float = TASK_TIMEOUT_S) -> None:
        for name in _ONE_THREAD:  # read when a worker first loads its linear algebra, so it has to be inherited
            os.environ.setdefault(name, "1")
        self.workers = workers
        self._timeout = timeout
        self._lock = threading.RLock()
        self._broken: list[PebblePool] = []
        self._calls: list[_Call] = []
        self._closed = threading.Event()
        self._pool = self._new_pool()
        threading.Thread(target=self._watch, name="worker-pool-watch", daemon=True).start()

    def submit(self, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Queue a call."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        call = _Call(future, function, args)
        with self._lock:
            self._calls.append(call)
        self._schedule(call)
        return future

    def _schedule(self, call: _Call) -> None:
        """Hand a call to the pool in use; a pool that breaks meanwhile is noticed by the watch."""
        with self._lock:
            call.pool = pool = self._pool
            call.tries -= 1
        try:
            task = pool.schedule(call.function, args=list(call.args), timeout=self._timeout)
        except RuntimeError:  # it broke before; replacing it schedules this call again
            self._replace(pool)
            return

        def settle(done: Future[Any]) -> None:
            if not self._closed.is_set() and not done.cancelled() and isinstance(done.exception(), BrokenProcessPool):
                self._replace(pool)
                return
            with self._lock:
                if call.pool is not pool or call not in self._calls:
                    return  # another pool has it now
                self._calls.remove(call)
            _hand_over(done, call.future, self._timeout)

        task.add_done_callback(settle)

    def _new_pool(self) -> PebblePool:
        return PebblePool(max_workers=self.workers, context=_context())

    def _replace(self, broken: PebblePool) -> None:
        """Put a new pool in the place of ``broken`` and give it all calls that went down with the old one.

        The library gives a whole pool up, calls that wait included, when a process that had nothing to do is killed.
        """
        with self._lock:
            if self._pool is not broken or self._closed.is_set():
                return
            self._broken.append(broken)
            self._pool = self._new_pool()
            stranded = [call for call in self._calls if call.pool is broken]
            lost = [call for call in stranded if call.tries == 0]
            self._calls = [call for call in self._calls if call not in lost]
        for call in lost:
            call.future.set_exception(WorkerLost("the worker processes died again and again", "worker_died"))
        for call in stranded:
            if call not in lost:
                self._schedule(call)

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_S):
            pool = self._pool
            if not pool.active:
                self._replace(pool)

    def close(self) -> None:
        """End all processes at once."""
        self._closed.set()
        for pool in (*self._broken, self._pool):
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


@dataclass(eq=False, slots=True)
class _Call:
    """A call under way, and the pool that has it."""

    future: Future[Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]
    pool: PebblePool | None = None
    tries: int = POOLS_A_CALL


def _hand_over(done: Future[T], future: Future[T], timeout: float) -> None:
    try:
        future.set_result(done.result())
    except (TimeoutError, FutureTimeout):
        future.set_exception(WorkerLost(f"not done after {timeout:g} seconds", "timed_out"))
    except ProcessExpired as fault:
        future.set_exception(WorkerLost(f"the worker process died (exit code {fault.exitcode})", "worker_died"))
    except (CancelledError, BrokenProcessPool):
        future.set_exception(WorkerLost("the run was stopped", "worker_died"))
    except Exception as fault:  # whatever the call raised belongs to whoever asks for the result
        future.set_exception(fault)


def _context() -> multiprocessing.context.BaseContext:
    """Never a plain fork, which copies locks that other threads hold. A fork server loads the modules only once."""
    if "forkserver" not in multiprocessing.get_all_start_methods() or platform.system() == "Darwin":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOAD))
    return context


def make_executor(workers: int) -> SerialExecutor | ProcessPool:
    """An executor for so many workers; one worker means this process."""
    return SerialExecutor() if workers <= 1 else ProcessPool(workers)
