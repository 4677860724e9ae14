"""Limits that protect a backend: computations at once, and computations per second, in the whole fleet."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from warmer.errors import SettingsError
from warmer.tasks.validation import explained

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Limit(BaseModel):
    """A limit that protects a backend of some tasks, such as a database, from the whole fleet.

    Tasks name it with ``limit="pg-main"``; the setting `limits` declares it. Workers keep to it. Readers that miss
    never wait for it, but their computations count, so workers start fewer. A batch is one computation.

    Args:
        concurrency: Computations at once; no limit when not given.
        rate_per_s: Computations begun per second, on average; no limit when not given. A burst of up to one second's
            computations, and of at least one, may begin at once.
        reserved: The share, from 0 to 0.9, of both that only critical tasks may use; rounded down to whole
            computations, so nothing of a concurrency of 1 is reserved.

    Raises:
        SettingsError: a value cannot be used, or neither concurrency nor rate_per_s is given.

    Example:
        >>> Limit(concurrency=4, rate_per_s=50)
        Limit(concurrency=4, rate_per_s=50.0, reserved=0.25)
        >>> import warmer
        >>> warmer.configure(embedded=True, limits={"pg-main": Limit(concurrency=4)}).settings.limits["pg-main"]
        Limit(concurrency=4, rate_per_s=None, reserved=0.25)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    rate_per_s: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)] | None = None
    reserved: Annotated[float, Field(ge=0, le=0.9, allow_inf_nan=False)] = 0.25

    @model_validator(mode="wrap")
    @classmethod
    def _explain_refusal(cls, data: Any, handler: ModelWrapValidatorHandler["Limit"]) -> "Limit":
        try:
            limit = handler(data)
        except ValidationError as error:
            raise SettingsError(f"limit refused: {explained(error)}") from None
        if limit.concurrency is None and limit.rate_per_s is None:
            raise SettingsError(
                "limit refused: expected a concurrency, a rate_per_s or both, got neither; "
                "write for example Limit(concurrency=4)"
            )
        return limit

    def to_json(self) -> bytes:
        """Return the limit as Redis keeps it.

        Example:
            >>> Limit(concurrency=4).to_json()
            b'{"concurrency":4,"reserved":0.25}'
        """
        return orjson.dumps(self.model_dump(exclude_none=True))


def limits_by_name(given: Any) -> dict[str, Limit]:
    """Return limits by name, as they are configured.

    Args:
        given: A mapping of names to limits or to their fields, the JSON text of one, or nothing.

    Raises:
        ValueError: it is neither, or a name or a limit cannot be used; the message says which.

    Example:
        >>> limits_by_name('{"pg-main": {"concurrency": 4}}')
        {'pg-main': Limit(concurrency=4, rate_per_s=None, reserved=0.25)}
    """
    declared = _parsed(given) if isinstance(given, str | bytes) else {} if given is None else given
    if not isinstance(declared, Mapping):
        raise ValueError('expected limits by name, such as {"pg-main": {"concurrency": 4, "rate_per_s": 50}}')
    return {_usable_name(name): _usable_limit(name, limit) for name, limit in declared.items()}


def _parsed(text: str | bytes) -> Any:
    if not text:  # compose files pass on what is not set as ""
        return {}
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValueError(f'expected JSON such as {{"pg-main": {{"concurrency": 4}}}} ({error})') from None


def _usable_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"the name of a limit is 1 to 64 letters, digits and _ . : -, not {name!r}")
    return name


def _usable_limit(name: str, limit: Any) -> Limit:
    try:
        return Limit.model_validate(limit)
    except SettingsError as error:
        raise ValueError(f"{name!r}: {error}") from None
