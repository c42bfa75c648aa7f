"""What ``forestall doctor`` looks at. Every check ends in a finding; none stops the others."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from connectors.errors import Failed, ForestallError, Unreachable
from connectors.kafka.admin import admin_client, apply_topics, check_topics
from infra import clock
from infra.activation import chosen
from infra.broker import runs
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.locate import locate_broker
from infra.cli.topics import specs_of
from infra.settings import Settings
from infra.wiring import fetching, served_predictor
from models.foresight import Refused

CLOCK_SKEW_S_MAX = 1.0
DISK_FREE_BYTES_MIN = 1 << 30
_PROBE_TOPIC = "forestall.clock-probe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``cure`` says what to do where it is not well."""

    name: str
    ok: bool
    detail: str
    cure: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at broker, topics, clock, the activated model, artefact, keys, InfluxDB and disk, in this order."""
    findings = []
    try:
        with _broker(settings) as (broker, tried), admin_client(broker.bootstrap) as client:
            findings.append(_broker_found(broker, tried))
            findings.append(_topics(client, settings, tried))
            findings.append(_clock(client, broker.bootstrap))
            if findings[1].ok:
                findings.append(_model(broker.bootstrap))
    except ForestallError as fault:
        cure = "start the broker, or name another with --brokers HOST:PORT"
        if isinstance(fault, Failed):
            cure = "follow what the message says; forestall broker start shows it by itself"
        findings.append(Finding("broker", False, str(fault), cure))
    return [*findings, _artefact(settings), _keys(settings), _influx(settings), _disk(settings)]


@contextmanager
def _broker(settings: Settings) -> Iterator[tuple[Broker, bool]]:
    """Yield a broker and whether it was only tried out: started in a temporary folder, since none was running."""
    if settings.broker.brokers or runs.all_serving(runs.runs_directory(settings)):
        with locate_broker(settings) as broker:
            yield broker, False
        return
    with tempfile.TemporaryDirectory(prefix="forestall-doctor-") as folder:
        trial = settings.broker.model_copy(update={"directory": Path(folder)})
        with embedded_broker(settings.model_copy(update={"broker": trial})) as broker:
            yield broker, True


def _broker_found(broker: Broker, tried: bool) -> Finding:
    how = "embedded, tried out and stopped" if tried else f"run {broker.run}" if broker.run else "your own"
    return Finding("broker", True, f"Kafka {broker.version} answers at {broker.bootstrap} ({how})")


def _topics(client: KafkaAdminClient, settings: Settings, tried: bool) -> Finding:
    specs = specs_of(settings)
    states = apply_topics(client, specs) if tried else check_topics(client, specs)
    missing = [state.name for state in states if state.state == "missing"]
    if missing:
        return Finding("topics", False, f"missing: {', '.join(missing)}", "forestall topics apply")
    differing = [state.name for state in states if state.state == "differs"]
    if differing:
        detail = f"other settings than asked for: {', '.join(differing)}"
        return Finding(
            "topics", False, detail, "forestall topics check says what differs; change the topic or [topics]"
        )
    return Finding("topics", True, f"{len(states)} topics as the settings want them")


def _clock(client: KafkaAdminClient, bootstrap: str) -> Finding:
    """Compare the broker's clock with ours by the time that it stamps on a record in a topic of its own."""
    try:
        skew = _clock_skew(client, bootstrap)
    except (KafkaError, OSError) as fault:
        return Finding("clock", True, f"the broker's clock was not compared: {fault}")
    if abs(skew) > CLOCK_SKEW_S_MAX:
        detail = f"the broker's clock is {skew:+.1f} s from ours, so latencies and expiry times are wrong by that"
        return Finding("clock", False, detail, "have both machines keep their time by NTP (chrony, systemd-timesyncd)")
    return Finding("clock", True, f"within {CLOCK_SKEW_S_MAX:.0f} s of the broker's")


def _clock_skew(client: KafkaAdminClient, bootstrap: str) -> float:
    """Return the broker's clock minus ours in seconds, 0 when it lies within the time that asking took."""
    layout = {"num_partitions": 1, "replication_factor": -1, "configs": {"message.timestamp.type": "LogAppendTime"}}
    if _PROBE_TOPIC not in client.list_topics():
        client.create_topics({_PROBE_TOPIC: layout}, wait_for_metadata=True)
    try:
        producer = KafkaProducer(bootstrap_servers=bootstrap.split(","), max_block_ms=8_000)
        try:
            before = clock.now()
            stamped = producer.send(_PROBE_TOPIC, value=b"what is your time?").get(timeout=8).timestamp / 1000
            after = clock.now()
        finally:
            producer.close()
    finally:
        client.delete_topics([_PROBE_TOPIC])
    return float(min(0.0, stamped + 0.001 - before) + max(0.0, stamped - after))


def _model(brokers: str) -> Finding:
    """Whether the model that was activated, if any was, can be looked up and used by workers of this build."""
    choice = chosen(brokers, "active")
    if choice is None or choice.digest is None:
        return Finding("model", True, "none was activated: workers use the artefact")
    try:
        fetching(brokers)(choice.digest)
    except Refused as fault:
        detail = f"workers of this build cannot use the activated {choice.digest[:16]}…: {fault}"
        return Finding("model", False, detail, "activate one that fits, or its file again: forestall model activate")
    return Finding("model", True, f"{choice.digest[:16]}… was activated, and can be used")


def _artefact(settings: Settings) -> Finding:
    where = str(settings.predictor.artefact or "the one that forestall ships")
    try:
        served_predictor(settings)
    except (ForestallError, OSError) as fault:
        cure = "leave out [predictor] artefact for the shipped one, or make one: forestall train"
        return Finding("artefact", False, f"{where}: {fault}", cure)
    return Finding("artefact", True, f"{where} can be read, and reads what the worker makes")


def _keys(settings: Settings) -> Finding:
    """Whether a worker here can sign, or a cluster agent here can judge; whoever has neither needs neither yet."""
    from connectors.signing import FileSealer
    from connectors.signing.keyring import read_keys
    from infra.keys import key_files

    files = key_files(settings)
    signs = files.key.exists() or settings.policy.level != "observe"
    if not (signs or files.keyring.exists() or settings.signing.model_fields_set):
        return Finding("keys", True, "none: workers at level observe need none (forestall keys new makes them)")
    try:
        keys = read_keys(files.keyring)
        signer = FileSealer(files, lambda _: None).key_id if signs else None
    except ForestallError as fault:
        return Finding(
            "keys", False, str(fault), "forestall keys list shows them; docs/how-to/keys.md says how they go"
        )
    live = sum(key.state == "live" for key in keys.values())
    told = f"{signer} signs" if signer else "no signing key here, and a cluster agent needs none"
    if not live:
        return Finding("keys", False, f"no key of {files.keyring} is live", "copy the keyring of the worker's machine")
    return Finding("keys", True, f"{told}; {live} live in {files.keyring}")


def _influx(settings: Settings) -> Finding:
    """Whether the sink's token can be used, and may do no more than write to its bucket."""
    from connectors.influx.token_file import read_token
    from infra.influx.api import InfluxApi
    from infra.influx.tokens import beyond_writing

    influx = settings.influx
    if not influx.model_fields_set:
        return Finding("influx", True, "none is set up: nothing but the sink needs one (forestall influx apply)")
    try:
        may = beyond_writing(InfluxApi(influx.url, read_token(influx.token_file)), influx.org, influx.bucket)
    except Unreachable as fault:
        return Finding("influx", False, str(fault), "start it, or name another: --set influx.url=http://HOST:PORT")
    except ForestallError as fault:
        return Finding("influx", False, str(fault), "forestall influx apply --admin-token FILE makes the sink's token")
    if may:
        detail = f"the token in {influx.token_file} may {'; '.join(may)}"
        cure = "forestall influx apply --admin-token FILE puts one there that may write to the bucket alone"
        return Finding("influx", False, detail, cure)
    return Finding("influx", True, f"{influx.url}: the sink's token may write to {influx.bucket}, and do nothing else")


def _disk(settings: Settings) -> Finding:
    folder = runs.runs_directory(settings)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    detail = f"{free / 2**30:.1f} GiB free for {folder}"
    if free < DISK_FREE_BYTES_MIN:
        return Finding("disk", False, detail, "free 1 GiB, or put the data elsewhere: [broker] directory")
    return Finding("disk", True, detail)
