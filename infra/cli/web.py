"""``forestall web``: the live page, fed from the topics."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from infra import clock
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.observer import Observer
    from infra.web.access import Terms

_EXAMPLES = """\
examples
  forestall web --brokers kafka-1:9092
  forestall web --set web.port=9000

The page only reads. It is served on this machine alone; from elsewhere, reach it through a tunnel. Another address
(web.host) needs a token and TLS: web.token_file, web.tls_cert, web.tls_key."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall web``."""
    parser.epilog = _EXAMPLES


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Serve the page until told to stop."""
    from infra.broker.locate import locate_broker
    from infra.observer import Observer
    from infra.shadow_policies import shadow_policies
    from infra.web.access import terms_of

    terms = terms_of(settings.web)
    with locate_broker(settings) as broker:
        observer = Observer(broker.bootstrap, shadows=shadow_policies(settings, broker.bootstrap))
        observer.start()
        try:
            asyncio.run(_serve(options, settings, terms, observer, broker.bootstrap))
        finally:
            observer.stop()
    return 0


async def _serve(
    options: argparse.Namespace, settings: Settings, terms: Terms, observer: Observer, bootstrap: str
) -> None:
    from infra.cli.options import report
    from infra.kept_settings import policy_in_use
    from infra.metrics.health import Health, Turned, turning
    from infra.metrics.readers import broken, judged, lacking_of, reading
    from infra.metrics.scrape import Metrics
    from infra.metrics.serving import Page, served
    from infra.status.replaying import replay_of
    from infra.web.feed import Feed
    from infra.web.looking import inquiries
    from infra.web.serve import serve

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    about = {"title": f"the topics at {bootstrap}", "phase": ""}
    policy = policy_in_use(settings, bootstrap)
    feed = Feed(observer, lambda: about, policy, clock.now, clock.monotonic)
    turned = Turned(clock.monotonic)
    metrics = Metrics(observer, policy, replay_of(settings, bootstrap), clock.monotonic)
    asked = inquiries(settings, bootstrap, observer)
    page = await serve(feed, terms, settings.web.port, metrics.text, asked)
    if page.moved:
        print(f"forestall: port {settings.web.port} is taken; the page is on {page.port}", file=sys.stderr)
    told = [f"the live page: {page.url} (Ctrl-C ends it); for Prometheus: {page.url}/metrics"]
    report(options, {"url": page.url, "metrics": f"{page.url}/metrics"}, told)
    health = Health(
        lambda: clock.monotonic() - turned.at,
        lambda: lacking_of(observer.state(), settings.metrics.stale_s),
        lambda: broken(observer.state()),
    )
    with served(settings.metrics, Page("web", health, [reading(observer.state), judged(metrics.found)])):
        await turning(stop, turned)
    await page.stop()
