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
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from pebble import ProcessExpired
from pebble import ProcessPool as PebblePool

T = TypeVar("T")

POOLS_A_CALL: Final = 3  # how many pools may break under one call before it is given up
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
        self._lock = threading.Lock()
        self._broken: list[PebblePool] = []
        self._closed = False
        self._pool = self._new_pool()

    def submit(self, function: Callable[..., T], /, *args: Any) -> Future[T]:
        """Queue a call."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self._schedule(future, function, args, POOLS_A_CALL)
        return future

    def _schedule(self, future: Future[T], function: Callable[..., T], args: tuple[Any, ...], tries: int) -> None:
        pool = self._pool
        try:
            task = pool.schedule(function, args=list(args), timeout=self._timeout)
        except RuntimeError:  # the pool broke before anyone asked it for a result
            pool = self._replaced(pool)
            task = pool.schedule(function, args=list(args), timeout=self._timeout)

        def settle(done: Future[T]) -> None:
            # The library gives a whole pool up when a process that had nothing to do is killed. The calls did no wrong.
            broken = not done.cancelled() and isinstance(done.exception(), BrokenProcessPool)
            if broken and tries > 1 and not self._closed:
                self._replaced(pool)
                self._schedule(future, function, args, tries - 1)
            else:
                _hand_over(done, future, self._timeout)

        task.add_done_callback(settle)

    def _new_pool(self) -> PebblePool:
        return PebblePool(max_workers=self.workers, context=_context())

    def _replaced(self, broken: PebblePool) -> PebblePool:
        """A pool that works in the place of ``broken``, unless another call has replaced it already."""
        with self._lock:
            if self._pool is broken and not self._closed:
                self._broken.append(broken)
                self._pool = self._new_pool()
            return self._pool

    def close(self) -> None:
        """End all processes at once."""
        with self._lock:
            self._closed = True
        for pool in (*self._broken, self._pool):
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _hand_over(done: Future[T], future: Future[T], timeout: float) -> None:
    try:
        future.set_result(done.result())
    except (TimeoutError, FutureTimeout):
        future.set_exception(WorkerLost(f"not done after {timeout:g} seconds", "timed_out"))
    except BrokenProcessPool:
        future.set_exception(WorkerLost("the worker processes died again and again", "worker_died"))
    except ProcessExpired as fault:
        future.set_exception(WorkerLost(f"the worker process died (exit code {fault.exitcode})", "worker_died"))
    except CancelledError:
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
