"""What workers decided with, kept on the log: each tells it at its start, and who recomputes a past reads it there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from connectors.codecs.records import decode_inventory, encode_record
from connectors.errors import InvalidRecord, WrongUse
from connectors.kafka.log import reader
from connectors.kafka.put import put
from connectors.kafka.topics import INVENTORY
from infra import clock
from infra.run_log import RunLog
from infra.settings import Settings
from infra.wiring import incident_settings, policy_settings, served_predictor
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings
from models.records import InventorySettings, digest_id

_T = TypeVar("_T", PolicySettings, IncidentSettings)


@dataclass(frozen=True, slots=True)
class KeptSettings:
    """What a worker decided with; ``model`` is the digest of its own artefact, in use until another was activated."""

    policy: PolicySettings
    incidents: IncidentSettings
    model: str


def keep_settings(settings: Settings, brokers: str) -> None:
    """Tell on the inventory what a worker with these settings decides with, and wait until it is safe there.

    Raises
    ------
    WrongUse
        The artefact in the settings cannot be used.
    Failed, Unreachable
        It could not be put there.
    """
    told = InventorySettings(
        at=clock.now(),
        policy=asdict(policy_settings(settings)),
        incident=asdict(incident_settings(settings)),
        model=served_predictor(settings).digest,
    )
    put(brokers, INVENTORY, settings_key(told), encode_record(told))


def settings_key(told: InventorySettings) -> bytes:
    """The key of kept settings: their digest and when they were told.

    Compaction leaves the newest of a key. With the digest alone, settings that were taken up again would lose the word
    of their first time, and what was decided then would be put down to those in between.
    """
    content = json.dumps([told.policy, told.incident, told.model], sort_keys=True)
    return f"settings/{digest_id(content)}/{told.at:.6f}".encode()


def policy_in_use(settings: Settings, brokers: str, at: float | None = None) -> PolicySettings:
    """What workers told on the topics that they decide with; as ``settings`` have it where none has told yet.

    ``at`` as of :func:`settings_in_use`. Raises ``Unreachable``.
    """
    with reader(brokers) as consumer:
        try:
            return settings_in_use(RunLog(None, brokers, consumer), at).policy
        except WrongUse:
            return policy_settings(settings)


def settings_in_use(log: RunLog, at: float | None = None) -> KeptSettings:
    """What workers decided with at ``at`` (by the clock of the brokers; None: last).

    That is the newest that was told before; where compaction has left none from before, the oldest that is there.

    Raises
    ------
    WrongUse
        No worker has told its settings on this log.
    """
    told = settings_told(log)
    before = [one for one in told if at is None or one.at <= at]
    return kept(before[-1] if before else told[0])


def settings_told(log: RunLog) -> tuple[InventorySettings, ...]:
    """All that workers have told of their settings, the oldest first, at least one; raises ``WrongUse`` for none."""
    told = sorted(_told(log), key=lambda one: one.at)
    if not told:
        raise WrongUse(
            "no worker has told on cluster.inventory.v1 what it decides with: this log is of an older forestall; "
            "start a worker of this one on it"
        )
    return tuple(told)


def kept(told: InventorySettings) -> KeptSettings:
    """The settings that a record tells; what it lacks, being older, is as it is by default."""
    return KeptSettings(_built(PolicySettings, told.policy), _built(IncidentSettings, told.incident), told.model)


def _built(kind: type[_T], told: Any) -> _T:
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in told.items() if name in known})


def _told(log: RunLog) -> Iterator[InventorySettings]:
    for partition in log.partitions(INVENTORY):
        yield from _settings(message.value() for message in log.records(INVENTORY, partition))


def _settings(values: Iterable[bytes | None]) -> Iterator[InventorySettings]:
    for value in values:
        try:
            told = decode_inventory(value or b"")
        except InvalidRecord:
            continue
        if isinstance(told, InventorySettings):
            yield told
