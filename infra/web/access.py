"""Who may see the page: this machine by its own name, or who shows the token.

The token comes in the ``Authorization`` header, or once in a form; then a cookie that no script can read stands for it.
The cookie is not the token: it names a session of this process, and both end together.
"""

from __future__ import annotations

import hmac
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from connectors.errors import WrongUse
from infra.settings import Web

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
TOKEN_CHARS_MIN: Final = 24
TOKEN_CHARS_MAX: Final = 4096
SESSIONS_MAX: Final = 64
SESSION_S: Final = 12 * 3600.0
#: After a wrong token nobody may try again for this long, so a token is not found by trying.
PATIENCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a certificate chain and its key."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms the page is served: without a token on this machine alone."""

    host: str
    token: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK


def terms_of(web: Web) -> Terms:
    """Read the settings; raises :class:`WrongUse` with all that is missing for that address."""
    token_file, cert, key = web.token_file, web.tls_cert, web.tls_key
    given = {"web.token_file": token_file, "web.tls_cert": cert, "web.tls_key": key}
    missing = [name for name, value in given.items() if value is None]
    if web.host not in LOOPBACK and missing:
        raise WrongUse(
            f"web.host={web.host!r} can be reached by others, so it needs {', '.join(missing)} too; without them the "
            f"page is served on this machine only ({', '.join(LOOPBACK)}); reach it from elsewhere through a tunnel, "
            f"for example ssh -L {web.port}:127.0.0.1:{web.port}"
        )
    if (cert is None) != (key is None):
        raise WrongUse(
            f"web.tls_cert and web.tls_key go together: {'web.tls_key' if key is None else 'web.tls_cert'} is missing"
        )
    return Terms(
        web.host,
        None if token_file is None else read_token(token_file),
        None if cert is None or key is None else Tls(cert, key),
    )


def read_token(path: Path) -> str:
    """The token in a file that its owner alone can read; raises :class:`WrongUse`."""
    try:
        mode = path.stat().st_mode
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as wrong:
        raise WrongUse(f"web.token_file={str(path)!r} cannot be read: {wrong}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise WrongUse(f"web.token_file={str(path)!r} can be read by others: chmod 600 {path}")
    if not TOKEN_CHARS_MIN <= len(token) <= TOKEN_CHARS_MAX or not token.isprintable() or " " in token:
        raise WrongUse(
            f"web.token_file={str(path)!r} holds no token of at least {TOKEN_CHARS_MIN} characters without blanks; "
            f"make one: (umask 077; openssl rand -hex 32 > {path})"
        )
    return token


class Doorkeeper:
    """Judges tokens and sessions; everything is compared in constant time."""

    def __init__(self, token: str, monotonic: Callable[[], float]) -> None:
        self._token = token.encode()
        self._monotonic = monotonic
        self._sessions: dict[str, float] = {}
        self._next_try = float("-inf")

    def knows(self, authorization: str | None, cookie: str | None) -> bool:
        """Whether the header of a request, or its cookie, lets it in."""
        if authorization is not None:
            kind, _, token = authorization.partition(" ")
            return kind.lower() == "bearer" and self._right(token.strip())
        return cookie is not None and self._session(cookie)

    def busy(self) -> bool:
        """Whether a wrong token was shown just now."""
        return self._monotonic() < self._next_try

    def admit(self, token: str) -> str | None:
        """A new session for who shows the token; None for a wrong one, and then nobody may try for a moment."""
        if not self._right(token):
            self._next_try = self._monotonic() + PATIENCE_S
            return None
        now = self._monotonic()
        self._sessions = {name: until for name, until in self._sessions.items() if until > now}
        while len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        session = secrets.token_urlsafe(32)
        self._sessions[session] = now + SESSION_S
        return session

    def _right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(errors="replace"), self._token)

    def _session(self, cookie: str) -> bool:
        now, found = self._monotonic(), False
        for session, until in self._sessions.items():
            found |= hmac.compare_digest(cookie.encode(errors="replace"), session.encode()) and until > now
        return found
