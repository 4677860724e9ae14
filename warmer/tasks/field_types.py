"""Types of a task's fields: each refuses a value that cannot be used, and its message says what is expected."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from warmer.errors import InvalidTaskError
from warmer.tasks.template import Template, is_plain_text

MAX_TTL_S: Final = 315_360_000
"""Ten years."""


def _checked_text(text: str) -> str:
    if not is_plain_text(text):
        raise ValueError("control characters and lone surrogates are not allowed")
    return text


def _checked_template(text: str) -> str:
    try:
        Template.parse(text)
    except InvalidTaskError as error:
        raise ValueError(str(error)) from None
    return text


def _checked_cron(cron: str) -> str:
    try:
        CronSim(cron, datetime.now(UTC))
    except CronSimError as error:
        raise ValueError(f"not a cron line ({error}); expected five fields such as '*/15 8-18 * * MON-FRI'") from None
    return cron


def _checked_zone(timezone: str) -> str:
    try:
        ZoneInfo(timezone)
    except Exception:
        raise ValueError("not a time zone; expected a name such as 'UTC' or 'Europe/Berlin'") from None
    return timezone


PlainText = Annotated[str, AfterValidator(_checked_text)]
KeyTemplate = Annotated[str, AfterValidator(_checked_template)]
CronLine = Annotated[str, AfterValidator(_checked_cron)]
TimeZone = Annotated[str, AfterValidator(_checked_zone)]
Seconds = Annotated[float, Field(gt=0, le=MAX_TTL_S, allow_inf_nan=False)]
FunctionOrPath = Callable[..., Any] | Annotated[str, Field(pattern=r"^[\w.]+:[\w.]+$")]
