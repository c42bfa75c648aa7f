"""Where a job's time went: wall time split into buckets, each second in exactly one.

What each bucket is, and what has it when two could:

========== ============================================================================================
waiting    a rank is down and no spare is free
restart    from RESTORE accepted to the rank's first new step; also the job's own start to its first step
migration  from MIGRATE accepted, or an unforeseen failure noticed, to RESTORE accepted
checkpoint training stands still for a checkpoint; ranks overlap, so the longest of a command counts
detection  from an unforeseen failure, or the last word of a job gone silent, until it is noticed
recomputed steps done again, up to the step reached before
degraded   what is beyond the job's own normal pace where a step takes 1.25 times as long or longer
productive the rest
========== ============================================================================================
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from models.job_story import CommandStory, JobStory, job_story
from models.records import Event, NodeFate, Outcome, Progress
from models.spans import PRECEDENCE, Bucket, Span, on_grain, share_out

#: A step this many times slower than the job's median step is degraded.
DEGRADED_FACTOR = 1.25
#: A job of which no rank tells anything for this long (s), or for three steps, has gone silent.
SILENT_S = 10.0
SILENT_STEPS = 3.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Seconds by bucket; they sum to ``wall_s`` exactly."""

    buckets: Mapping[Bucket, float]
    wall_s: float

    @property
    def waste_s(self) -> float:
        """Wall time that was not productive."""
        return self.wall_s - self.buckets["productive"]

    @property
    def downtime_s(self) -> float:
        """Detection, restart, migration and waiting."""
        return sum(self.buckets[name] for name in ("detection", "restart", "migration", "waiting"))

    @property
    def ettr(self) -> float:
        """Effective training time ratio: productive / wall; 1 for a job that has not begun."""
        return self.buckets["productive"] / self.wall_s if self.wall_s > 0 else 1.0


def ledger(events: Iterable[Event], job: str) -> Ledger:
    """Split the wall time of ``job``: from its first running member or progress to its last event.

    Parameters
    ----------
    events:
        Of any jobs, in any order; duplicates count once.
    """
    story = job_story(events, job)
    if story.first_at is None or story.last_at is None:
        return Ledger(dict.fromkeys(PRECEDENCE, 0.0), 0.0)
    start, end = story.first_at, story.last_at
    buckets = share_out(_spans(story, start, end), start, end)
    return Ledger(buckets, on_grain(end) - on_grain(start))


@dataclass(frozen=True, slots=True)
class JobSummary:
    """How far a job came, and what it did twice. ``lost_steps`` are those that were done again."""

    steps: int
    restarts: int
    resumed_from_step: int
    lost_steps: int


def job_summary(events: Iterable[Event], job: str) -> JobSummary:
    """Return steps reached, ranks restored, the step of the last restore, and the steps done again."""
    story = job_story(events, job)
    words: list[tuple[float, int, int]] = [(one.at, 1, one.step) for one in story.progress]
    for migrate in story.of("MIGRATE"):
        if migrate.done is not None and migrate.done.step is not None:
            words.append((migrate.done.at, 1, migrate.done.step))
    restored = [one.done for one in story.of("RESTORE") if one.done is not None]
    words += [(one.at, 0, one.step or 0) for one in restored]
    steps = reached = resumed = lost = 0
    for _, kind, step in sorted(words):
        if kind == 1:
            reached = max(reached, step)
            steps = max(steps, step)
        else:
            lost, resumed, reached = lost + max(0, reached - step), step, step
    return JobSummary(steps, len(restored), resumed, lost)


def _spans(story: JobStory, start: float, end: float) -> Iterator[Span]:
    if story.progress:
        yield Span("restart", start, story.progress[0].at)
    yield from _checkpoints(story)
    downs = [*_migrations(story, end), *_failures(story, end)]
    for down in downs:
        yield from _without_spare(story, down)
    yield from (down.span for down in downs)
    yield from _detections(story, end)
    yield from _restarts(story, end)
    yield from _silences(story, end)
    yield from _recomputations(story)
    yield from _slowness(story)


def _checkpoints(story: JobStory) -> Iterator[Span]:
    for command in story.of("CHECKPOINT"):
        blocked = [(one.seconds, one.at) for one in command.outcomes if one.stage == "staged" and one.seconds]
        if blocked:
            seconds, at = max(blocked)
            yield Span("checkpoint", at - seconds, at)


@dataclass(frozen=True, slots=True)
class Down:
    """A rank is being moved, and does not run from ``since`` on (None: it never stopped)."""

    span: Span
    since: float | None


def _migrations(story: JobStory, end: float) -> Iterator[Down]:
    for command in story.of("MIGRATE"):
        begun = command.accepted_at
        if begun is None:
            continue
        done_at = command.at("done")
        until = command.ended_at if done_at is None else _restored_at(story, done_at)
        yield Down(Span("migration", begun, end if until is None else until), done_at)


def _restored_at(story: JobStory, after: float) -> float | None:
    """Return when the next RESTORE was accepted."""
    accepted = (one.accepted_at for one in story.of("RESTORE"))
    return min((at for at in accepted if at is not None and at >= after), default=None)


def _failures(story: JobStory, end: float) -> Iterator[Down]:
    for fate in _lost_ranks(story):
        until = _restored_at(story, fate.at)
        yield Down(Span("migration", _noticed_at(story, fate, end), end if until is None else until), fate.at)


def _lost_ranks(story: JobStory) -> Iterator[NodeFate]:
    for fate in story.fates:
        if fate.state == "failed" and story.running_at(fate.node, fate.at) is not None:
            yield fate


def _noticed_at(story: JobStory, fate: NodeFate, end: float) -> float:
    """Return when a failure was known: at once if an incident was open, else at the first sign of a reaction."""
    before = [one for one in story.incidents if one.node == fate.node and one.at <= fate.at]
    if before and before[-1].state != "closed":
        return fate.at
    signs = [one.at for one in story.incidents if one.node == fate.node and one.at > fate.at]
    signs += [one.outcomes[0].at for one in story.of("RESTORE") if one.outcomes[0].at >= fate.at]
    return min(signs, default=end)


def _detections(story: JobStory, end: float) -> Iterator[Span]:
    for fate in _lost_ranks(story):
        yield Span("detection", fate.at, _noticed_at(story, fate, end))


def _without_spare(story: JobStory, down: Down) -> Iterator[Span]:
    """The parts of a standstill, from when it was noticed on, in which no spare is free."""
    if down.since is None:
        return
    begun, until = max(down.since, down.span.start), down.span.end
    states: dict[str, str] = {}
    changes: list[tuple[float, str, str]] = [(one.at, one.node, one.state) for one in story.memberships]
    changes += [(one.at, one.node, "failed") for one in story.fates if one.state == "failed"]
    for at, node, state in [*sorted(changes), (until, "", "")]:
        if "spare" not in states.values():
            yield Span("waiting", begun, min(at, until))
        states[node] = state
        begun = max(begun, at)


def _restarts(story: JobStory, end: float) -> Iterator[Span]:
    for command in story.of("RESTORE"):
        accepted_at = command.accepted_at
        if accepted_at is not None:
            yield Span("restart", accepted_at, min(_first_step_at(story, command, accepted_at), end))


def _first_step_at(story: JobStory, command: CommandStory, accepted_at: float) -> float:
    """Return when the restored rank told of its first new step, or when the command ended if that came first."""
    node = command.outcomes[0].node
    told = (one.at for one in story.progress if one.node == node and one.at > accepted_at)
    ended = command.ended_at
    return min(next(told, float("inf")), float("inf") if ended is None else ended)


def _silences(story: JobStory, end: float) -> Iterator[Span]:
    words = [(one.at, one.step_s) for one in story.progress]
    for (at, step_s), (following_at, _) in pairwise([*words, (end, 0.0)]):
        if following_at - at > max(SILENT_S, SILENT_STEPS * step_s):
            yield Span("detection", at + step_s, following_at)


def _recomputations(story: JobStory) -> Iterator[Span]:
    restored = [at for at in (one.accepted_at for one in story.of("RESTORE")) if at is not None]
    left = [one.done for one in story.of("MIGRATE") if one.done is not None]
    for rank in sorted({one.rank for one in story.progress}):
        words = [one for one in story.progress if one.rank == rank]
        yield from _done_again(words, restored, left)


def _done_again(words: list[Progress], restored: list[float], left: list[Outcome]) -> Iterator[Span]:
    """What one rank did again: from where it resumed until the step that it had reached before.

    ``restored`` are the times at which any rank was restored, ``left`` the words of those that were taken from their
    nodes: they tell of steps that no progress told of.
    """
    reached = words[0].step
    for before, word in pairwise(words):
        if word.step < before.step:
            reached = max([reached, *(one.step or 0 for one in left if before.at <= one.at <= word.at)])
        if min(before.step, word.step) < reached:
            begun = max([before.at, *(at for at in restored if at <= word.at)])
            beyond = max(0, word.step - reached) * word.step_s
            yield Span("recomputed", begun, word.at - beyond)
        reached = max(reached, word.step)


def _slowness(story: JobStory) -> Iterator[Span]:
    """What the lowest rank's steps took beyond the job's median, where that is much; ranks go in step."""
    paces = [one.step_s for one in story.progress if one.step_s > 0]
    if not paces:
        return
    normal_s = statistics.median_low(paces)
    lowest = min(one.rank for one in story.progress)
    for before, word in pairwise([one for one in story.progress if one.rank == lowest]):
        if word.step_s >= DEGRADED_FACTOR * normal_s:
            passed = word.at - before.at
            yield Span("degraded", word.at - passed * (1.0 - normal_s / word.step_s), word.at)
