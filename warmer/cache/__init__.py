"""The read path: cached values, and misses, for which one reader of all processes computes.

cache               reads and counts; hands misses and stale values on
miss_handler        a miss: lead a computation, or follow another reader's and wait for its result
miss_leader         the leader: computes under a lease, or without one where Redis is away
revalidation        refreshes stale values in the background, by `background_refresh` and `refresh_backoff`
async_runner        runs these routines beside event loops
fair_semaphore      bounds the computations without a lease
"""
