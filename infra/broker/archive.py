"""The archive of loaded classes from which Kafka starts fast: made once, by a broker that is run for its first seconds.

A start takes 0.7 s with it in place of 2.0 (two cores). Where it cannot be made, the broker starts without it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from connectors.errors import ForestallError
from infra.broker import server
from infra.broker.java import KAFKA, java_command, make_archive
from infra.broker.processes import Say, end_process, spawn_guarded, wait_until_ready

MAKE_S = 120.0
RECORDS = 2_000


def ensure_archive(
    archive: Path, class_path: Sequence[Path], say: Say, make: Callable[[Path, Sequence[Path]], None]
) -> None:
    """Have ``make`` make the archive where it is not there; once it failed it is not tried again."""
    if archive.exists():
        return
    say("making the archive that lets Kafka start fast (once)")
    try:
        make(archive, class_path)
    except (ForestallError, OSError, RuntimeError, subprocess.SubprocessError) as fault:
        say(f"it could not be made ({fault}); each start takes some seconds longer")
        archive.mkdir(parents=True, exist_ok=True)  # a folder of its name stands for "tried", and is never used


def make_by_rehearsal(archive: Path, class_path: Sequence[Path]) -> None:
    """Run a broker through its first seconds, and have the JVM keep what it loaded; it does so as it ends."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="rehearsal-") as temporary:
        folder = Path(temporary)
        fresh, log = folder / "start.aot", folder / "broker.log"
        port = server.choose_port(0)
        settings_file = server.prepare(folder, port, class_path, archive.parent / "formatted")
        command = java_command(class_path, make_archive(fresh), KAFKA, str(settings_file))
        process, _ = spawn_guarded(command, log, patience_s=MAKE_S)
        try:
            wait_until_ready(f"{server.HOST}:{port}", process, log)
            rehearse(f"{server.HOST}:{port}")
        finally:
            end_process(process, patience_s=MAKE_S)
        fresh.replace(archive)


def rehearse(bootstrap: str) -> None:
    """Create the topics, write some records and read them as a member of a group."""
    from kafka import KafkaConsumer, KafkaProducer

    from connectors.kafka.admin import admin_client, apply_topics
    from connectors.kafka.topic_specs import topic_specs
    from connectors.kafka.topics import TELEMETRY

    specs = topic_specs(partitions=2, replication=1, telemetry_retention_h=24, control_retention_d=14)
    with admin_client(bootstrap) as client:
        apply_topics(client, specs)
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    for number in range(RECORDS):
        producer.send(TELEMETRY, key=b"%d" % (number % 16), value=b"x" * 200)
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(
        TELEMETRY,
        bootstrap_servers=bootstrap,
        group_id="rehearsal",
        auto_offset_reset="earliest",
        consumer_timeout_ms=5000,
    )
    for number, _ in enumerate(consumer, start=1):
        if number == RECORDS:
            break
    consumer.commit()
    consumer.close()
