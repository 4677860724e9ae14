"""Runs one server for exactly as long as one process lives: the child that a PrivateServer starts.

It is run as a script by its path, not with ``-m``, so that nothing of the package is imported: it has to be
quick. Its arguments are the pid of the process to live with, the folder to remove at the end, and the command
line of the server.

It ends the server when the first of these happens:

* Its standard input, a pipe that the parent holds open, brings a byte (stop, please) or ends (the parent is
  gone).
* Its parent is another process than before. A process forked by the parent, such as RQ's work horse, also
  holds the pipe, so the pipe alone would keep the server alive for as long as any such child runs. Linux's
  parent-death signal is no way out: it fires when the *thread* that started us ends, which may be long before
  its process does.
* It is told to terminate, or the server has ended by itself.
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

    Example:
        >>> server = SupervisedServer(["/bin/sleep", "60"])
        >>> server.end()
        >>> server.has_ended()
        True
    """

    def __init__(self, command: list[str]) -> None:
        self._ended = False
        supervisor_pid = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(command, supervisor_pid)

    def has_ended(self) -> bool:
        """Return whether the process is gone."""
        if not self._ended:
            self._ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return self._ended

    def end(self) -> None:
        """Kill the process and wait until it is gone; nothing is lost, its data is not meant to be kept."""
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._ended = True


def main(arguments: list[str]) -> None:
    """Start the server, tell its pid on standard output, and end it when it is time.

    Args:
        arguments: The parent's pid, the folder to remove at the end, the server's path and its arguments.
    """
    parent_pid, directory, *command = arguments
    wakeups = _signals_as_bytes()
    server = SupervisedServer(command)
    try:
        os.write(ANSWER, b"%d\n" % server.pid)
        _wait_until_over(server, int(parent_pid), wakeups)
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_over(server: SupervisedServer, parent_pid: int, wakeups: int) -> None:
    while os.getppid() == parent_pid and not server.has_ended():
        readable, _, _ = select.select([LIFELINE, wakeups], [], [], PARENT_CHECK_S)
        if LIFELINE in readable:
            return
        if wakeups in readable and signal.SIGTERM in os.read(wakeups, 64):
            return


def _signals_as_bytes() -> int:
    """Return a file descriptor that brings the number of each signal, so that select sees those too."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reading


def _become(command: list[str], supervisor_pid: int) -> None:
    """Turn this forked child into the server; on failure, say why in the log and exit."""
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
    """Let Linux kill the server with its supervisor, whose one thread ends only when the process does."""
    if sys.platform == "linux":
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != supervisor_pid:
            raise RuntimeError("the supervisor ended before the server began")


if __name__ == "__main__":
    main(sys.argv[1:])
