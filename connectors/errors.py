"""The error tree. A command line exits with the ``exit_code`` of what reaches it.

ForestallError
├── WrongUse       2   an argument or a setting is wrong; retrying is pointless
├── Unreachable    3   a needed service does not answer; a retry is safe
├── Failed         1   the work was tried and did not succeed
└── InvalidRecord  1   a record cannot be read: to the dead-letter topic with its reason; never retried
"""

from __future__ import annotations


class ForestallError(Exception):
    """What is wrong, where, and what to do about it, in one message for a person."""

    exit_code = 1


class WrongUse(ForestallError):
    """A wrong argument, setting or file; says which, and what would be right."""

    exit_code = 2


class Unreachable(ForestallError):
    """A service that is needed does not answer."""

    exit_code = 3


class Failed(ForestallError):
    """The work was tried and did not succeed."""


class InvalidRecord(ForestallError):
    """A record that cannot be read; ``reason`` is a short slug that is counted."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
