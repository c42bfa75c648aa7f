"""The HTTP API of InfluxDB 2, as far as setting up and looking after it needs: JSON in, JSON out."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from connectors.errors import Failed, Unreachable, WrongUse

TIMEOUT_S = 30.0


class InfluxApi:
    """One server, asked with one token; the token is in no message.

    Parameters
    ----------
    url : ``http://HOST:PORT`` or ``https://…``, with the path of a proxy where there is one.
    token : what the server knows us by.
    """

    def __init__(self, url: str, token: str, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._parts = _address(self.url)
        self._token = token
        self._timeout_s = timeout_s

    def ask(self, method: str, path: str, body: object = None, /, **query: str) -> Any:
        """Return what the server answers, read as JSON; None where it answers nothing.

        Raises
        ------
        Unreachable
            It does not answer.
        WrongUse
            It does not know the token.
        Failed
            It refuses; the message is its own.
        """
        status, answer = self.try_to(method, path, None if body is None else json.dumps(body).encode(), query)
        if status < 300:
            return json.loads(answer) if answer.strip() else None
        told = f"{status} {said(answer)}"
        if status == 401:
            raise WrongUse(
                f"InfluxDB at {self.url} does not know the token ({told}); name the file of one that it knows"
            )
        raise Failed(f"InfluxDB at {self.url} refuses {method} {path}: {told}")

    def try_to(self, method: str, path: str, body: bytes | None, query: Mapping[str, str]) -> tuple[int, bytes]:
        """Return the status and the answer as they come; raises :class:`Unreachable`."""
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        target = f"{self._parts.path}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Token {self._token}", "Content-Type": "application/json"}
        try:
            with closing(kind(self._parts.hostname or "", self._parts.port, timeout=self._timeout_s)) as connection:
                connection.request(method, target, body, headers)
                response = connection.getresponse()
                return response.status, response.read()
        except (OSError, http.client.HTTPException) as fault:
            raise Unreachable(
                f"InfluxDB at {self.url} does not answer: {fault}; is it running, and [influx] url right?"
            ) from None


def said(answer: bytes) -> str:
    """The server's own words of a refusal, in one line."""
    try:
        told = json.loads(answer)
    except ValueError:
        return answer[:200].decode(errors="replace").strip()
    return str(told.get("message", told)) if isinstance(told, dict) else str(told)


def _address(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise WrongUse(f"{url!r} is no address of InfluxDB; write http://HOST:PORT")
    return parts
