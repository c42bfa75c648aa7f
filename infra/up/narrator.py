"""What a person is told while it happens: one calm line for what matters, nothing for what does not."""

from __future__ import annotations

from collections.abc import Callable

from infra.observer.view import Told, View
from models.records import Assessment, Command, Incident, InventoryModel, Membership, Outcome, Reason

Sentence = tuple[str, str]
_NUMBERS_MAX = 4


def sentence(told: Told, look: Callable[[str], Assessment | None]) -> Sentence | None:
    """``(who, what)`` for a record that says something; None for one that a person need not see.

    Parameters
    ----------
    told : the record
    look : the newest assessment of a node, for the metrics behind an incident
    """
    match told:
        case Incident(history=False, state="opened" | "closed"):
            return told.node, _incident(told, look(told.node))
        case Command():
            return "decided", _command(told)
        case Outcome():
            return _outcome(told)
        case Membership(state="vacated"):
            return told.node, f"runs nothing of {told.job} any more"
        case InventoryModel():
            return "model", f"{told.role}: {'none' if told.digest is None else f'{told.digest[:16]}… is chosen'}"
    return None


def worst_of(view: View) -> Callable[[str], Assessment | None]:
    """A look at the newest assessment of a node."""

    def look(node: str) -> Assessment | None:
        known = view.fleet.nodes.get(node)
        return known.latest() if known else None

    return look


def _incident(incident: Incident, latest: Assessment | None) -> str:
    if incident.state == "closed":
        return f"its incident is closed: P {incident.probability:.2f}"
    if incident.reason == "anomaly":
        return f"behaves unlike itself: anomaly {incident.anomaly or 0.0:.1f} of its threshold{_worst(latest)}"
    what = "begins to fail" if incident.job is not None else "is suspected, and runs no job"
    text = (
        f"{what}: P {incident.probability:.2f} within {incident.horizon_s:.0f} s, deviation {incident.deviation:.1f} σ"
    )
    return text + _worst(latest)


def _worst(latest: Assessment | None) -> str:
    worst = ", ".join(f"{metric} z {z:+.1f}" for metric, z in (latest.worst[:3] if latest else ()))
    return f"; {worst}" if worst else ""


def _command(command: Command) -> str:
    ranks = "rank " + ", ".join(map(str, command.ranks)) if command.ranks else "every rank"
    match command.action:
        case "MIGRATE":
            what = f"MIGRATE {ranks} away from {command.node}" + (f" to {command.spare}" if command.spare else "")
        case "RESTORE":
            what = f"RESTORE {ranks} on {command.node} from step {command.step}"
        case action:
            what = f"{action} {f'on {command.node}' if command.node else f'every rank of {command.job}'}"
    return f"{what} — {_reason(command.reason)}"


def _reason(reason: Reason) -> str:
    numbers = [f"{name} {value:.4g}" for name, value in list(reason.numbers.items())[:_NUMBERS_MAX]]
    return f"{reason.rule} ({', '.join(numbers)})" if numbers else reason.rule


def _outcome(outcome: Outcome) -> Sentence | None:
    who = outcome.node if outcome.rank is None else f"rank {outcome.rank}"
    took = f" after {outcome.seconds:.2f} s" if outcome.seconds is not None else ""
    match outcome.stage, outcome.action:
        case "durable", _:
            return who, f"on {outcome.node}: step {outcome.step} is durable{took}{_size(outcome.bytes)}"
        case "done", "MIGRATE":
            return outcome.node, f"its process is killed, last step {outcome.step}{took}"
        case "done", "RESTORE":
            return who, f"goes on, on {outcome.node}, from step {outcome.step}{took}"
        case (("failed" | "expired" | "rejected"), action):
            return who, f"{action} {outcome.stage}: {outcome.reason or 'no reason given'}"
    return None


def _size(count: int | None) -> str:
    return "" if count is None else f", {count / 1024:.0f} KiB"
