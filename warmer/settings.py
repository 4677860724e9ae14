"""What can be configured, validated once and then frozen."""

from typing import Any, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from warmer.errors import SettingsError, redacted


class Settings(BaseSettings):
    """All settings of a `Warmer`, from ``WARMER_*`` variables or keyword arguments.

    Durations are in seconds. Keyword arguments win over variables.

    Raises:
        SettingsError: a value cannot be used; the message names its variable.

    Example:
        >>> Settings.load(redis_url="redis://localhost:6379/0").namespace
        'warmer'
    """

    model_config = SettingsConfigDict(env_prefix="WARMER_", frozen=True, extra="forbid")

    redis_url: str | None = Field(None, description="Redis for tasks, queue and statistics")
    cache_url: str | None = Field(None, description="Redis for the cached values; redis_url when not given")
    namespace: str = Field("warmer", pattern=r"^[A-Za-z0-9_-]{1,40}$", description="prefix of every key")
    embedded: bool = Field(False, description="warm in this process: a scheduler and a worker thread")

    tick_s: float = Field(1.0, gt=0.01, le=60, description="how often the scheduler looks for what is due")
    claim_timeout_s: float = Field(15.0, ge=0.5, description="a worker unheard of for this long has died")
    lease_timeout_s: float = Field(10.0, ge=0.5, description="a computation unheard of for this long has died")
    drain_s: float = Field(60.0, gt=0, description="how long one drain goes on claiming targets")
    longest_task_s: float = Field(900.0, gt=0, description="no computation by a worker may take longer")
    concurrency: int = Field(8, ge=1, le=1024, description="computations at once in one worker")

    flush_s: float = Field(1.0, gt=0.01, le=60, description="how often counted reads are sent to Redis")
    read_timeout_s: float = Field(0.25, gt=0, description="how long a read may wait for Redis")
    redis_timeout_s: float = Field(5.0, gt=0, description="how long any other command may wait for Redis")
    lease_wait_s: float = Field(10.0, ge=0, description="how long a reader waits for another's computation")

    heat_half_life_s: float = Field(900.0, gt=0, description="reads count half after this long")
    heat_capacity: int = Field(10_000, ge=1, description="targets whose reads are remembered")
    hottest: int = Field(100, ge=0, description="targets that warming follows by their reads alone")
    refresh_threshold: float = Field(
        0.5, ge=0, le=1, description="chance of a read within one ttl that makes a refresh worth it"
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


def _explained(error: ValidationError) -> str:
    problems = (
        f"WARMER_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}, got {problem['input']!r}"
        for problem in error.errors(include_url=False)
    )
    return redacted("settings refused: " + "; ".join(problems))
