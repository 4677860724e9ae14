"""Runs a module that ends with its parent.

`python -m warmer.processes.lifeline MODULE ARGUMENTS`, with a pipe as standard input.

The parent holds the pipe's other end and never writes to it. When the parent goes, however it went, the pipe ends, and
this process gets the SIGTERM that a parent in good health would have sent.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """Watch the pipe, and run the module as if it had been started itself."""
    threading.Thread(target=_end_with_parent, name="warmer-lifeline", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
