# One image for every process: scheduler, worker and one-off commands are all `warmer ...`.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /build
COPY requirements.lock ./

# requirements.lock pins the developers' tools as well; these are the parts that build the wheel and that the image
# needs, each with its hashes. A test compares them with what pyproject.toml asks for.
ARG BUILDS="hatchling|packaging|pathspec|pluggy|setuptools|tomlkit|trove-classifiers|wheel"
ARG RUNS="annotated-types|async-timeout|click|croniter|cronsim|crontab|freezegun|hiredis|markdown-it-py|mdurl|msgpack|orjson|pydantic|pydantic-core|pydantic-settings|pygments|python-dateutil|python-dotenv|redis|rich|rq|rq-scheduler|typing-extensions|typing-inspection|tzdata|zstandard"
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1 PIP_ROOT_USER_ACTION=ignore
RUN for part in BUILDS="$BUILDS" RUNS="$RUNS"; do \
        awk -v names="^(${part#*=})==" '/^[a-z]/ { keep = $0 ~ names } keep' requirements.lock > "${part%%=*}.lock"; \
    done \
 && pip install --require-hashes -r BUILDS.lock \
 && pip install --require-hashes --no-build-isolation --prefix=/install -r RUNS.lock

COPY pyproject.toml README.md LICENSE ./
COPY warmer warmer
COPY workers workers
COPY scheduler scheduler
COPY examples examples
RUN pip install --no-build-isolation --prefix=/install .


FROM python:${PYTHON}-slim
RUN useradd --system --uid 10001 warmer
COPY --from=build /install /usr/local
RUN pip check && python -c "import warmer_scheduler.main, warmer_workers.main"

# Tasks are imported from here: those of the quick start, until you mount or copy your own.
WORKDIR /app
COPY --chown=warmer examples/*.py ./

ENV PYTHONUNBUFFERED=1
USER 10001
ENTRYPOINT ["warmer"]
CMD ["--help"]
