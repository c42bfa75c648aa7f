"""Reading a log of commands back: is each authentic, and does each follow the one that it names?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from connectors.signing.keyring import Keys, Refusal, RefusedFor, TrustedKey, signer, verify
from connectors.signing.seal import NO_LINK, link_of, read_seal

Reason = RefusedFor | Literal["broken-chain", "unreadable", "cut-short", "unknown-answer"]

WORDS: dict[Reason, str] = {
    "unsigned": "it bears no seal: put in by somebody else, or altered at its end",
    "unknown-key": "it is signed by a key that the keyring does not have",
    "revoked-key": "it is signed by a key that had been revoked",
    "bad-signature": "it is not what was signed: altered, or forged",
    "broken-chain": "it does not follow the command before it: one was cut, altered, put in or moved",
    "unreadable": "it is no command",
    "cut-short": "not everything is there",
    "unknown-answer": "an agent has answered a command that is not on the log",
}


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the command log; ``number`` is its offset on the topic, or its line in a file.

    ``at`` is when the broker took it (Unix seconds); None: what it says itself (``issued_at``) has to do.
    """

    number: int
    raw: bytes
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where; ``command`` is the id that the record claims."""

    partition: int | None
    number: int | None
    reason: Reason
    command: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        return f"{WORDS[self.reason]}{f' ({self.detail})' if self.detail else ''}"


@dataclass(slots=True)
class PartitionAudit:
    """What was found on one partition.

    ``after`` is the link that its first command names, ``tip`` that of its last; ``ids`` are those of authentic
    commands. ``repeated`` counts records that were there already: a worker that had hung may have written them again.
    """

    partition: int
    records: int = 0
    commands: int = 0
    repeated: int = 0
    after: str = NO_LINK
    tip: str = NO_LINK
    ids: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)


class _Claims(msgspec.Struct):
    class Cause(msgspec.Struct):
        partition: int

    id: str
    issued_at: float
    cause: Cause


_claims = msgspec.json.Decoder(_Claims)


def claims_of(raw: bytes) -> _Claims | None:
    """What a record says of itself (id, time of issue, partition); None when it is no command."""
    try:
        return _claims.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def audit(partition: int, records: Iterable[Record], keys: Keys | None, after: str | None = NO_LINK) -> PartitionAudit:
    """Read one partition from its beginning.

    Parameters
    ----------
    records : in the order of the log
    keys : those whose signatures count; None leaves the signatures unchecked
    after : the link that the first command has to name; None where what was before it is gone and it may name any
    """
    found = PartitionAudit(partition, after=NO_LINK if after is None else after)
    tip, links = after, set[str]()
    for record in records:
        found.records += 1
        claims = claims_of(record.raw)
        command = None if claims is None else claims.id
        reason = _judge(record, claims, keys)
        if reason is not None:
            found.faults.append(Fault(partition, record.number, reason, command))
        seal = read_seal(record.raw)
        if seal is None or command is None or reason in ("unknown-key", "bad-signature"):
            continue
        link = link_of(record.raw)
        if link in links:
            found.repeated += 1
            continue
        if tip is None:
            found.after = seal.previous
        elif seal.previous != tip:
            found.faults.append(Fault(partition, record.number, "broken-chain", command))
        tip = link
        links.add(link)
        found.ids.add(command)
        found.commands += 1
    found.tip = found.after if tip is None else tip
    return found


def _judge(record: Record, claims: _Claims | None, keys: Keys | None) -> Reason | None:
    if claims is None:
        return "unreadable"
    if keys is None:
        return "unsigned" if read_seal(record.raw) is None else None
    verdict = verify(record.raw, keys)
    if not isinstance(verdict, Refusal):
        return None
    if verdict.reason != "revoked-key":
        return verdict.reason
    key = signer(record.raw, keys)
    if key is None:
        return "bad-signature"
    return "revoked-key" if (record.at or claims.issued_at) > _revoked_at(key) else None


def _revoked_at(key: TrustedKey) -> float:
    """When the key was revoked, in Unix seconds; one that does not say so was never trusted."""
    return 0.0 if key.revoked_at is None else datetime.fromisoformat(key.revoked_at).timestamp()
