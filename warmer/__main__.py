"""`python -m warmer` is the `warmer` command."""

from warmer.cli.main import main

main(prog_name="warmer")
