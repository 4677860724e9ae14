"""Isolated computations: in child processes, so that a crash or a hang there harms nothing else.

    drain --> IsolatedExecutor --ComputeRequest--> ProcessPool --> Slot --> ChildProcess   (a thread for each slot)
                                                                               | frames
                                                                               v
                                                                           child_main, in a fresh interpreter

`error_transfer` sends exceptions back without pickles.
"""

from warmer_workers.executors.isolated.executor import IsolatedExecutor

__all__ = ["IsolatedExecutor"]
