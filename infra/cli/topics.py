"""``forestall topics apply|check``: the topics as the settings want them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from connectors.kafka.admin import TopicState, admin_client, apply_topics, check_topics
from connectors.kafka.topic_specs import TopicSpec, topic_specs
from infra.broker.locate import locate_broker
from infra.cli.options import report
from infra.settings import Settings

_EXAMPLES = """\
examples
  forestall topics check --brokers kafka-1:9092
  forestall topics apply --set topics.partitions=8 --set topics.replication=3

A topic that is there with other settings is reported, and never changed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall topics``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("action", choices=("apply", "check"))


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Create or check the topics; 1 when one is missing or differs."""
    with locate_broker(settings) as broker, admin_client(broker.bootstrap) as client:
        act = apply_topics if options.action == "apply" else check_topics
        states = act(client, specs_of(settings))
    good = all(state.state in ("ok", "created") for state in states)
    result = {
        "ok": good,
        "topics": [
            {
                "name": state.name,
                "state": state.state,
                "differences": {key: {"is": pair[0], "should_be": pair[1]} for key, pair in state.differences.items()},
            }
            for state in states
        ],
    }
    report(options, result, lines_of(states))
    return 0 if good else 1


def specs_of(settings: Settings) -> tuple[TopicSpec, ...]:
    """Return the topics that the settings ask for."""
    wanted = settings.topics
    return topic_specs(
        partitions=wanted.partitions,
        replication=wanted.replication,
        telemetry_retention_h=wanted.telemetry_retention_h,
        control_retention_d=wanted.control_retention_d,
    )


def lines_of(states: Sequence[TopicState]) -> Iterator[str]:
    """Yield a line a topic, and one for each difference with the command that changes it."""
    for state in states:
        yield f"{state.state:<8}{state.name}"
        for key, (found, wanted) in state.differences.items():
            yield f"        {key} is {found}, should be {wanted}"
    if any(state.state == "missing" for state in states):
        yield "forestall topics apply creates what is missing"
    if any(state.state == "differs" for state in states):
        yield "what differs is yours to change (kafka-configs, kafka-topics), or say so in the [topics] settings"
