"""Reasons as bounded labels: agents and codecs give theirs in words, which may hold anything."""

from __future__ import annotations

import re
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
_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
#: The codecs know some twenty reasons; more than this would be words of somebody else.
_SLUGS_MAX: Final = 64
_slugs: set[str] = set()


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
    if not _SLUG.fullmatch(slug) or (slug not in _slugs and len(_slugs) >= _SLUGS_MAX):
        return "other"
    _slugs.add(slug)
    return slug
