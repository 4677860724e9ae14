"""Runs a worker process, and keeps it running while Redis comes and goes."""

import importlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

from warmer.client import Warmer
from warmer.connect import connect
from warmer.errors import NotImportableError, SettingsError, described
from warmer.registry import load
from warmer.workername import worker_name
from warmer_workers.worker import ThreadWorker, WarmWorker

logger = logging.getLogger("warmer.worker")

RETRY_S = 1.0


def run_worker(warmer: Warmer, modules: Sequence[str], *, burst: bool = False) -> None:
    """Run a worker in this process until it is told to stop.

    Args:
        warmer: The default `Warmer`, on which the modules register their tasks.
        modules: What registers the tasks: ``module``, or ``module:function`` to call.
        burst: Whether to end when nothing is left to do.

    Raises:
        SettingsError: a module cannot be imported.
    """
    warmer.settings.required_redis_url()
    wait_for_redis(warmer)
    with warmer.switching.yielding():
        import_tasks(modules)
    name = worker_name()
    warmer.pulse.start(worker=name)
    warmer.pulse.beat()  # which also registers what the modules have declared
    logger.info("worker %s knows %d tasks", name, len(warmer.registry.tasks()))
    stop = threading.Event()
    try:
        while not stop.is_set():
            _obey_signals(stop)
            _work(warmer, name, stop, burst)
            if burst:
                return
            _obey_signals(stop)
            stop.wait(RETRY_S)
    except StopRequested:  # a signal came while RQ's handlers stood and it did nothing
        pass
    finally:
        warmer.pulse.stop()


def run_in_thread(warmer: Warmer, stop: threading.Event) -> None:
    """Run a worker in this thread until `stop` is set."""
    name = worker_name()
    warmer.pulse.start(worker=name)
    warmer.pulse.beat()
    while not stop.is_set():
        try:
            connection = connect(warmer.settings.required_redis_url(), warmer.settings.redis_timeout_s, resend=True)
            ThreadWorker(warmer, connection, name, stop).work(logging_level="CRITICAL")
        except RedisError as error:
            logger.warning("the embedded worker lost Redis: %s", described(error))
        stop.wait(0 if stop.is_set() else RETRY_S)
    warmer.pulse.retire()


def _obey_signals(stop: threading.Event) -> None:
    """Stop at a signal also while RQ, which has handlers of its own, does not work."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, frame: stop.set())


def _work(warmer: Warmer, name: str, stop: threading.Event, burst: bool) -> None:
    """Work until told to stop, or until Redis goes away."""
    try:
        connection = connect(warmer.settings.required_redis_url(), warmer.settings.redis_timeout_s, resend=True)
        warmer.queue.hint()  # for what was ready before this worker came
        # RQ refuses a name that a worker which died uncleanly still holds.
        worker = WarmWorker(warmer, connection, f"{name}-{token_hex(2)}", stop)
        # What an outage means is said once, by the pulse; RQ would say it at every attempt.
        worker.work(burst=burst, logging_level="CRITICAL")
    except RedisError as error:
        logger.info("RQ lost Redis: %s", described(error))


def import_tasks(modules: Sequence[str]) -> None:
    """Import what registers the tasks.

    Args:
        modules: ``module``, or ``module:function`` to call, looked for in the current folder too.

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


def wait_for_redis(warmer: Warmer) -> None:
    """Wait until Redis answers; says so while it does not."""
    while True:
        try:
            warmer.store.ping()
        except RedisError as error:
            logger.warning("waiting for Redis: %s", described(error))
            time.sleep(RETRY_S)
        else:
            return
