"""Every error that warmer raises, under one root.

Each message says what was expected, what came, and what to do about it.
"""

import re

_CREDENTIALS = re.compile(r"(?<=://)\S*(?=@)")


class WarmerError(Exception):
    """The root of all errors raised by warmer.

    Example:
        >>> issubclass(InvalidTaskError, WarmerError)
        True
    """


class SettingsError(WarmerError):
    """A setting is missing or cannot be used."""


class InvalidTaskError(WarmerError):
    """A task's definition was refused; nothing of it was registered."""


class NotImportableError(InvalidTaskError):
    """A compute function that worker processes could never import."""


class TaskConflictError(InvalidTaskError):
    """Another enabled task already owns this cache key."""


class UnknownTaskError(WarmerError):
    """A task id that is not registered."""


class BacklogFullError(WarmerError):
    """As many targets wait for a worker as may; nothing was asked for."""


class CodecError(WarmerError):
    """A value that cannot be stored without changing it."""


class ValueTooLargeError(CodecError):
    """A value takes more bytes than may be stored."""


class ComputeTimeoutError(WarmerError):
    """A computation took longer than its task allows."""


class ComputationFailedError(WarmerError):
    """A computation that another caller ran has failed; the message says with what."""


class WaitTimeoutError(WarmerError):
    """What was waited for did not come in time."""


class OutlivedTtlError(WarmerError):
    """A value was older than its ttl by the time it had been computed."""


class StoreUnavailableError(WarmerError):
    """Redis did not answer, or refused."""


class PolicyStateError(WarmerError):
    """What Redis holds of the policy's memory cannot be read."""


class ServerNotFoundError(WarmerError):
    """No Redis-compatible server was found to start."""


class TraceError(WarmerError):
    """Recorded reads that cannot be replayed."""


class RecordingError(WarmerError):
    """Reads that cannot be recorded."""


def redacted(text: str) -> str:
    """Return text with the credentials of every URL in it masked.

    Args:
        text: Any text, such as an exception's message.

    Returns:
        The same text, with ``user:password`` before an ``@`` replaced by ``***``.

    Example:
        >>> redacted("cannot reach redis://:s3cret@db:6379/0")
        'cannot reach redis://***@db:6379/0'
    """
    return _CREDENTIALS.sub("***", text)


def described(error: BaseException) -> str:
    """Return one short, redacted line that names an exception and says what it said.

    Args:
        error: The exception.

    Returns:
        At most 500 characters.

    Example:
        >>> described(ValueError("no such carrier"))
        'ValueError: no such carrier'
    """
    try:
        said = str(error)
    except Exception:
        said = "(it cannot say what)"
    return redacted(f"{type(error).__name__}: {said}").encode(errors="replace").decode()[:500]


def shortened(text: str) -> str:
    """Return a text as messages show it: one of more than 80 characters is cut, and its length given.

    Example:
        >>> shortened("x" * 1000)[60:]
        '… (1000 characters)'
    """
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
