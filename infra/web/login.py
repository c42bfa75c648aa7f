"""The login form: the one thing that is posted, and it changes nothing but who may look."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from infra.web.access import SESSION_S, Doorkeeper

LOGIN: Final = "/login"
FORM: Final = Path(__file__).parent / "page" / "login" / "login.html"
#: The prefix makes a browser refuse the cookie of anybody but this very host, over TLS.
SECURE_COOKIE: Final = "__Host-forestall"
PLAIN_COOKIE: Final = "forestall"
WRONG: Final = '<p id="wrong" role="alert">That is not the token.</p>'


def cookie_of(request: web.Request) -> str | None:
    """The session that a request names."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(PLAIN_COOKIE)


def add_login(app: web.Application, door: Doorkeeper, *, secure: bool) -> None:
    """Serve the form, and take the token that it sends; ``secure`` where TLS carries it."""

    async def form(_: web.Request) -> web.StreamResponse:
        return _form("")

    async def enter(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise web.HTTPForbidden(text="the form of another site is not taken\n")
        if door.busy():
            raise web.HTTPTooManyRequests(
                text="a wrong token was shown just now: wait a second\n", headers={"Retry-After": "1"}
            )
        session = door.admit(str((await request.post()).get("token", "")).strip())
        if session is None:
            return _form(WRONG, status=401)
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.set_cookie(
            SECURE_COOKIE if secure else PLAIN_COOKIE,
            session,
            max_age=int(SESSION_S),
            path="/",
            httponly=True,
            secure=secure,
            samesite="Strict",
        )
        return answer

    app.router.add_get(LOGIN, form)
    app.router.add_post(LOGIN, enter)


def _form(said: str, status: int = 200) -> web.Response:
    text = FORM.read_text(encoding="utf-8").replace("<!-- said -->", said)
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
