"""Settings, validated once and then frozen."""

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from warmer.connect.address import Address, without_credentials
from warmer.errors import SettingsError, redacted
from warmer.tasks.limit import Limit, limits_by_name
from warmer.tasks.validation import Problem, check_one_budget, problems_of

_ADDRESSES = ("redis_url", "cache_url")
_MAY_BE_SECRET = {*_ADDRESSES, "pickle_key"}


class Settings(BaseSettings):
    """All settings of a `Warmer`, from ``WARMER_*`` variables or keyword arguments.

    Durations are in seconds. Keyword arguments win over variables.

    Raises:
        SettingsError: a value cannot be used; the message names its variable.

    Example:
        >>> Settings.load(redis_url="redis://localhost:6379/0").namespace
        'warmer'
    """

    model_config = SettingsConfigDict(env_prefix="WARMER_", frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: str | None = Field(None, description="Redis for tasks, queue and statistics")
    cache_url: str | None = Field(None, description="Redis for the cached values; redis_url when not given")
    namespace: str = Field("warmer", pattern=r"^[A-Za-z0-9_-]{1,40}$", description="prefix of every key")
    embedded: bool = Field(False, description="warm in this process: a scheduler and a worker thread")

    tick_s: float = Field(1.0, gt=0.01, le=60, description="seconds between two looks of the scheduler at what is due")
    claim_timeout_s: float = Field(
        15.0, ge=0.5, description="a worker without a heartbeat for this long counts as dead"
    )
    lease_timeout_s: float = Field(
        10.0, ge=0.5, description="a computation whose lease is not renewed for this long counts as dead"
    )
    drain_time_s: float = Field(60.0, gt=0, description="how long one drain claims targets")
    max_task_s: float = Field(900.0, gt=0, description="the longest computation by a worker")
    concurrency: int = Field(8, ge=1, le=1024, description="computations at once in one worker")
    async_concurrency: int = Field(
        1000, ge=1, le=100_000, description="computations of async functions at once in one worker"
    )
    isolated_processes: int = Field(
        2, ge=1, le=64, description="processes of a worker for tasks with isolation='process'"
    )
    shutdown_grace_s: float = Field(
        10.0, ge=0, description="how long a worker that stops goes on with computations that it has begun"
    )
    limits: Annotated[dict[str, Limit], BeforeValidator(limits_by_name), NoDecode] = Field(
        None,
        validate_default=True,
        description="limits of the whole fleet by name, as JSON; tasks name them with limit",
    )

    backlog_capacity: int = Field(1_000_000, ge=1, description="targets requested on demand that may wait for a worker")

    starvation_s: float = Field(
        300.0, ge=0, description="targets that wait longer get one claim in eight, whatever their priority; 0 for never"
    )

    flush_s: float = Field(1.0, gt=0.01, le=60, description="seconds between two reports of counted reads to Redis")
    read_timeout_s: float = Field(0.25, gt=0, description="how long a read may wait for Redis")
    redis_timeout_s: float = Field(5.0, gt=0, description="how long any other command may wait for Redis")
    lease_wait_s: float = Field(15.0, ge=0, description="how long a reader waits for another's computation")

    max_value_bytes: int = Field(16 * 1024 * 1024, ge=1, description="the most bytes of a stored value")
    pickle_key: SecretStr | None = Field(
        None, min_length=16, description="secret that signs pickled values; only tasks with codec='pickle' need it"
    )
    computations_without_redis: int = Field(
        32, ge=1, description="computations at once in a process while Redis is away"
    )

    extra_compute: float | None = Field(
        None, gt=0, le=100, description="compute that warming may spend beyond a plain ttl cache, as a part of what "
        "that spends; 0.25 unless target_hit_ratio or budget_s_per_minute is given",
    )  # fmt: skip
    target_hit_ratio: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="instead of extra_compute: part of reads that should hit, for the least compute",
    )
    budget_s_per_minute: float | None = Field(
        None, gt=0, description="instead of extra_compute: compute seconds per minute that warming may spend"
    )

    heat_half_life_s: float = Field(
        900.0, gt=0, description="time after which a read counts half in the ranking of the most read targets"
    )
    heat_capacity: int = Field(10_000, ge=1, description="targets in the ranking of the most read")
    history_capacity: int = Field(250_000, ge=1, description="targets whose reads are remembered, about 64 bytes each")
    optimize_top_targets: int = Field(
        100, ge=0, description="most read targets that optimize_warming_schedules adjusts"
    )

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Read the settings from the environment and these keyword arguments.

        Args:
            **values: Settings by name; they win over the environment.

        Returns:
            The frozen settings.

        Raises:
            SettingsError: a value cannot be used, or no setting has that name.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError(_explained(error)) from None

    @field_validator(*_ADDRESSES, mode="before")
    @classmethod
    def _an_empty_address_is_none(cls, url: Any) -> Any:
        return None if url == "" else url  # compose files pass on what is not set as ""

    @field_validator(*_ADDRESSES)
    @classmethod
    def _can_be_used(cls, url: str | None) -> str | None:
        _parsed(url)
        return url

    @field_validator("redis_url")
    @classmethod
    def _is_no_cluster(cls, url: str | None) -> str | None:
        address = _parsed(url)
        if address is not None and address.kind == "cluster":
            raise ValueError(
                "expected one server or Sentinels, got a Redis Cluster: tasks, queue and statistics are moved by "
                "scripts over many keys, and RQ does not run on a Cluster; keep the values there with "
                "WARMER_CACHE_URL=redis+cluster://..., and set WARMER_REDIS_URL to one server (redis://...) or to "
                "Sentinels (redis+sentinel://...)"
            )
        return url

    @model_validator(mode="after")
    def _has_one_budget(self) -> Self:
        check_one_budget(self.extra_compute, self.target_hit_ratio, self.budget_s_per_minute)
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what `repr` shows: addresses without their credentials."""
        for name, value in super().__repr_args__():
            yield name, without_credentials(value) if name in _ADDRESSES and value else value

    def signing_key(self) -> bytes | None:
        """Return what pickled values are signed with; None if nothing was set."""
        return None if self.pickle_key is None else self.pickle_key.get_secret_value().encode()

    def required_redis_url(self) -> str:
        """Return the address of Redis.

        Raises:
            SettingsError: none is configured; production never guesses one.
        """
        if self.redis_url is None:
            raise SettingsError(
                "no Redis is configured: set WARMER_REDIS_URL (for example redis://localhost:6379/0), or call "
                "warmer.configure(redis_url=...). To try warmer without a server, use `warmer dev` or "
                "WARMER_EMBEDDED=1."
            )
        return self.redis_url


def _parsed(url: str | None) -> Address | None:
    try:
        return None if url is None else Address.parse(url)
    except SettingsError as error:
        raise ValueError(str(error)) from None


def _explained(error: ValidationError) -> str:
    return redacted("settings refused: " + "; ".join(map(_described, problems_of(error))))


def _described(problem: Problem) -> str:
    if not problem.field:  # of several settings together
        return problem.message
    text = f"WARMER_{problem.field.upper()}: {problem.message}"
    # A value under an unknown name may be a secret under a misspelt one.
    is_hidden = problem.field in _MAY_BE_SECRET or problem.kind == "extra_forbidden"
    return text if is_hidden else f"{text}, got {problem.given!r}"
