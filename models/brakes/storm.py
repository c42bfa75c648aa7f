"""A storm of incidents: so many new ones at once on a job's nodes say more of the watcher than of the nodes."""

from __future__ import annotations

from models.brakes.state import Storm
from models.policy_settings import PolicySettings


def one_more(storm: Storm, at: float, settings: PolicySettings) -> Storm:
    """Return the storm after one more new incident.

    >>> storm, settings = Storm(), PolicySettings(storm_incidents=2, storm_window_s=10.0)
    >>> one_more(one_more(storm, 0.0, settings), 10.0, settings).since
    10.0
    >>> one_more(one_more(storm, 0.0, settings), 11.0, settings).since is None
    True
    """
    recent = (*storm.recent, at)[-settings.storm_incidents :]
    thick = len(recent) == settings.storm_incidents and recent[-1] - recent[0] <= settings.storm_window_s
    return Storm(recent, at if storm.since is None and thick else storm.since)


def calmed(storm: Storm, now: float, settings: PolicySettings) -> Storm:
    """Return the storm at a tick: over once nothing new came for the cool-down."""
    if storm.since is None or now < storm.recent[-1] + settings.cool_down_s:
        return storm
    return Storm(storm.recent, None)


def storm_text(settings: PolicySettings) -> str:
    """Return in words what is waited for in a storm."""
    return (
        f"a storm of incidents: {settings.storm_incidents} within {settings.storm_window_s:.0f} s; "
        f"no node is left until none came for {settings.cool_down_s:.0f} s"
    )
