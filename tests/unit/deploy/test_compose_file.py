"""The container files keep what a deployment relies on, and follow the lock, the settings and the examples."""

import re
import tomllib
from pathlib import Path

import pytest

from warmer import Settings

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LOCK = (ROOT / "requirements.lock").read_text()
GUIDE = (ROOT / "docs" / "deploy.md").read_text()

COMPOSE_ONLY = {"WARMER_IMPORT"}


def service(name: str) -> str:
    """Return the lines of one service of the Compose file."""
    return block(rf"  {name}:", indent=4)


def shared(name: str) -> str:
    """Return the lines that services of the Compose file share under this name."""
    return block(rf"x-{name}: &{name}", indent=2)


def block(head: str, indent: int) -> str:
    found = re.search(rf"^{head}\n((?: {{{indent}}}.*\n)+)", COMPOSE, re.MULTILINE)
    assert found, f"no {head}"
    return found[1]


def packages_for(roots: set[str]) -> set[str]:
    """Return these packages and all that they need, as the lock's `# via` comments tell."""
    blocks = re.findall(r"^([a-z][a-z0-9.-]*)==.*\n((?: +.*\n?)*)", LOCK, re.MULTILINE)
    needed_by = {name: set(re.findall(r"# +(?:via )?([a-z0-9.-]+)$", lines, re.MULTILINE)) for name, lines in blocks}
    while True:
        found = roots | {name for name, users in needed_by.items() if users & roots}
        if found == roots:
            return found
        roots = found


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!; ]", requirement)[0] for requirement in requirements}


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("redis", "[CMD, redis-cli, -e, ping]"),
        ("scheduler", "[CMD, warmer, check, scheduler]"),
        ("worker", "[CMD, warmer, check, worker, --here]"),
    ],
)
def test_each_service_has_a_health_check(name: str, check: str) -> None:
    assert f"test: {check}" in service(name)


def test_each_service_comes_back_and_runs_with_few_rights() -> None:
    for words in ("restart: unless-stopped", "read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
        assert words in shared("service")
    assert "<<: *service" in service("redis")


def test_scheduler_and_worker_wait_until_redis_is_healthy() -> None:
    assert "redis: { condition: service_healthy }" in shared("warmer")
    assert "<<: *service" in shared("warmer")
    assert "<<: *warmer" in service("scheduler")
    assert "<<: *warmer" in service("worker")


def test_redis_keeps_its_data_and_evicts_nothing() -> None:
    assert "--appendonly yes" in service("redis")
    assert "--maxmemory-policy noeviction" in service("redis")
    assert 'volumes: ["redis:/data"]' in service("redis")


def test_redis_is_not_open_to_the_outside() -> None:
    assert "ports:" not in COMPOSE


def test_the_default_tasks_are_an_example_in_the_image() -> None:
    default = re.search(r"\$\{WARMER_IMPORT:-(\w+):(\w+)\}", service("worker"))
    assert default
    assert f"def {default[2]}(" in (ROOT / "examples" / f"{default[1]}.py").read_text()
    assert "examples/*.py" in DOCKERFILE


def test_the_image_does_not_run_as_root() -> None:
    assert int(re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)[-1]) > 0
    assert "user: redis" in service("redis")


def test_the_image_holds_what_warmer_and_its_scheduler_need_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = names_of(project["dependencies"]) | names_of(project["optional-dependencies"]["scheduler"])
    listed = re.search(r'^ARG RUNS="(.*)"$', DOCKERFILE, re.MULTILINE)
    assert listed
    assert set(listed[1].split("|")) == packages_for(asked)


def test_it_builds_everywhere() -> None:
    assert "# syntax=" not in DOCKERFILE
    assert "<<" not in DOCKERFILE
    assert all(stage == "build" for stage in re.findall(r"COPY --from=(\S+)", DOCKERFILE))
    assert not re.search(r"^version:", COMPOSE, re.MULTILINE)


def test_every_variable_that_is_named_exists() -> None:
    known = {f"WARMER_{name.upper()}" for name in Settings.model_fields} | COMPOSE_ONLY
    assert set(re.findall(r"WARMER_[A-Z_]+", COMPOSE + GUIDE)) <= known


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_guide_tells_each_setting_and_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    shown = {None: "none", False: "off"}.get(default, f"{default:g}" if isinstance(default, float) else str(default))
    assert re.search(rf"^\| `WARMER_{name.upper()}` \| {re.escape(shown)} \| .+ \|$", GUIDE, re.MULTILINE)
