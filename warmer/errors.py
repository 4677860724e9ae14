"""Every error that warmer raises, under one root.

Each message says what was expected, what was given, and what to do.
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
    """A task, a cache key or an argument cannot be used; nothing was registered or cached."""


class NotImportableError(InvalidTaskError):
    """Worker processes cannot import a compute function."""


class TaskConflictError(InvalidTaskError):
    """Another enabled task already owns this cache key."""


class UnknownTaskError(WarmerError):
    """No task with this id is registered, or it is disabled."""


class BacklogFullError(WarmerError):
    """The backlog is full: too many targets wait for a worker; nothing was requested."""


class CodecError(WarmerError):
    """A value would not come back from the cache as it is; nothing was cached."""


class ValueTooLargeError(CodecError):
    """A value takes more bytes than may be stored."""


class ComputeTimeoutError(WarmerError):
    """A computation took longer than its task allows."""


class ComputationFailedError(WarmerError):
    """A computation in another process has failed; the message describes its error."""


class WaitTimeoutError(WarmerError):
    """A value or an outcome did not come within the time-out."""


class OutlivedTtlError(WarmerError):
    """A computation took longer than the ttl of its value, which was not cached."""


class StoreUnavailableError(WarmerError):
    """Redis did not answer, or refused."""


class PolicyStateError(WarmerError):
    """The policy's state in Redis cannot be decoded."""


class ServerNotFoundError(WarmerError):
    """No Redis-compatible server was found to start."""


class TraceError(WarmerError):
    """A trace of reads cannot be replayed."""


class RecordingError(WarmerError):
    """Reads cannot be recorded."""


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
    """Return the name and the message of an exception as one short line without credentials.

    Args:
        error: The exception.

    Returns:
        At most 500 characters.

    Example:
        >>> described(ValueError("no such carrier"))
        'ValueError: no such carrier'
    """
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be read)"
    return redacted(f"{type(error).__name__}: {message}").encode(errors="replace").decode()[:500]


def shortened(text: str) -> str:
    """Return a text as messages show it: one of more than 80 characters is cut, and its length given.

    Example:
        >>> shortened("x" * 1000)[60:]
        '… (1000 characters)'
    """
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"
