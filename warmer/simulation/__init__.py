"""Replays recorded reads through policies: what each would have spent, and what users would have waited for.

The conventions of every replay: keys are independent and memory is unlimited; a value that is older than its ttl is
never served; the reads of one row come at one moment and share one computation; a computation takes no time, and a
refresh that falls due at the moment of a read comes before it. The first part of a trace is for learning, and is not
counted. What is spent is compared with a plain cache that computes at each miss and never before.
"""
