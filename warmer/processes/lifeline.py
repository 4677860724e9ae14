"""Lifeline: runs a module in a process that ends with its parent.

`python -m warmer.processes.lifeline MODULE ARGUMENTS`, with a pipe from the parent as standard input. When the parent
ends in any way, the pipe ends, and this process sends itself a SIGTERM.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Watch the pipe in a thread, and run the module as `__main__`."""
    threading.Thread(target=_end_with_parent, name="warmer-lifeline", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
