"""Reasons as bounded labels: agents and codecs give theirs in words, which may hold anything."""

from __future__ import annotations

from typing import Final

#: What a refusal's words contain → its label; the first that applies. The words are those of the runbook.
_REFUSALS: Final = (
    ("unknown-key", "unknown-key"),
    ("revoked-key", "revoked-key"),
    ("unsigned", "unsigned"),
    ("bad-signature", "bad-signature"),
    ("after its expiry", "expired"),
    ("not accepted in time", "expired"),
    ("it is dated", "clock"),
    ("it would live for", "lifetime"),
    ("is older", "superseded"),
    ("were accepted in the last hour", "hourly-limit"),
    ("quarantined by", "quarantined"),
    ("refused than are told", "flood"),
    ("the rank says", "rank-failed"),
    ("the rank has ended", "rank-ended"),
    ("interrupted", "interrupted"),
    ("the cluster agent was stopped", "agent-stopped"),
    ("after it was accepted", "too-slow"),
)
REFUSALS: Final = tuple(dict.fromkeys((*(label for _, label in _REFUSALS), "other")))
#: The slugs with which the codecs say why a record cannot be read.
DEAD_LETTERS: Final = (
    *("bad-metrics", "bad-node", "bad-packed-frame", "bad-row", "bad-schema", "bad-time", "not-a-frame"),
    *("not-an-object", "not-json", "unknown-kind", "unknown-schema", "unknown-version", "wrong-field", "other"),
)


def refusal(words: str | None) -> str:
    """The label of an agent's reason.

    >>> refusal("unknown-key (by key 'ab')"), refusal("out of paper"), refusal(None)
    ('unknown-key', 'other', 'other')
    """
    return next((label for part, label in _REFUSALS if part in (words or "")), "other")


def dead_letter(reason: bytes) -> str:
    """The label of a dead letter: the slug with which its reason begins.

    >>> dead_letter(b"not-json: line 1"), dead_letter(b"What?")
    ('not-json', 'other')
    """
    slug = reason.partition(b":")[0].decode(errors="replace")
    return slug if slug in DEAD_LETTERS else "other"
