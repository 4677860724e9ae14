"""The gate: it holds a computation until the test lets it pass."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from warmer import WaitTimeoutError
from warmer.testing import Recorder

pytest_plugins = ["pytester", "warmer.testing"]


class DatabaseAwayError(Exception):
    """What a user's own code raises."""


def test_a_thousand_readers_of_a_cold_key_compute_once(memory_warmer):
    recorder = Recorder.of(lambda product_id: product_id)
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(recorder)
    with ThreadPoolExecutor(16) as threads:
        with recorder.held() as gate:
            readers = [threads.submit(product, 42) for _ in range(1000)]
            gate.wait_for(1)
        assert {reader.result() for reader in readers} == {42}
    assert recorder.count == gate.arrived == 1


def test_what_is_invalidated_while_it_is_computed_is_not_cached(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(warmer_recorder.returns("old"))
    with ThreadPoolExecutor(1) as threads:
        with warmer_recorder.held() as gate:
            reader = threads.submit(product, product_id=42)
            gate.wait_for(1)
            product.invalidate(product_id=42)
        assert reader.result() == "old"
    assert product.get(product_id=42) is None


def test_coroutines_are_held_beside_their_loop(memory_warmer, warmer_async_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60)(warmer_async_recorder.returns("value"))

    async def read_twice() -> tuple[list[str], int]:
        with warmer_async_recorder.held() as gate:
            readers = [asyncio.create_task(product(product_id=42)) for _ in range(2)]
            await gate.await_for(1)
            assert not any(reader.done() for reader in readers)
        return await asyncio.gather(*readers), gate.arrived

    assert asyncio.run(read_twice()) == (["value", "value"], 1)


def test_a_gate_may_be_opened_before_the_block_ends(warmer_recorder):
    with warmer_recorder.held() as gate:
        gate.open()
        assert warmer_recorder.returns(42)() == 42


def test_a_call_that_nobody_lets_pass_fails_rather_than_hangs(warmer_recorder, warmer_async_recorder):
    with warmer_recorder.held(timeout_s=0.01), pytest.raises(WaitTimeoutError, match="another thread or task"):
        warmer_recorder()
    with warmer_async_recorder.held(timeout_s=0.01), pytest.raises(WaitTimeoutError, match="another thread or task"):
        asyncio.run(warmer_async_recorder())


def test_waiting_for_a_computation_that_does_not_begin_says_so(warmer_recorder):
    with warmer_recorder.held() as gate, pytest.raises(WaitTimeoutError, match=r"expected 1 .* got 0"):
        gate.wait_for(1, timeout_s=0.01)


def test_a_gate_opens_when_its_block_fails(warmer_recorder):
    held = []
    with ThreadPoolExecutor(1) as threads:

        def fail_while_one_is_held() -> None:
            with warmer_recorder.returns(42).held() as gate:
                held.append(threads.submit(warmer_recorder))
                gate.wait_for(1)
                raise DatabaseAwayError

        with pytest.raises(DatabaseAwayError):
            fail_while_one_is_held()
        assert held[0].result() == 42
