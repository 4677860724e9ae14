"""Every docstring's example runs."""

import doctest
import importlib
import pkgutil

import pytest

import warmer
import warmer_scheduler
import warmer_workers

MODULES = sorted(
    name
    for package in (warmer, warmer_workers, warmer_scheduler)
    for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if name not in ("warmer.__main__", "warmer.processes.supervise")
)


@pytest.fixture
def embedded_default(monkeypatch):
    monkeypatch.delenv("WARMER_REDIS_URL", raising=False)
    warmer.configure(embedded=True)
    yield
    warmer.default_warmer().close()


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, embedded_default):
    failed, _ = doctest.testmod(importlib.import_module(name), verbose=False)
    assert failed == 0


def test_every_public_function_has_an_example():
    without = [
        name
        for name in warmer.__all__
        if ">>>" not in (getattr(warmer, name).__doc__ or "") and not name.endswith("Error")
    ]
    assert without == ["default_warmer"]
