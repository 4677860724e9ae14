"""Trace-driven simulation: replays recorded reads through refresh policies and counts misses and compute.

Conventions of every replay: keys are independent and memory is unlimited; a value older than its ttl is never served;
the reads of one row come at one moment and share one computation; a computation takes no time, and a refresh that is
due at the moment of a read comes before the read. The first part of a trace is warm-up and does not count. Spending is
compared with a plain ttl cache, the baseline, which computes at each miss and never before.
"""
