"""Computations in processes of their own: what crashes there, or never ends, takes nothing else with it.

    drain --computation--> isolation --order--> processes --(a thread and a `Seat` each)--> childprocess
                                                                                               | frames
                                                                                               v
                                                                             child, in a fresh interpreter

An exception comes back by `passing`, never as a pickle.
"""

from warmer_workers.executors.isolated.executor import IsolatedExecutor

__all__ = ["IsolatedExecutor"]
