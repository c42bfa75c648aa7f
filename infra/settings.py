"""The settings: one TOML file, then ``FORESTALL_SECTION__KEY``, then ``--set section.key=value``, then ``--brokers``.

A later layer wins. Every fault of every layer is told at once, each with its section and key, the value that was given
and what is allowed (``infra/settings_faults.py``). This module is the only reader of the environment.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from connectors.errors import WrongUse
from infra.settings_faults import Given, describe

Port = Annotated[int, Field(ge=1, le=65535)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
_ADDRESS = r"(\[[0-9a-fA-F:]+\]|[^\s:,\[\]]+):\d{1,5}"
Brokers = Annotated[str, StringConstraints(pattern=rf"^({_ADDRESS}(,{_ADDRESS})*)?$")]

PREFIX = "FORESTALL_"


class Section(BaseModel):
    """One section: its keys are fixed, and none changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Broker(Section):
    """Which Kafka: the user's (``brokers``), or the embedded one and where it keeps its data."""

    brokers: Brokers = ""
    port: Port = 9092
    directory: Path | None = None
    keep_runs: Count = 5


class Topics(Section):
    """How the topics are laid out."""

    partitions: Annotated[int, Field(ge=1, le=1024)] = 2
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    telemetry_retention_h: Positive = 24
    control_retention_d: Positive = 14


class Telemetry(Section):
    """The pace of live telemetry, and how much a producer keeps while the broker is away."""

    interval_s: Positive = 1.0
    spool_mib: Positive = 64


class Predictor(Section):
    """The model artefact: a file, or ``default`` or ``eq1``, which forestall ships; None is ``default``."""

    artefact: Path | None = None


class Incident(Section):
    """How many assessments in a row open and close an incident."""

    open_frames: Count = 3
    close_frames: Count = 30


class Policy(Section):
    """When to checkpoint and when to migrate; ``alpha`` and ``beta`` are rates in 1/s."""

    checkpoint: Literal["hazard", "young", "daly", "paper", "lazy", "aupy", "overhead-bounded"] = "hazard"
    migration: Literal["break-even", "paper", "never"] = "break-even"
    level: Literal["observe", "checkpoint", "quarantine", "migrate"] = "observe"
    theta: Share = 0.5
    alpha: NotNegative = 0.01
    beta: NotNegative = 0.001
    eta: Share = 0.7
    lambda1: NotNegative = 1.0
    lambda2: NotNegative = 1.0
    node_mtbf_days: Positive = 264
    checkpoint_cost_s: Positive = 5
    durable_s: NotNegative = 20
    migration_s: NotNegative = 140
    restart_s: NotNegative = 180
    detection_s: NotNegative = 60
    lead_median_s: Positive = 720
    lead_sigma: Annotated[float, Field(ge=0.01, le=10)] = 0.8
    min_gap_s: NotNegative = 10
    command_ttl_s: Positive = 60
    checkpoint_deadline_s: Positive = 30
    elastic: bool = True


class Brakes(Section):
    """What keeps nodes where they are, whatever the policy wants."""

    breaker_share: Share = 0.05
    breaker_nodes: Annotated[int, Field(ge=0)] = 2
    breaker_window_s: Positive = 3600
    storm_incidents: Annotated[int, Field(ge=2, le=1000)] = 5
    storm_window_s: Positive = 300
    cool_down_s: NotNegative = 600
    warm_up_s: NotNegative = 60


class Worker(Section):
    """The streams worker: how often it saves its state, who puts the ticks, and its consumer group."""

    snapshot_s: Positive = 3
    ticks: Literal["live", "source"] = "live"
    group: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "forestall"


class Agent(Section):
    """Where a cluster agent keeps what it must not forget (None: the platform's data directory), and its limits."""

    directory: Path | None = None
    skew_s: NotNegative = 60
    disruptions_per_hour: Annotated[int, Field(ge=0)] = 6
    checkpoints_per_hour: Annotated[int, Field(ge=0)] = 240


class Signing(Section):
    """The private key that commands are signed with (a file, or the folder of ``signing.key``), and the keyring."""

    key: Path | None = None
    keyring: Path | None = None


class Web(Section):
    """Where the live page is served, and what any address but this machine's own needs: a token and TLS."""

    host: Annotated[str, StringConstraints(min_length=1)] = "127.0.0.1"
    port: Port = 8088
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


class Metrics(Section):
    """Where a process tells Prometheus of itself (``port`` 0: nowhere), and when a worker is no longer ready."""

    host: Annotated[str, StringConstraints(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    stale_s: Positive = 15
    stall_s: NotNegative = 120


class Logs(Section):
    """What a process says on stderr: lines of JSON unless that is a terminal, from this level on."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Alerts(Section):
    """Where alerts are sent (a URL that may hold a secret: it is never said), how often, and how many a minute."""

    webhook: str = ""
    repeat_s: Positive = 14_400
    per_minute: Count = 30
    runbooks: str = "docs/runbooks"
    directory: Path | None = None


class Influx(Section):
    """Which InfluxDB 2, where the file with its token lies, and how much waits on disk while it is away."""

    url: Annotated[str, StringConstraints(min_length=1)] = "http://127.0.0.1:8086"
    org: Annotated[str, StringConstraints(min_length=1)] = "forestall"
    bucket: Annotated[str, StringConstraints(min_length=1)] = "forestall"
    token_file: Path | None = None
    outbox_mib: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 256


class Shadow(Section):
    """Policies that fold the decision log too and command nothing: names and TOML files, by commas."""

    policies: str = ""


class Settings(Section):
    """Everything that can be set, by section."""

    broker: Broker = Broker()
    topics: Topics = Topics()
    telemetry: Telemetry = Telemetry()
    predictor: Predictor = Predictor()
    incident: Incident = Incident()
    policy: Policy = Policy()
    brakes: Brakes = Brakes()
    worker: Worker = Worker()
    agent: Agent = Agent()
    signing: Signing = Signing()
    web: Web = Web()
    influx: Influx = Influx()
    metrics: Metrics = Metrics()
    logs: Logs = Logs()
    alerts: Alerts = Alerts()
    shadow: Shadow = Shadow()


def load(config: Path | None, assignments: Sequence[str] = (), brokers: str | None = None) -> Settings:
    """Join the layers and check them.

    Parameters
    ----------
    config : the TOML file, or None for none
    assignments : ``section.key=value`` texts, the later one winning
    brokers : ``HOST:PORT[,HOST:PORT…]`` of the user's Kafka

    Raises
    ------
    WrongUse
        The file cannot be read or parsed, or there are faults; the message lists every fault.
    """
    given: Given = {}
    if config is not None:
        given.update(_from_file(config))
    given.update(_from_environment(os.environ))
    given.update(_from_assignments(assignments))
    if brokers is not None:
        given[("broker", "brokers")] = (brokers, "--brokers")
    tree: dict[str, Any] = {}
    for (section, *key), (value, _) in given.items():
        if not key:
            tree[section] = value
        elif isinstance(tree.setdefault(section, {}), dict):
            tree[section][key[0]] = value
    try:
        return Settings.model_validate(tree)
    except ValidationError as faults:
        raise WrongUse(describe(faults, Settings, given)) from None


def assignments(settings: Settings) -> list[str]:
    """Return ``section.key=value`` for whatever differs from its default, to hand the settings to a child process."""
    plain = Settings()
    texts = []
    for section in Settings.model_fields:
        ours, theirs = getattr(settings, section), getattr(plain, section)
        for key in type(ours).model_fields:
            value = getattr(ours, key)
            if value != getattr(theirs, key) and value is not None:
                texts.append(f"{section}.{key}={value}")
    return texts


def _from_file(path: Path) -> Given:
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise WrongUse(f"{path} is not valid TOML: {fault}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise WrongUse(f"the settings file {path} cannot be read: {fault}") from None
    return dict(_flatten(tree, str(path)))


def _flatten(tree: Mapping[str, Any], origin: str) -> Iterator[tuple[tuple[str, ...], tuple[object, str]]]:
    for section, values in tree.items():
        if not isinstance(values, dict):
            yield (section,), (values, origin)
            continue
        if not values and section not in Settings.model_fields:
            yield (section,), ({}, origin)
        for key, value in values.items():
            yield (section, key), (value, origin)


def _from_environment(environment: Mapping[str, str]) -> Given:
    given: Given = {}
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and "__" in name:
            section, _, key = name.removeprefix(PREFIX).lower().partition("__")
            given[(section, key)] = (value, name)
    return given


def _from_assignments(texts: Sequence[str]) -> Given:
    given: Given = {}
    for text in texts:
        name, equals, value = text.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and section and key):
            raise WrongUse(f"--set {text!r}: write it as section.key=value, for example policy.level=migrate")
        given[(section, key)] = (value.strip(), f"--set {text}")
    return given
