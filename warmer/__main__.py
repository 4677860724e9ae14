"""`python -m warmer` is the `warmer` command."""

from warmer.cli import main

main(prog_name="warmer")
