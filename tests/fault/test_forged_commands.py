"""Forged, altered and stale commands on a real broker, before a real agent: no effect, and each has its reason."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from agent_cluster import Cluster, wait_for

from connectors.codecs.records import encode_command
from connectors.signing import FileSealer, KeyFolder
from infra.broker.embedded import Broker
from models.records import Command, Outcome

pytestmark = pytest.mark.broker
EACH = 25
HOUR_S = 3600.0


class Target:
    """A node with a rank and an agent that trusts one key, had trusted another, and does not know a third."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        keys, strange = KeyFolder.at(cluster.directory / "keys"), KeyFolder.at(cluster.directory / "strange")
        first = keys.new(time.time())
        self.revoked = FileSealer(KeyFolder(copied(keys.key, cluster.directory / "old.key"), keys.keyring), print)
        keys.rotate(time.time())
        keys.switch()
        keys.revoke(first.id, time.time())
        strange.new(time.time())
        self.trusted, self.unknown = FileSealer(keys, print), FileSealer(strange, print)
        self.role = ("--rank", "0", "--set", f"signing.keyring={keys.keyring}")
        cluster.start("n0", *self.role)
        cluster.progress(0, 3)
        (self.rank,) = cluster.rank_processes()

    def untouched(self) -> bool:
        """Whether the same rank runs, no checkpoint was written, and the node is no other than it was."""
        (rank,) = self.cluster.rank_processes()
        checkpoints = list((self.cluster.training / "checkpoints").glob("step-*"))
        states = {word.state for word in self.cluster.inventory.read() if word.node == "n0"}
        return rank.pid == self.rank.pid and not checkpoints and states == {"running"}

    def refused(self, claimed: list[Command]) -> list[Outcome]:
        """What was refused in the name of these; an agent that is new reads what other tests wrote, too."""
        names = {repr(one.id) for one in claimed}
        found = [one for one in self.cluster.mine() if isinstance(one, Outcome) and one.command.startswith("refused-")]
        return list({one.id: one for one in found if (one.reason or "").rpartition(" ")[2] in names}.values())


def copied(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    target.chmod(0o600)
    return target


@pytest.fixture
def target(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Target]:
    cluster = Cluster(broker.bootstrap, tmp_path, job=f"forged-{time.time_ns() % 10**9}", world=1, steps=0, step_s=0.05)
    yield Target(cluster)
    cluster.close()


def orders(cluster: Cluster) -> list[Command]:
    """Commands of every kind, each of which would do something."""
    made = [cluster.command("CHECKPOINT", ranks=(0,)) for _ in range(EACH)]
    for number, action in enumerate(("MIGRATE", "DRAIN", "QUARANTINE", "RESIZE") * EACH):
        if number < 3 * EACH:
            made.append(cluster.command(action, node=None if action == "RESIZE" else "n0", ranks=(0,), step=0, world=2))
    return made


def test_a_hundred_forgeries_have_no_effect_and_an_outcome_each_and_the_real_ones_are_carried_out(
    target: Target,
) -> None:
    cluster = target.cluster
    commands = orders(cluster)
    raw = [encode_command(one) for one in commands]
    made = raw[:EACH]
    made += [target.unknown.seal(None, one) for one in raw[EACH : 2 * EACH]]
    made += [target.revoked.seal(None, one) for one in raw[2 * EACH : 3 * EACH]]
    made += [
        target.trusted.seal(None, encode_command(replace(one, generation=one.generation + 500))).replace(
            f'"generation":{one.generation + 500}'.encode(), f'"generation":{one.generation + 501}'.encode()
        )
        for one in commands[3 * EACH :]
    ]
    assert len(set(made)) == 4 * EACH == 100
    cluster.put(*made)
    cluster.put(b"", b"no command at all", b"[" * 5000, made[0][:-9])
    refused = wait_for("a refusal each", lambda: found if len(found := target.refused(commands)) >= len(made) else None)
    assert target.untouched()
    why = Counter((one.reason or "").partition(":")[0].partition(" ")[0] for one in refused)
    print(f"0 effects of {len(made)}; refused: {dict(why)}")
    assert why == {"unsigned": EACH, "unknown-key": EACH, "revoked-key": EACH, "bad-signature": EACH}
    assert {one.stage for one in refused} == {"rejected"}
    for command in commands:
        assert not cluster.outcomes(command), "no outcome is under a claimed name"
        assert any(repr(command.id) in (one.reason or "") for one in refused)

    # the very commands that were forged are still free, and those that were read are not told of again
    real = commands[0]
    cluster.put(target.trusted.seal(None, encode_command(real)))
    cluster.stage(real, "done")
    cluster.kill("n0")
    cluster.start("n0", *target.role)
    cluster.put(*made[:EACH])
    cluster.put(target.trusted.seal(None, encode_command(last := cluster.command("CHECKPOINT"))))
    cluster.stage(last, "done")
    assert len(target.refused(commands)) == len(made)
    log = (cluster.directory / "n0.log").read_text()
    assert log.count("is no command") >= 4
    assert [one.pid for one in cluster.rank_processes()] == [target.rank.pid]


def test_an_hour_of_commands_that_came_while_the_agent_was_down_has_no_stale_effect(target: Target) -> None:
    cluster = target.cluster
    cluster.kill("n0")
    began = time.time() - HOUR_S
    stale = [
        replace(one, issued_at=began + 30.0 * number, expires_at=began + 30.0 * number + 60.0)
        for number, one in enumerate(orders(cluster))
    ]
    cluster.put(*[target.trusted.seal(None, encode_command(one)) for one in stale])
    early = cluster.command("MIGRATE", node="n0", ranks=(0,))
    early = replace(early, issued_at=time.time() + HOUR_S, expires_at=time.time() + HOUR_S + 60.0)
    lasting = replace(cluster.command("MIGRATE", node="n0", ranks=(0,)), expires_at=time.time() + HOUR_S)
    elsewhere = cluster.command("MIGRATE", node="n7", ranks=(0,))
    cluster.put(*[target.trusted.seal(None, encode_command(one)) for one in (early, lasting, elsewhere)])
    cluster.start("n0", *target.role)
    for command in stale:
        cluster.stage(command, "expired")
    assert "ahead" in (cluster.stage(early, "rejected")[0].reason or "")
    assert "live for" in (cluster.stage(lasting, "rejected")[0].reason or "")
    assert not cluster.outcomes(elsewhere)
    stages = Counter(one.stage for command in stale for one in cluster.outcomes(command))
    print(f"a backlog of {len(stale)} commands: {dict(stages)}")
    assert stages == {"received": len(stale), "expired": len(stale)}
    assert target.untouched()


def test_whoever_has_the_key_gets_no_more_than_the_hour_allows(target: Target) -> None:
    """Of fifty valid quarantines in a row six are carried out, and each of the others says why not."""
    cluster = target.cluster
    valid = [cluster.command("QUARANTINE", node="n0", ranks=(0,)) for _ in range(50)]
    cluster.put(*[target.trusted.seal(None, encode_command(one)) for one in valid])
    last = cluster.stage(valid[-1], "rejected")
    assert "agent.disruptions_per_hour is 6" in (last[0].reason or "")
    accepted = [one for one in valid if any(word.stage == "accepted" for word in cluster.outcomes(one))]
    assert len(accepted) == 6
    assert psutil.pid_exists(cluster.rank_processes()[0].pid)
