"""Main program of a worker: imports the tasks, and runs RQ's worker again after each outage of Redis."""

import contextlib
import importlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from warmer.connect import connect
from warmer.engine.switching import yielding
from warmer.engine.worker_name import worker_name
from warmer.errors import NotImportableError, SettingsError, described
from warmer.runtime import Runtime
from warmer.tasks.loading import load
from warmer_workers.rq_worker import ThreadWorker, WarmWorker
from warmer_workers.shutdown import Shutdown

logger = logging.getLogger("warmer.worker")

RETRY_S = 1.0


def run_worker(
    find_runtime: Callable[[], Runtime], modules: Sequence[str], *, burst: bool = False, is_supervised: bool = False
) -> int:
    """Run a worker in this process until it must stop.

    Args:
        find_runtime: Returns the runtime of the default `Warmer`, on which the modules register their tasks; it changes
            when a module calls `configure`.
        modules: The modules that register the tasks: ``module``, or ``module:function`` to call.
        burst: Whether to end when nothing is left to do.
        is_supervised: Whether a supervisor forwards signals that this process may have got already.

    Returns:
        The exit code: 0, unless it had to exit at once.

    Raises:
        SettingsError: no Redis is configured, or a module cannot be imported.
    """
    runtime = find_runtime()
    shutdown = Shutdown(runtime, is_supervised=is_supervised)
    try:
        with contextlib.suppress(StopRequested), shutdown.listening():
            wait_for_redis(runtime)
            with yielding():
                import_tasks(modules)
            runtime = shutdown.runtime = find_runtime()
            shutdown.set_handlers()  # the modules may have set their own
            _work_until_stopped(runtime, shutdown, burst)
    finally:
        runtime.worker_heartbeat.end()
        runtime.background.stop()
    return shutdown.exit_code


def _work_until_stopped(runtime: Runtime, shutdown: Shutdown, burst: bool) -> None:
    name = worker_name()
    runtime.worker_heartbeat.begin(name)
    runtime.background.start()
    runtime.background.tick()  # this also registers the tasks of the modules
    logger.info("worker %s knows %d tasks", name, len(runtime.registry.tasks()))
    _warn_of_undeclared_limits(runtime)
    while True:
        _work(runtime, name, shutdown, burst)
        if burst or shutdown.is_set():
            return
        time.sleep(RETRY_S)  # a signal ends it


def _warn_of_undeclared_limits(runtime: Runtime) -> None:
    used = {task.limit for task in runtime.registry.tasks() if task.limit is not None}
    undeclared = used - set(runtime.settings.limits)
    if not undeclared:
        return
    with contextlib.suppress(RedisError):  # the background thread logs it
        for name in sorted(undeclared - runtime.store.limits.declared()):
            logger.warning(
                "the limit %r is used by tasks and not declared: they are computed one at a time; "
                'declare it, for example WARMER_LIMITS=\'{"%s": {"concurrency": 4}}\'',
                name,
                name,
            )


def run_in_thread(runtime: Runtime, stop: threading.Event) -> None:
    """Run a worker in this thread until `stop` is set."""
    name = worker_name()
    runtime.worker_heartbeat.begin(name)
    runtime.background.start()
    runtime.background.tick()
    while not stop.is_set():
        try:
            connection = connect(runtime.settings.required_redis_url(), runtime.settings.redis_timeout_s, resend=True)
            ThreadWorker(runtime, connection, name, stop).work(logging_level="CRITICAL")
        except RedisError as error:
            logger.warning("the embedded worker lost Redis: %s", described(error))
        stop.wait(0 if stop.is_set() else RETRY_S)
    runtime.worker_heartbeat.end()


def _work(runtime: Runtime, name: str, shutdown: Shutdown, burst: bool) -> None:
    """Run RQ's worker until it must stop, or until it loses Redis."""
    try:
        connection = connect(runtime.settings.required_redis_url(), runtime.settings.redis_timeout_s, resend=True)
        runtime.queue.hint()  # targets may be ready already
        # The suffix is new, because RQ rejects the name of a worker that died without a deregistration.
        worker = WarmWorker(runtime, connection, f"{name}-{token_hex(2)}", shutdown, is_burst=burst)
        # The background thread logs an outage once; RQ would log it at every attempt.
        worker.work(burst=burst, logging_level="CRITICAL")
    except RedisError as error:
        logger.info("RQ lost Redis: %s", described(error))


def import_tasks(modules: Sequence[str]) -> None:
    """Import the modules that register the tasks.

    Args:
        modules: ``module``, or ``module:function`` to call; also from the current folder.

    Raises:
        SettingsError: a module cannot be imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    for module in modules:
        try:
            register = load(module) if ":" in module else None
            importlib.import_module(module.partition(":")[0])
        except (ModuleNotFoundError, NotImportableError) as error:
            raise SettingsError(
                f"--import {module}: {error}; expected MODULE or MODULE:FUNCTION that can be imported from {here} or "
                "sys.path"
            ) from error
        if register is not None:
            register()


def wait_for_redis(runtime: Runtime) -> None:
    """Wait until Redis answers, with a log line for each attempt."""
    while True:
        try:
            runtime.store.ping()
        except RedisError as error:
            logger.warning("waiting for Redis: %s", described(error))
            time.sleep(RETRY_S)
        else:
            return
