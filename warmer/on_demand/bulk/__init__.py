"""Bulk warming: many targets by one call of `warm_many`, with a handle that shows the progress.

    iterable --intake (its own thread)--> feeder (its own thread) --requests, in chunks--> Redis --> workers
                                            ^                                                          |
                                            +------------ outcomes, reported to one watcher <----------+

The intake reads the iterable at most 1,000 items ahead, and finds the target of each item. The feeder requests targets
while fewer than `in_flight` are outstanding, and counts the outcomes. So the memory in Redis is bounded, however long
the iterable is.

A run ends even if requests or outcomes are lost: a target without an outcome for 60 s is requested again, which changes
nothing if the first request still stands. After Redis was emptied, all outstanding targets are requested again. A run
that is cancelled withdraws the targets that no worker has begun, and waits for the others.

The handle holds the feeder, and nothing holds the handle: a run goes on to its end when its handle is dropped.
"""

from warmer.on_demand.bulk.bulk_warming import BulkWarming
from warmer.on_demand.bulk.runs import BulkRuns

__all__ = [
    "BulkRuns",
    "BulkWarming",
]
