"""The fixtures and the default warmer of `warmer.testing`, used as applications use them."""

import inspect
import subprocess
import sys

import pytest

import warmer
import warmer.testing
from warmer import Warmer
from warmer.testing import MemoryWarmer, Recorder

pytest_plugins = ["pytester", "warmer.testing"]


# --- documentation -----------------------------------------------------------------------------------------------
def test_every_public_class_and_fixture_is_documented():
    for name in warmer.testing.__all__:
        public = getattr(warmer.testing, name)
        assert inspect.getdoc(public), name
        assert not inspect.isclass(public) or ">>>" in (public.__doc__ or ""), name


# --- the default -------------------------------------------------------------------------------------------------
def test_the_default_is_what_it_was_before(memory_warmer, monkeypatch):
    before = Warmer(memory_warmer.settings)
    monkeypatch.setattr("warmer.client.default._default", before)
    with memory_warmer.as_default() as inside:
        assert warmer.default_warmer() is inside is memory_warmer
    assert warmer.default_warmer() is before


def test_one_that_the_application_configures_meanwhile_is_closed_again(memory_warmer, monkeypatch):
    monkeypatch.setattr("warmer.client.default._default", None)
    closed = []
    with memory_warmer.as_default():
        configured = warmer.configure(redis_url="memory://configured")
        configured.close = lambda: closed.append(configured)
    assert closed == [configured]
    assert warmer.client.default._default is None


def test_functions_that_a_test_decorates_end_with_it(monkeypatch):
    monkeypatch.setattr("warmer.client.default._default", None)
    monkeypatch.setattr("warmer.client.default._declared", {})

    def in_a_test(value: str) -> str:
        with MemoryWarmer().as_default() as memory:
            warmer.warmed("product", ttl=60, critical=True, task_id=f"of-{value}")(Recorder().returns(value))
            assert [outcome.success for outcome in memory.drain()] == [True]
            found = memory.get("product")
            memory.close()
            return found

    assert [in_a_test("first"), in_a_test("second")] == ["first", "second"]


# --- as users meet it --------------------------------------------------------------------------------------------
SHOP = """
    from warmer import warmed

    def fetch(product_id):
        raise AssertionError("a test came to the database")

    @warmed("product:{product_id}", ttl=60, stale_ttl=30)
    def product(product_id: int) -> dict[str, int]:
        return fetch(product_id)

    @warmed("catalog", ttl=60, critical=True)
    async def catalog() -> list[int]:
        return [1, 2, 3]
"""

SHOP_TESTS = """
    import asyncio
    import pytest
    import shop
    import warmer
    from warmer.testing import Recorder

    pytestmark = pytest.mark.usefixtures("default_memory_warmer")

    @pytest.fixture
    def fetch(monkeypatch):
        recorder = Recorder.of(shop.fetch).computes(lambda product_id: {"id": product_id})
        monkeypatch.setattr(shop, "fetch", recorder)
        return recorder

    def test_reads_through_the_cache(fetch):
        assert shop.product(42) == shop.product(42) == {"id": 42}
        assert fetch.calls == [{"product_id": 42}]

    def test_begins_with_an_empty_cache(fetch, default_memory_warmer):
        assert warmer.default_warmer() is default_memory_warmer
        assert shop.product.get(42) is None

    def test_serves_what_is_stale_while_it_is_renewed(fetch, warmer_clock, memory_warmer):
        shop.product(42)
        warmer_clock.advance(61)
        fetch.returns({"id": 43})
        assert shop.product(42) == {"id": 42}
        assert [outcome.ref for outcome in memory_warmer.drain()] == ['shop.product{"product_id":42}', "shop.catalog"]
        assert shop.product(42) == {"id": 43}

    def test_computes_anew_what_has_expired(fetch, warmer_clock):
        shop.product(42)
        warmer_clock.advance(91)
        shop.product(42)
        assert fetch.count == 2

    def test_passes_failures_on(fetch):
        fetch.raises(ConnectionError("the database is away"))
        with pytest.raises(ConnectionError):
            shop.product(42)

    def test_warms_the_catalog(memory_warmer):
        assert [outcome.ref for outcome in memory_warmer.drain()] == ["shop.catalog"]
        assert memory_warmer.get("catalog") == asyncio.run(shop.catalog()) == [1, 2, 3]

    def test_takes_settings(memory_warmer):
        assert memory_warmer.settings.namespace == "shop"
"""


def test_a_users_suite_runs_with_the_fixtures(pytester, monkeypatch):
    monkeypatch.setenv("WARMER_REDIS_URL", "redis://production:6379/0")
    pytester.makeconftest(
        """
        import pytest

        pytest_plugins = ["warmer.testing"]

        @pytest.fixture
        def warmer_settings():
            return {"namespace": "shop"}
        """
    )
    pytester.makepyfile(shop=SHOP, test_shop=SHOP_TESTS)
    result = pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=7)


@pytest.mark.parametrize("missing", ["fakeredis", "lupa", "pytest"])
def test_a_missing_package_is_named_with_what_to_install(missing):
    script = f"import sys; sys.modules[{missing!r}] = None; import warmer.testing"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    last_line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last_line.startswith(f"ImportError: warmer.testing needs more packages (import of {missing} halted")
    assert last_line.endswith("pip install 'warmer[testing]'")
