"""Child processes: watched, ended, and never left behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from warmer.processes.children import ChildDiedError, Children

ENDLESS = ("http.server", "--bind", "127.0.0.1", "0")


def test_children_end_with_the_block() -> None:
    with Children() as children:
        child = children.start("a server", *ENDLESS, quiet=True)
        children.check()
    assert child.process.returncode is not None
    assert not child.log.exists()


def test_one_that_ends_by_itself_is_noticed_with_what_it_said() -> None:
    with Children() as children:
        children.start("a server", *ENDLESS, quiet=True)
        broken = children.start("a broken one", "no_such_module", quiet=True)
        broken.process.wait(30)
        with pytest.raises(
            ChildDiedError, match=r"(?s)a broken one ended unexpectedly with exit code 1.*no_such_module"
        ):
            children.check()


def test_one_that_is_ended_is_not_missed() -> None:
    with Children() as children:
        child = children.start("a server", *ENDLESS, quiet=True)
        children.end(child)
        children.check()


def test_output_comes_line_by_line() -> None:
    with Children() as children:
        child = children.start("a poem", "this", quiet=True, stdout=subprocess.PIPE)
        assert next(child.output()).startswith(b"The Zen of Python")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_their_parent_however_it_ends(fleet, eventually, number) -> None:
    printed = fleet.folder / "pid"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys, time\n"
            "from warmer.processes.children import Children\n"
            "with Children() as children:\n"
            "    child = children.start('a server', 'http.server', '--bind', '127.0.0.1', '0', quiet=True)\n"
            "    pathlib.Path(sys.argv[1]).write_text(str(child.process.pid))\n"
            "    time.sleep(60)\n",
            str(printed),
        ],
        env=fleet.environment,
    )
    child = int(eventually(lambda: printed.exists() and printed.read_text(), 20))
    eventually(lambda: "lifeline" in Path(f"/proc/{child}/cmdline").read_text())
    parent.send_signal(number)
    parent.wait(20)

    def is_gone() -> bool:
        try:
            return ") Z " in Path(f"/proc/{child}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    eventually(is_gone, 20)
