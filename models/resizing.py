"""Going on smaller where a job would wait for a spare, and growing back: RESIZE (decision record 025).

::

    a rank is lost, no spare ─▶ RESIZE(ranks that go on) ─ done ─▶ smaller ─ spares, CHECKPOINT ─▶ RESIZE + RESTORE
                                        └─ a rank falls out ─▶ its new number is lost: a spare, or smaller still

Ranks have new numbers once the RESIZE has ended. Until then what its nodes tell of either numbering changes nothing,
and no other command is begun for the job but the RESTORE of a rank of the new numbering.
"""

from __future__ import annotations

from dataclasses import replace

from models.brakes.breaker import goes_out
from models.brakes.gate import paused
from models.brakes.state import Hold
from models.brakes.storm import storm_text
from models.flights import End, failure_text, fallen_ranks
from models.job import FAILURES_MAX, TRIES_MAX, InFlight, Job, Place, Rescue, Resizing, Stray
from models.prices import checkpoint_numbers, expected_loss_s, growth_pays, may_shrink
from models.records import Membership
from models.recovery.resize import whole_replicas
from models.rescue import DOWN, NO_SPARE, fresh, lose
from models.saving import gap_passed, order_checkpoint, told
from models.spares import lacking, spares_of
from models.strays import fell_behind
from models.turn import Turn

GROW = "grow back to the size that the job had"
SURPLUS = "it fills no whole replica of the smaller job"
STRAY = "nobody came along to the world that it was to join"
SAVE_TO_GROW = f"save first, then {GROW}"


def old_numbering(job: Job, event: Membership) -> bool:
    """Whether a word that a node runs a rank is of a RESIZE under way, or of a numbering that is no more."""
    place = job.places.get(event.node)
    if job.resizing is not None and event.node in job.resizing.nodes:
        known = place is not None and (event.rank, event.world) == (place.rank, place.world)
        return known or event.world == job.resizing.world
    stray = place is None or place.state != "running"
    return job.full_world is not None and stray and event.world is not None and event.world != job.world


def go_on_smaller(turn: Turn, job: Job) -> None:
    """Without a spare for a lost rank go on with whole replicas of what runs, if the job declares that it may."""
    lost = [rescue for rescue in job.rescues.values() if rescue.phase == "lost"]
    if job.resizing is not None or job.saved is None or job.replica_nodes is None or job.resizes >= TRIES_MAX:
        return
    if not lacking(job) or not may_shrink(job, turn.state.settings, 0) or _moving(job):
        return
    if paused(turn, job) is None:
        _shrink(turn, job, lost, job.replica_nodes)


def _shrink(turn: Turn, job: Job, lost: list[Rescue], replica_nodes: int) -> None:
    """The ranks that run, and the spares that there are, make as many whole replicas as they can."""
    reserved = [rescue.spare for rescue in lost if rescue.spare is not None]
    world = whole_replicas(len(job.ranks) + len(reserved), replica_nodes)
    staying = _staying(turn, job, world)
    joining = reserved[: world - len(staying)]
    surplus = [node for node, place in job.places.items() if place.state == "running" and node not in staying]
    full = job.full_world or job.world or world
    for rescue in lost:
        if rescue.hold == Hold(NO_SPARE, turn.clock):
            rescue.hold = None  # not waited for: this is what is done about it
        rescue.wait(None, turn.clock)
        rescue.spare = None
    without = ", ".join(str(rescue.rank) for rescue in lost[len(joining) :])
    failures = tuple(dict.fromkeys(failure for rescue in lost for failure in rescue.failures))[-FAILURES_MAX:]
    rule = told(f"go on with {world} of {full} ranks: {NO_SPARE} for rank {without}", failures)
    numbers = checkpoint_numbers(job, turn.state.settings, turn.at)
    numbers |= {"world": float(world), "full_world": float(full)}
    numbers |= {"min_nodes": float(job.min_nodes or 1), "replica_nodes": float(replica_nodes)}
    numbers["waited_s"] = max(0.0, turn.at - min(rescue.begun_at for rescue in lost))
    evidence = tuple(dict.fromkeys(one for rescue in lost for one in rescue.evidence))
    job.full_world = full
    _resize(turn, job, staying, joining, world, rule, numbers, evidence)
    if job.resizing is not None:
        job.resizing = replace(job.resizing, surplus=tuple(surplus))
    for rescue in lost:
        rescue.failures = ()


def _moving(job: Job) -> bool:
    """Whether a rank is on its way from or to a node, so that its number must not change."""
    return any(flight.action in {"MIGRATE", "RESTORE"} and not flight.late for flight in job.in_flight.values())


def _staying(turn: Turn, job: Job, world: int) -> list[str]:
    """Return the nodes that go on, by rank: those of least expected loss where not all fill whole replicas."""
    running = {place.rank: node for node, place in job.places.items() if place.state == "running"}

    def risk(rank: int) -> tuple[float, float, int]:
        keys = [key for key, incident in job.incidents.items() if incident.node == running[rank]]
        losses = [expected_loss_s(job, key, turn.state.settings, turn.at) for key in keys]
        return max(losses, default=0.0), max((job.incidents[key].probability for key in keys), default=0.0), rank

    return [running[rank] for rank in sorted(sorted(job.ranks, key=risk)[:world])]


def _resize(
    turn: Turn,
    job: Job,
    nodes: list[str],
    joining: list[str],
    world: int,
    rule: str,
    numbers: dict[str, float],
    evidence: tuple[str, ...],
) -> None:
    """Every rank on ``nodes`` begins anew from the last durable checkpoint, and those on ``joining`` with them."""
    if job.saved is None:
        return
    for flight in list(job.in_flight.values()):
        if flight.action == "CHECKPOINT" and flight.failure is None:
            flight.failure = "the job is resized"
        elif flight.action == "RESTORE":  # a late one, of a number that is no more
            del job.in_flight[flight.id]
    command = turn.issue(
        job,
        "RESIZE",
        rule,
        numbers,
        evidence=evidence,
        ranks=tuple(job.places[node].rank or 0 for node in nodes),
        step=job.saved.step,
        world=world,
        nodes=tuple(nodes),
    )
    job.resizing = Resizing(command=command, nodes=tuple(nodes), world=world)
    job.paces.clear()
    job.hold = None
    for rank, node in enumerate(joining, start=len(nodes)):
        key = f"joins-{command}-{node}"
        rescue = Rescue(key=key, incident=None, node=node, rank=rank, begun_at=turn.at, phase="restoring", spare=node)
        rescue.joins = True
        rescue.command = turn.issue(
            job, "RESTORE", rule, numbers, evidence=evidence, node=node, ranks=(rank,), step=job.saved.step, world=world
        )
        job.rescues[key] = rescue


def _release(turn: Turn, job: Job, node: str, rank: int, rule: str) -> None:
    """A healthy node with nothing to do in the job leaves it, and is at hand when it grows back."""
    if job.saved is None:
        return
    numbers = {"replica_nodes": float(job.replica_nodes or 1)}
    command = turn.issue(job, "MIGRATE", rule, numbers, node=node, ranks=(rank,), step=job.saved.step)
    job.in_flight[command].surplus = True
    job.places[node] = Place("vacated", turn.at, left="surplus")
    for rescue in [one for one in job.rescues.values() if one.node == node and one.phase not in DOWN]:
        del job.rescues[rescue.key]  # that of a rank which was lost there before goes on


def resize_ended(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """The ranks have their new numbers; those that did not come along are lost. If none did, nothing has changed."""
    plan = job.resizing
    if plan is None or plan.command != flight.id:
        plan = _belated(job, flight, end)
    if plan is None:
        return
    job.resizing = None
    fallen = [] if end == "done" else list(fallen_ranks(flight, end))
    if fallen and len(fallen) == len(flight.ranks):
        _came_to_nothing(turn, job, plan, failure_text(flight, end))
        return
    job.resizes = 0
    for node in plan.surplus:
        if (rank := job.rank_on(node)) is not None:
            _release(turn, job, node, rank, SURPLUS)
    before = dict(job.places)
    _renumber(turn, job, plan, flight.ranks)
    for rank in fallen:
        node = flight.nodes[flight.ranks.index(rank)]
        refused = flight.stages.get(rank) in {"expired", "rejected"}
        fell_behind(turn, job, node, before.get(node), refused=refused)
        _fell(turn, job, plan, node, failure_text(flight, end))
    if job.full_world is not None and plan.world >= job.full_world:
        job.full_world = None


def _came_to_nothing(turn: Turn, job: Job, plan: Resizing, why: str) -> None:
    """No rank came along: the old numbers hold, and nodes that were to join a world that is not are let go again."""
    job.resizes += 1
    strays = {
        node: place.rank or 0
        for node, place in job.places.items()
        if place.state == "running" and place.world == plan.world and node not in plan.nodes
    }
    for rescue in list(job.rescues.values()):
        if rescue.joins:
            job.in_flight.pop(rescue.command or "", None)
            del job.rescues[rescue.key]
            strays[rescue.node] = rescue.rank
        elif rescue.phase in DOWN:
            rescue.failures = (*rescue.failures, why)[-FAILURES_MAX:]
    for node, rank in strays.items():
        job.places[node] = Place("failed", turn.at)
        if turn.state.brakes.opted_out(node) is None:
            _release(turn, job, node, rank, STRAY)
        else:
            job.strays[node] = Stray(rank, plan.world, turn.clock)  # ended once it is opted in again


def _belated(job: Job, flight: InFlight, end: End) -> Resizing | None:
    """Return what a RESIZE that was given up as silent has done after all: every rank told so, and none moved since.

    One like it that was ordered meanwhile is over with it: agents whose ranks have their new numbers pass it over.
    """
    if end != "done" or flight.world is None:
        return None
    again = job.resizing
    if again is not None and (again.nodes, again.world) != (flight.nodes, flight.world):
        return None
    for new, (node, old) in enumerate(zip(flight.nodes, flight.ranks, strict=True)):
        if job.rank_on(node) not in {old, new}:
            return None
    if again is not None:
        del job.in_flight[again.command]
    return Resizing(command=flight.id, nodes=flight.nodes, world=flight.world)


def _renumber(turn: Turn, job: Job, plan: Resizing, before: tuple[int, ...]) -> None:
    """Give each node of the plan its new rank; what was lost before it is no rank of the new world.

    Not even where it was lost on a node that goes on, and ran another rank by then: ``before`` are the ranks it had.
    """
    for rank, node in enumerate(plan.nodes):
        known = job.places.get(node)
        if known is not None and known.state == "running":
            job.places[node] = Place("running", max(turn.at, known.at), rank, plan.world)
    old = set(zip(plan.nodes, before, strict=True))
    for key, rescue in list(job.rescues.items()):
        if (rescue.node, rescue.rank) in old:
            rescue.rank = plan.nodes.index(rescue.node)
        elif not rescue.joins:
            del job.rescues[key]
        rescue.joins = False
    job.size = plan.world  # another RESIZE may begin at once, and come to nothing


def _fell(turn: Turn, job: Job, plan: Resizing, node: str, why: str) -> None:
    """A node did not come along: its rank of the new numbering is lost, and it itself is out until it tells anew."""
    if job.rank_on(node) is not None:
        job.places[node] = Place("failed", turn.at)
        goes_out(turn.state, node, turn.clock)
    rescue = next((one for one in job.rescues.values() if one.node == node), None)
    if rescue is None:
        key = f"resized-{plan.command}-{node}"
        rescue = Rescue(key=key, incident=None, node=node, rank=plan.nodes.index(node), begun_at=turn.at)
        job.rescues[key] = rescue
    if rescue.phase not in {"lost", "restoring"}:
        rescue.failures = (*rescue.failures, why)
        lose(turn, job, rescue)


def grow_back(turn: Turn, job: Job) -> None:
    """A job that was made smaller takes spares in when they fill a replica and that pays: CHECKPOINT, then RESIZE."""
    if job.full_world is not None and job.whole and len(job.ranks) >= job.full_world and job.resizing is None:
        job.full_world = job.hold = None
    full, settings = job.full_world, turn.state.settings
    if full is None or job.resizing is not None or job.growing is not None or job.replica_nodes is None:
        return
    if not settings.allows("migrate") or _busy(job) or not job.whole or job.step is None:
        return
    why = _held(turn, job, full)
    if why is None and _pays(turn, job, full):
        if fresh(turn, job):
            _grow(turn, job, full)
        elif job.checkpoint_in_flight is None and gap_passed(turn, job):
            job.growing = order_checkpoint(turn, job, told(f"{settings.checkpoint}: {SAVE_TO_GROW}", ()))
        why = f"a durable checkpoint to grow back to {full} ranks from"
    if job.resizing is None and (job.hold is None or job.hold.why != why):
        job.hold = None if why is None else Hold(why, turn.clock)


def _busy(job: Job) -> bool:
    return _moving(job) or job.down or any(rescue.phase == "migrating" for rescue in job.rescues.values())


def _held(turn: Turn, job: Job, full: int) -> str | None:
    """Return what a job that was made smaller waits for, None when it may grow."""
    if (pause := paused(turn, job)) is not None:
        return pause
    if job.storm.since is not None:
        return storm_text(turn.state.settings)
    if job.grow_after is not None and turn.clock < job.grow_after:
        return f"grows back to {full} ranks not before a cool-down, for the last checkpoint for it failed"
    replica = job.replica_nodes or 1
    if _more(turn, job, full) <= 0:
        return f"{replica} more of {full - len(job.ranks)} nodes, to grow back to {full} ranks"
    return None


def _more(turn: Turn, job: Job, full: int) -> int:
    there = min(full, len(job.ranks) + len(spares_of(turn, job)))
    return whole_replicas(there, job.replica_nodes or 1) - len(job.ranks)


def _pays(turn: Turn, job: Job, full: int) -> bool:
    return growth_pays(job, turn.state.settings, _more(turn, job, full), full)


def growth_saved(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """The checkpoint that a job grows from is durable; or it is not, and growing waits for a cool-down."""
    if job.growing != flight.id:
        return
    job.growing = None
    if end != "durable":
        job.grow_after = turn.clock + turn.state.settings.cool_down_s
        return
    full = job.full_world
    free = full is not None and job.resizing is None and not _busy(job) and job.whole
    if full is not None and free and _held(turn, job, full) is None:
        _grow(turn, job, full)


def _grow(turn: Turn, job: Job, full: int) -> None:
    """Every rank begins anew in the larger world, and the spares with them."""
    before, more = len(job.ranks), _more(turn, job, full)
    world, joining = before + more, spares_of(turn, job)[:more]
    numbers = checkpoint_numbers(job, turn.state.settings, turn.at)
    numbers |= {"world": float(world), "full_world": float(full)}
    _resize(turn, job, _staying(turn, job, before), joining, world, GROW, numbers, ())
