"""A target that does not fit its task fails alone."""

from tests.support.runtimes import runtime_of, store_of

pytest_plugins = ["pytester", "warmer.testing"]


def test_a_target_that_does_not_fit_its_task_fails_and_leaves_the_others_alone(memory_warmer, warmer_recorder):
    product = memory_warmer.warmed("product:{product_id}", ttl=60, task_id="product")(warmer_recorder.returns("warm"))
    runtime_of(memory_warmer).background.tick()
    store_of(memory_warmer).requests.submit(['product{"no_such_field":1}'], force=True)
    product.warm(product_id=42)
    failed, warmed = sorted(memory_warmer.drain(), key=lambda outcome: outcome.success)
    assert (failed.ref, failed.success) == ('product{"no_such_field":1}', False)
    assert "no_such_field" in failed.error
    assert (warmed.ref, warmed.success) == ('product{"product_id":42}', True)
