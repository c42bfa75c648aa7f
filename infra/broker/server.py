"""The broker's own settings, the ports it takes, and the format of an empty data folder."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

from connectors.errors import Failed
from infra.broker.java import STORAGE_TOOL, java_command

HOST = "127.0.0.1"
_FORMATTED = ("meta.properties", "bootstrap.checkpoint")
_FIXED = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
num.network.threads=2
num.io.threads=4
background.threads=2
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
auto.create.topics.enable=false
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
offsets.topic.segment.bytes=16777216
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
log.cleaner.dedupe.buffer.size=16777216
log.index.size.max.bytes=1048576
"""


def properties(data: Path, port: int, controller_port: int) -> str:
    """Return the text of ``server.properties`` for a broker on the loopback address alone."""
    return (
        f"{_FIXED}log.dirs={data}\n"
        f"listeners=PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}\n"
        f"advertised.listeners=PLAINTEXT://{HOST}:{port}\n"
        f"controller.quorum.voters=1@{HOST}:{controller_port}\n"
    )


def choose_port(wanted: int) -> int:
    """Return ``wanted`` where it is free on the loopback address, else a free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise Failed(f"no port is free on {HOST}")


def prepare(folder: Path, port: int, class_path: Sequence[Path], template: Path) -> Path:
    """Write the broker's settings into ``folder`` and format its data where that is new; return the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    settings_file, data = folder / "server.properties", folder / "data"
    settings_file.write_text(properties(data, port, choose_port(0)), encoding="utf-8")
    format_data(data, settings_file, template, class_path)
    return settings_file


def format_data(data: Path, settings_file: Path, template: Path, class_path: Sequence[Path]) -> None:
    """Give an empty data folder its identity; Kafka's tool formats the first, later ones are copied from it.

    The copy takes a cluster id of its own, so that no client takes one run for another.
    """
    if (data / _FORMATTED[0]).exists():
        return
    cluster = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    if not all((template / name).exists() for name in _FORMATTED):
        _run_storage_tool(settings_file, cluster, class_path)
        template.mkdir(parents=True, exist_ok=True)
        for name in reversed(_FORMATTED):
            shutil.copyfile(data / name, template / name)
        return
    data.mkdir(parents=True, exist_ok=True)
    for name in reversed(_FORMATTED):
        shutil.copyfile(template / name, data / name)
    identity = data / _FORMATTED[0]
    identity.write_text(re.sub(r"(?m)^cluster\.id=.*$", f"cluster.id={cluster}", identity.read_text()))


def _run_storage_tool(settings_file: Path, cluster: str, class_path: Sequence[Path]) -> None:
    command = java_command(class_path, None, STORAGE_TOOL, "format", "-t", cluster, "-c", str(settings_file))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"the broker's data folder could not be formatted: {(done.stderr or done.stdout).strip()[-500:]}")
