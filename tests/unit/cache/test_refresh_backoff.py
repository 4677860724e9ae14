"""Per-key backoff for background refreshes: it grows with failures, is short after a busy lease, and is bounded."""

from warmer.cache.refresh_backoff import BUSY_BACKOFF_S, MAX_BACKOFF_S, MAX_KEYS, RefreshBackoff


class ManualTime:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def backoff_s(backoff: RefreshBackoff, now: ManualTime) -> float:
    began_s = now.s
    while backoff.is_blocked("k"):
        now.s += 0.125
    return now.s - began_s


def test_a_backoff_grows_with_failures_in_a_row_up_to_a_maximum():
    now = ManualTime()
    backoff, backoffs = RefreshBackoff(now, random_unit=lambda: 1.0), []
    for _ in range(8):
        backoff.failed("k")
        backoffs.append(backoff_s(backoff, now))
    assert backoffs == [1, 2, 4, 8, 16, MAX_BACKOFF_S, MAX_BACKOFF_S, MAX_BACKOFF_S]
    backoff.recovered("k")
    backoff.failed("k")
    assert backoff_s(backoff, now) == 1


def test_a_busy_lease_blocks_a_key_shortly_and_is_no_failure():
    now = ManualTime()
    backoff = RefreshBackoff(now, random_unit=lambda: 1.0)
    backoff.busy("k")
    assert backoff_s(backoff, now) == BUSY_BACKOFF_S
    backoff.failed("k")
    assert backoff_s(backoff, now) == 1


def test_the_number_of_remembered_keys_is_bounded():
    backoff = RefreshBackoff(ManualTime())
    for number in range(2 * MAX_KEYS + 5):
        backoff.failed(f"k{number}")
    assert len(backoff._blocked) <= MAX_KEYS
