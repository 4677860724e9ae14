"""Supervisor script of a private server: kills the server when the process that started it ends.

It runs as a script by its path, not with ``-m``, so that it starts fast: nothing of the package is imported. Its
arguments are the pid of its parent, the folder to remove at the end, and the command line of the server.

It kills the server when one of these happens first:

* Its standard input, a pipe from the parent, has a byte (a request to stop) or ends (the parent has ended).
* Its parent process changes. Forked children of the parent, such as RQ's work horse, also hold the pipe, so the pipe
  alone could keep the server alive. Linux's parent-death signal does not help here: it fires when the parent's *thread*
  ends, which may be much earlier.
* It gets a SIGTERM, or the server ends.
"""

import contextlib
import os
import select
import shutil
import signal
import sys

LIFELINE = 0
ANSWER = 1
LOG = 2
PARENT_CHECK_S = 0.5
PR_SET_PDEATHSIG = 1


class SupervisedServer:
    """The server's process, a child of this one.

    Args:
        command: The server's absolute path and its arguments.
    """

    def __init__(self, command: list[str]) -> None:
        self._ended = False
        supervisor_pid = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _exec(command, supervisor_pid)

    def has_ended(self) -> bool:
        """Whether the process has ended."""
        if not self._ended:
            self._ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return self._ended

    def end(self) -> None:
        """Kill the process and wait for its end; its data is not meant to be kept."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._ended = True


def main(arguments: list[str]) -> None:
    """Start the server, write its pid to standard output, and kill it in the end; arguments as above."""
    parent_pid, directory, *command = arguments
    wakeups = _signals_as_bytes()
    server = SupervisedServer(command)
    try:
        os.write(ANSWER, b"%d\n" % server.pid)
        _wait_for_end(server, int(parent_pid), wakeups)
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


def _wait_for_end(server: SupervisedServer, parent_pid: int, wakeups: int) -> None:
    while os.getppid() == parent_pid and not server.has_ended():
        readable, _, _ = select.select([LIFELINE, wakeups], [], [], PARENT_CHECK_S)
        if LIFELINE in readable:
            return
        if wakeups in readable and signal.SIGTERM in os.read(wakeups, 64):
            return


def _signals_as_bytes() -> int:
    """Return a file descriptor from which select can read the number of each signal."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reading


def _exec(command: list[str], supervisor_pid: int) -> None:
    """Replace this forked child by the server; on failure, log the error and exit."""
    try:
        _die_with(supervisor_pid)
        os.dup2(os.open(os.devnull, os.O_RDONLY), LIFELINE)
        os.dup2(LOG, ANSWER)
        os.execv(command[0], command)
    except BaseException as error:
        os.write(LOG, f"cannot run {command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def _die_with(supervisor_pid: int) -> None:
    """Have Linux kill the server when its supervisor ends; the supervisor has only one thread."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != supervisor_pid:
            raise RuntimeError("the supervisor ended before the server began")


if __name__ == "__main__":
    main(sys.argv[1:])
