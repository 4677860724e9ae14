"""Warming many targets by one call: `warm_many`, and the handle that shows how far it is.

    iterable --intake (its own thread)--> feeder (its own thread) --requests, in chunks--> Redis --> workers
                                            ^                                                          |
                                            +------------- outcomes, told to one watcher <-------------+

The intake reads the iterable no further ahead than needed, and finds each item's target. The feeder asks for targets
while fewer than `in_flight` are outstanding, so what is kept in Redis is bounded however long the iterable is, and
counts the outcomes.

Nothing that is lost on the way keeps a run from ending: whatever was asked for, and not heard of for a while, is asked
for again, which changes nothing where it still stands; after Redis was emptied all that is outstanding is.
A run that is cancelled takes back what nobody has begun, and hears of what has.

The handle holds the feeder, and nothing holds the handle: dropping it changes nothing, the run goes on to its end.
"""

from warmer.on_demand.bulk.bulk_warming import BulkWarming
from warmer.on_demand.bulk.runs import BulkRuns

__all__ = [
    "BulkRuns",
    "BulkWarming",
]
