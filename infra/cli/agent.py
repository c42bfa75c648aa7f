"""``forestall agent``: the cluster agent of one node, in the foreground until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.errors import Unreachable, WrongUse

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.executors import Executor
    from infra.agent.job_spec import JobSpec
    from infra.settings import Settings

EPILOG = """\
The job file says what may run on this node; nothing from Kafka becomes a command line:

  [jobs.demo]
  command = ["/opt/train/bin/python", "train.py"]
  world = 4

examples
  forestall agent --node n3 --job-spec jobs.toml --rank 3 --brokers kafka-1:9092
  forestall agent --node n9 --job-spec jobs.toml --spare
  forestall agent --node n9 --job-spec jobs.toml --return"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``forestall agent``."""
    parser.epilog = EPILOG
    parser.add_argument("--node", required=True, help="the node's name, as in its telemetry")
    parser.add_argument("--job-spec", required=True, type=Path, metavar="FILE", help="TOML: what may run here")
    parser.add_argument("--job", help="the job in that file; needed when it holds several")
    role = parser.add_mutually_exclusive_group(required=True)
    role.add_argument("--rank", type=int, help="start this rank, unless an earlier run knows better")
    role.add_argument("--spare", action="store_true", help="wait until a rank is restored here")
    role.add_argument(
        "--return",
        dest="give_back",
        action="store_true",
        help="you have looked at the node: a quarantine ends, and started again it is a spare; runs nothing",
    )
    parser.add_argument(
        "--executor",
        choices=("process", "dry-run", "script"),
        help="how ranks are run here (default: `kind` under [executor] of that file, else process)",
    )
    parser.add_argument("--directory", type=Path, metavar="DIR", help="what must not be forgotten; one a node")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the cluster agent until it is stopped; what it could not tell it tells when it is started again."""
    import os

    from infra.agent.executor_choice import make_executor
    from infra.agent.job_spec import load_job
    from infra.agent.node_state import hold
    from infra.logs import set_up, speaker

    job = load_job(options.job_spec, options.job)
    if options.rank is not None and not 0 <= options.rank < job.world:
        raise WrongUse(f"--rank {options.rank}: {job.name} has the ranks 0 to {job.world - 1}")
    directory = _directory(options, settings)

    say = speaker(set_up(settings.logs, f"agent {options.node}"), node=options.node)

    def executor() -> Executor:
        hold(directory, options.node)
        return make_executor(options.executor, options.job_spec, directory, options.node, os.environ, say)

    if options.give_back:
        return _give_back(options, directory, executor())
    return _work(options, settings, job, directory, executor, say)


def _work(
    options: argparse.Namespace,
    settings: Settings,
    job: JobSpec,
    directory: Path,
    executor: Callable[[], Executor],
    say: Callable[[str], None],
) -> int:
    import os

    from infra.agent.cluster_agent import ClusterAgent
    from infra.agent.place import Place
    from infra.cli.options import report
    from infra.metrics.watched_agent import watched_agent
    from infra.wiring import keyring_of
    from models.agent_limits import AgentLimits

    keyring = keyring_of(settings, say)
    place = Place(
        node=options.node,
        job=job,
        rank=options.rank,
        directory=directory,
        brokers=_brokers(settings),
        life_s=settings.policy.command_ttl_s,
        environment=os.environ,
        limits=AgentLimits(**settings.agent.model_dump(exclude={"directory"})),
    )
    agent = ClusterAgent(place, executor(), keyring, say)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: agent.stop())
    with watched_agent(settings, place.brokers, agent):
        done = agent.run()
    report(options, done, [f"agent {options.node}: stopped; outcomes {done['outcomes']}"])
    return 0


def _give_back(options: argparse.Namespace, directory: Path, executor: Executor) -> int:
    """End a quarantine, durably; the cluster agent announces the node when it is started next."""
    from connectors.seen_set import SeenSet
    from infra.agent.node_state import SEEN
    from infra.cli.options import report
    from infra.clock import now
    from models.command_protocol import CommandProtocol

    record = executor.record
    if record is not None and executor.state() == "running":
        raise WrongUse(f"rank {record.rank} of {record.job} runs on {options.node}: only what is vacated can return")
    seen = SeenSet(directory / SEEN)
    by = CommandProtocol(options.node, seen.records).quarantined_by
    executor.readmit()
    seen.readmit(now())
    seen.close()
    done = {"node": options.node, "quarantined_by": by.id if by is not None else None, "rank": executor.state()}
    told = f"the quarantine by {by.action} {by.id} is over" if by is not None else "no quarantine held it"
    report(options, done, [f"agent {options.node}: returned; {told}; now start its agent"])
    return 0


def _directory(options: argparse.Namespace, settings: Settings) -> Path:
    if options.directory is not None:
        return Path(options.directory)
    if settings.agent.directory is not None:
        return Path(settings.agent.directory, options.node)
    from platformdirs import user_data_path

    return Path(user_data_path("forestall"), "agents", options.node)


def _brokers(settings: Settings) -> str:
    """Return the user's brokers, which may be away for now, or the embedded one, which must run."""
    if settings.broker.brokers:
        return settings.broker.brokers
    from infra.broker import runs

    serving = runs.all_serving(runs.runs_directory(settings))
    if not serving:
        raise Unreachable("no embedded broker is running: start one by `forestall broker start`, or give --brokers")
    return str(serving[0].bootstrap)
