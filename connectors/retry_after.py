"""What ``Retry-After`` says (RFC 9110, 10.2.3)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime


def retry_after_s(header: str | None, now: float) -> float | None:
    """``Retry-After`` in seconds from ``now`` (Unix s), given as such or as a date; None where it cannot be read.

    >>> retry_after_s("7", 0.0), retry_after_s("Thu, 01 Jan 1970 00:01:30 GMT", 60.0), retry_after_s("soon", 0.0)
    (7.0, 30.0, None)
    """
    text = (header or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
