"""The demo's child processes."""

from __future__ import annotations

import subprocess

import pytest

from warmer_demo.children import ChildDiedError, Children

ENDLESS = ("http.server", "--bind", "127.0.0.1", "0")


def test_children_end_with_the_block() -> None:
    with Children() as children:
        child = children.start("a server", *ENDLESS)
        children.check()
    assert child.process.returncode is not None
    assert not child.log.exists()


def test_one_that_ends_by_itself_is_noticed_with_what_it_said() -> None:
    with Children() as children:
        children.start("a server", *ENDLESS)
        broken = children.start("a broken one", "no_such_module")
        broken.process.wait(30)
        with pytest.raises(
            ChildDiedError, match=r"(?s)a broken one has ended by itself with exit code 1.*no_such_module"
        ):
            children.check()


def test_one_that_is_ended_is_not_missed() -> None:
    with Children() as children:
        child = children.start("a server", *ENDLESS)
        children.end(child)
        children.check()


def test_output_comes_line_by_line() -> None:
    with Children() as children:
        child = children.start("a poem", "this", stdout=subprocess.PIPE)
        assert next(child.output()).startswith(b"The Zen of Python")
