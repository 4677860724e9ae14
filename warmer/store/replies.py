"""Parts of scripts' replies that more than one operation reads."""

from collections.abc import Sequence

from warmer.tasks.target import task_id_of


def fields_of(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Return the fields of a hash that a script returned as a flat list.

    Example:
        >>> fields_of([b"name", b"value"])
        {'name': b'value'}
    """
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def by_account(flat: Sequence[bytes]) -> dict[str, dict[str, float]]:
    """Return the sums of each account from a flat list of fields named "account|field".

    Example:
        >>> by_account([b"catalog|reads", b"3", b"|reads", b"5"])
        {'catalog': {'reads': 3.0}, '': {'reads': 5.0}}
    """
    accounts: dict[str, dict[str, float]] = {}
    for name, value in fields_of(flat).items():
        account, _, field = name.rpartition("|")
        accounts.setdefault(account, {})[field] = float(value)
    return accounts


def payer_of(ref: str, account: bytes) -> str | None:
    """Return the account that pays for a target: a task's id, "" for the fleet's, None for nobody.

    Args:
        ref: Canonical text of the target.
        account: As the scripts return it: "t" for the task's own, "f" for the fleet's, "n" for none.
    """
    return {b"t": task_id_of(ref), b"f": ""}.get(account)
