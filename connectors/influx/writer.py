"""One write to InfluxDB 2, and what its answer means. Nothing is held back here: each call is one request, or a few.

What the documented answers of ``POST /api/v2/write`` mean for who keeps the lines:

====================  ===========================================================================================
204                   every line is stored; forget them
400                   a line cannot be read and none is stored: halve until it is alone
413                   too much at once: halve
422                   lines are refused (another type than a field has, older than the bucket keeps); others are stored
401, 403, 404         the token, what it may do, or the bucket is wrong: keep everything, ask seldom, say so
429, 503              too much for now: keep everything, ask again after ``Retry-After``
other, or no answer   unknown: keep everything, ask again; a line that is written twice is the same point
====================  ===========================================================================================
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from connectors.errors import WrongUse
from connectors.retry_after import retry_after_s

TIMEOUT_S: Final = 30.0
RETRY_AFTER_S_MAX: Final = 600.0
#: Pauses after answers that say nothing of when to ask again.
PAUSE_S_MIN: Final = 0.5
PAUSE_S_MAX: Final = 30.0
DENIED_S: Final = 30.0
_GZIP_LEVEL: Final = 1
_WORDS: Final = 300
_ANSWER_BYTES_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Address:
    """Where points go: ``http://HOST:PORT``, the organisation and the bucket."""

    url: str
    org: str
    bucket: str

    def parts(self) -> SplitResult:
        """The address in its parts; raises :class:`WrongUse` for what is none."""
        with suppress(ValueError):
            parts = urlsplit(self.url.rstrip("/"))
            if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
                return parts
        raise WrongUse(f"influx.url {self.url!r} is no address; write http://HOST:PORT")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status (0: there was no answer), the server's own words, and in how many seconds it wants to be asked again."""

    status: int
    words: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Lines that InfluxDB will never take, and why."""

    lines: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of lines: so many are stored, and these never will be."""

    written: int
    refused: tuple[Refused, ...] = ()

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(self.written + other.written, self.refused + other.refused)


class NotNow(Exception):
    """InfluxDB takes nothing for now: why, when it wants to be asked again, and whether a person has to mend it."""

    def __init__(self, why: str, retry_after_s: float | None = None, *, denied: bool = False) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s
        self.denied = denied


Post = Callable[[Sequence[str]], Answer]


class InfluxWriter:
    """One connection, kept open; the token is in no message.

    Parameters
    ----------
    address : where points go
    token : gives the token, asked for at each new connection, so that a new one is taken without a restart
    now : Unix seconds, for a ``Retry-After`` that is a date
    """

    def __init__(self, address: Address, token: Callable[[], str], now: Callable[[], float]) -> None:
        self._address, self._token, self._now = address, token, now
        self._parts = address.parts()
        query = urlencode({"org": address.org, "bucket": address.bucket, "precision": "ns"})
        self._target = f"{self._parts.path}/api/v2/write?{query}"
        self._connection: http.client.HTTPConnection | None = None
        self._headers: dict[str, str] = {}

    def post(self, lines: Sequence[str]) -> Answer:
        """Send lines in one request; never raises for what the network or the server does."""
        body = gzip.compress("\n".join(lines).encode(), _GZIP_LEVEL, mtime=0)
        kept_open = self._connection is not None
        answer = self._request(body)
        # A connection that idled is often closed from the other side, which says nothing of the server.
        return self._request(body) if kept_open and answer.status == 0 else answer

    def _request(self, body: bytes) -> Answer:
        try:
            connection = self._connected()
            connection.request("POST", self._target, body, self._headers)
            response = connection.getresponse()
            told = response.read(_ANSWER_BYTES_MAX)
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            return Answer(0, f"{type(fault).__name__}: {fault}")
        if response.status >= 300 or response.will_close:
            self.close()
        return Answer(response.status, _words(told), retry_after_s(response.getheader("Retry-After"), self._now()))

    def close(self) -> None:
        """Let go of the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
            self._headers = {
                "Authorization": f"Token {self._token()}",
                "Content-Type": "text/plain; charset=utf-8",
                "Content-Encoding": "gzip",
                "User-Agent": "forestall",
            }
            self._connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_S)
        return self._connection


def deliver(lines: Sequence[str], post: Post) -> Delivered:
    """Write lines; those that are refused are found, alone.

    Raises
    ------
    NotNow
        Some may be stored and some not; write them all again later, to the same end.
    """
    if not lines:
        return Delivered(0)
    answer = post(lines)
    match answer.status:
        case 204:
            return Delivered(len(lines))
        case 400 | 413 | 422 if len(lines) == 1 or _refuses_all(answer, len(lines)):
            return Delivered(0, (Refused(tuple(lines), f"{answer.status}: {answer.words}"),))
        case 400 | 413 | 422:
            half = len(lines) // 2
            return deliver(lines[:half], post) + deliver(lines[half:], post)
        case 401 | 403 | 404:
            raise NotNow(_cure(answer), answer.retry_after_s, denied=True)
        case 0:
            raise NotNow(f"no answer ({answer.words})")
        case status:
            raise NotNow(f"it answers {status} {answer.words}".rstrip(), answer.retry_after_s)


def pause_s(fault: NotNow, tries: int) -> float:
    """Seconds until the next try: what the server asks for, seldom where a person has to help, else more each time.

    >>> pause_s(NotNow("busy", 7.0), 1), pause_s(NotNow("no token", denied=True), 1)
    (7.0, 30.0)
    >>> [pause_s(NotNow("away"), tries) for tries in (1, 2, 3, 20)]
    [0.5, 1.0, 2.0, 30.0]
    """
    if fault.retry_after_s is not None:
        return min(max(fault.retry_after_s, 0.0), RETRY_AFTER_S_MAX)
    if fault.denied:
        return DENIED_S
    return min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** min(tries - 1, 16))


def _refuses_all(answer: Answer, lines: int) -> bool:
    """Whether a partial write says that it dropped as many as there were."""
    found = re.search(r"dropped[= ](\d+)", answer.words)
    return answer.status == 422 and found is not None and int(found[1]) == lines


def _cure(answer: Answer) -> str:
    cures = {
        401: "it does not know the token: name the file of one that it knows (influx.token_file)",
        403: "the token may not write to that bucket: `forestall influx apply` makes one that may",
        404: "there is no such organisation or bucket (influx.org, influx.bucket): `forestall influx apply` makes them",
    }
    return f"{cures[answer.status]} [{answer.status} {answer.words}]"


def _words(told: bytes) -> str:
    """The server's own words, in one line."""
    try:
        read = json.loads(told)
    except ValueError:
        read = None
    words = read.get("message", read) if isinstance(read, dict) else told.decode(errors="replace")
    return " ".join(str(words).split())[:_WORDS]
