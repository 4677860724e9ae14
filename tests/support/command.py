"""The `warmer` command as it is installed, to be run in this process."""

from importlib.metadata import entry_points

from click import Group

COMMAND: Group = next(iter(entry_points(group="console_scripts", name="warmer"))).load()
