"""The supervisor: the delay before a restart, and the exit code of several workers."""

import signal

from hypothesis import given
from hypothesis import strategies as st

from warmer_workers.supervisor import MAX_RESTART_DELAY_S, exit_code_of_all, restart_delay_s


@given(st.integers(0, 10_000))
def test_restart_delays_grow_and_are_bounded(deaths) -> None:
    assert restart_delay_s(deaths) <= restart_delay_s(deaths + 1) <= MAX_RESTART_DELAY_S
    assert (restart_delay_s(deaths) == 0) == (deaths == 0)


@given(st.lists(st.sampled_from([0, -signal.SIGTERM]), min_size=1), st.integers(1, 255))
def test_the_exit_code_is_0_only_if_all_ended_well(well, unwell) -> None:
    assert exit_code_of_all(well) == 0
    assert exit_code_of_all([*well, unwell, 0]) == unwell
