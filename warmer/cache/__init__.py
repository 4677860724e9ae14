"""What happens at a miss: of all readers, in all processes, one computes a value, and the others get it from there.

    filler        `MissHandler`: what the facade calls, for those who wait and for what is renewed behind their backs
    leader        the one of this process who computes, under a lease, or without where Redis is away
    following     the others, who wait for its flight
    slots         how many compute at once without a lease

and the same for many values, where a batch function computes several by one call::

    manyfiller, batchleader, manyrefresher
"""

from warmer.cache.miss import MissHandler

__all__ = [
    "MissHandler",
]
