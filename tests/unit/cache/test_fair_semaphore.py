"""A fair semaphore: never more holders than slots, and the first to ask is the first to hold."""

from hypothesis import given
from hypothesis import strategies as st

from warmer.cache.fair_semaphore import FairSemaphore


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 10)), max_size=60))
def test_there_are_never_more_holders_than_slots_and_the_first_to_ask_is_first(count, moves):
    semaphore, requests = FairSemaphore(count), []
    for acquires, which in moves:
        if acquires or not requests:
            requests.append(semaphore.acquire())
        else:
            semaphore.release(requests.pop(which % len(requests)))
        acquired = [request.done() for request in requests]
        assert acquired == [True] * min(count, len(requests)) + [False] * max(0, len(requests) - count)
