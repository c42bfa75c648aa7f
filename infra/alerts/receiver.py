"""The receiver of alerts: one request at a time, each answer judged, pauses that grow, and never too many a minute.

Whatever it answers but 2xx, what was to be told stays to be told: an address that is wrong today is put right one day.
The URL may hold a secret and is never said; its host is.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from connectors.errors import WrongUse
from connectors.retry_after import retry_after_s

ANSWER_S: Final = 10.0
PAUSE_S_MIN, PAUSE_S_MAX = 1.0, 60.0
#: The longest that a receiver may have us wait (Retry-After).
WAIT_S_MAX: Final = 600.0

log = logging.getLogger("forestall.alerts")


def require_url(url: str) -> str:
    """The host of a URL that alerts can be sent to; raises ``WrongUse``, which does not repeat it."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise WrongUse(
            "alerts.webhook is no http(s) URL; give one in the settings file or as FORESTALL_ALERTS__WEBHOOK"
        )
    return parts.hostname


class Receiver:
    """Sends payloads to ``url``, at most ``per_minute`` requests in any minute.

    ``wall`` gives Unix seconds, for a ``Retry-After`` that is a date; ``monotonic`` seconds that never go back.
    """

    def __init__(self, url: str, per_minute: int, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._host = require_url(url)
        self._url, self._per_minute, self._monotonic, self._wall = url, per_minute, monotonic, wall
        self._asked: deque[float] = deque(maxlen=per_minute)
        self._free_at = 0.0
        self._pause_s = PAUSE_S_MIN
        self._opener = urllib.request.build_opener(_NoRedirects)
        self.fates: dict[str, int] = {"taken": 0, "refused": 0, "away": 0}

    def may_send(self) -> bool:
        """Whether a request may be made now."""
        now = self._monotonic()
        crowded = len(self._asked) == self._per_minute and now - self._asked[0] < 60.0
        return now >= self._free_at and not crowded

    def send(self, payload: Mapping[str, Any]) -> bool:
        """Send once; returns whether the receiver has it."""
        self._asked.append(self._monotonic())
        request = urllib.request.Request(  # noqa: S310 (the scheme was looked at)
            self._url,
            json.dumps(payload, ensure_ascii=False).encode(),
            {"Content-Type": "application/json", "User-Agent": "forestall"},
        )
        try:
            with self._opener.open(request, timeout=ANSWER_S) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as told:
            with told:
                return self._later("refused", f"{self._host} answers {told.code}", told.headers.get("Retry-After"))
        except (OSError, HTTPException, ValueError) as wrong:
            return self._later("away", f"{self._host} cannot be reached: {type(wrong).__name__}", None)
        self.fates["taken"] += 1
        self._pause_s = PAUSE_S_MIN
        return True

    def _later(self, fate: str, why: str, wait: str | None) -> bool:
        self.fates[fate] += 1
        asked_s = retry_after_s(wait, self._wall()) or 0.0
        pause_s = max(self._pause_s, min(asked_s, WAIT_S_MAX))
        if self._pause_s == PAUSE_S_MIN:
            log.warning("alerts wait: %s; tried again in %.0f s", why, pause_s)
        self._free_at = self._monotonic() + pause_s
        self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Alerts go where they were sent and nowhere else: an answer that sends us elsewhere is a refusal."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """No."""
