"""Parent side of an isolated child process: starts it, sends requests, and kills it."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from warmer import fork
from warmer.codec import Encoded
from warmer.errors import ComputationFailedError
from warmer.refresh.refreshed import Computed
from warmer_workers.executors.isolated.compute_request import ComputeRequest
from warmer_workers.executors.isolated.error_transfer import unpacked
from warmer_workers.executors.isolated.frames import Channel, Frame

CHECK_INTERVAL_S = 0.5
"""Time between two checks whether the child lives, for when a process that it forked holds its socket open."""

MAX_EXIT_S = 1.0
"""A child that closed its socket is killed if it has no exit code after this time."""

_FRESH_INTERPRETER = (
    "import sys; sys.path[:] = sys.argv[3:]; channel, lifeline = map(int, sys.argv[1:3]); del sys.argv[1:]; "
    "from warmer_workers.executors.isolated.child_main import main; main(channel, lifeline)"
)


class DiedError(Exception):
    """The child died before it had computed everything; the message is the cause."""


class ChildProcess:
    """One child, a fresh interpreter in a process group of its own.

    Args:
        import_path: The folders of its modules; those of this process if empty.
        environment: Variables in addition to those of this process.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, import_path: Sequence[str], environment: Mapping[str, str]) -> None:
        self.computing_since_s: float | None = None
        self._is_ready = False
        self._reaping = threading.Lock()
        our_stream, its_stream = socket.socketpair()
        self._channel = Channel(our_stream, self._await_readable)
        its_lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-X", "faulthandler", "-c", _FRESH_INTERPRETER),
                    *(str(its_stream.fileno()), str(its_lifeline)),
                    *(import_path or [entry for entry in sys.path if isinstance(entry, str)]),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=(its_stream.fileno(), its_lifeline),
                env=_environment(environment),
                process_group=0,  # so that it can be killed with all processes it started, and does not get Ctrl-C
            )
        except BaseException:
            self._close()
            raise
        finally:
            its_stream.close()
            os.close(its_lifeline)
        self._poll = select.poll()
        self._poll.register(our_stream, select.POLLIN)
        self._fork_hook = fork.in_child(self._close)  # a fork of this process must not keep the child alive

    @property
    def is_alive(self) -> bool:
        """Whether the child has not died yet."""
        return self._returncode() is None

    def await_ready(self) -> None:
        """Wait until the child can compute.

        Raises:
            DiedError: it died before.
        """
        if not self._is_ready:
            self._receive()
            self._is_ready = True

    def compute(self, request: ComputeRequest, refs: Sequence[str]) -> Iterator[Computed]:
        """Have targets computed, and yield the outcome of each, in their order.

        Args:
            request: The request.
            refs: Canonical texts of its targets that are to be computed.

        Raises:
            DiedError: the child died; targets without an outcome are not computed yet.
        """
        self.computing_since_s = None
        try:
            self._channel.send({"refs": refs}, request.task_as_json())
        except OSError:
            raise self._died() from None
        received = 0
        while received < len(refs):
            frame = self._receive()
            self.computing_since_s = time.monotonic()
            if "began" not in frame.header:
                received += 1
                yield _computed(frame, request)
        self.computing_since_s = None

    def kill(self) -> None:
        """Kill the child and all processes it started; returns at once."""
        with self._reaping:  # its pid is not reused before it was waited for
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the child and wait until it is gone."""
        self.kill()
        self._await_death(None)
        self._close()

    def _receive(self) -> Frame:
        frame = self._channel.receive()
        if frame is None:
            raise self._died()
        return frame

    def _await_readable(self) -> None:
        while not self._poll.poll(1000 * CHECK_INTERVAL_S):
            if not self.is_alive and not self._poll.poll(0):
                raise self._died()

    def _died(self) -> DiedError:
        if not self._await_death(MAX_EXIT_S):
            self.end()
        return DiedError(_cause(self._process.returncode))

    def _await_death(self, limit_s: float | None) -> bool:
        began_s, pause_s = time.monotonic(), 0.0005
        while self._returncode() is None:
            if limit_s is not None and time.monotonic() - began_s > limit_s:
                return False
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.02)
        return True

    def _returncode(self) -> int | None:
        with self._reaping:
            return self._process.poll()

    def _close(self) -> None:
        self._channel.close()
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)


def _environment(additions: Mapping[str, str]) -> dict[str, str]:
    """Return the child's variables, without the one that would start an embedded worker and scheduler in it."""
    return {name: value for name, value in {**os.environ, **additions}.items() if name != "WARMER_EMBEDDED"}


def _computed(frame: Frame, request: ComputeRequest) -> Computed:
    header = frame.header
    if "number" in header:
        return Computed(
            duration_s=header["duration_s"],
            encoded=Encoded(header["number"], frame.payload),
            is_none=header["is_none"],
        )
    return Computed(error=unpacked(frame.payload, request.cache_errors), duration_s=header["duration_s"])


def _cause(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"signal {signal.Signals(-returncode).name}"
    except ValueError:  # one without a name
        return f"signal {-returncode}"


def not_started(reason: str) -> ComputationFailedError:
    """Return the error of a computation whose process could not be started.

    Args:
        reason: The cause.

    Example:
        >>> print(not_started("exit code 1"))
        no isolated process could be started for the computation (exit code 1); the worker's log shows its message
    """
    return ComputationFailedError(
        f"no isolated process could be started for the computation ({reason}); the worker's log shows its message"
    )
