"""The settings of a drill: what both arms are told, what they differ by, and how that is told to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infra.drill.plain import Prices
from infra.drill.script import INTERVAL_S, REPAIR_S, STEP_S
from infra.settings import Settings
from models.policy_settings import DAY_S

#: Two checkpoints are at least so far apart, as they block for milliseconds here.
MIN_GAP_S: Final = 2.0
HOUR_S: Final = 3600.0
#: Ranks that are moved or restored for one kill, at most: what the limits have to allow.
MOVES_A_KILL: Final = 4
STORM_MAX: Final = 1000
YOUNG: Final = {"checkpoint": "young", "migration": "never"}


def declared(settings: Settings, prices: Prices, ranks: int, kills: int) -> Settings:
    """The settings of both arms: prices as measured here, and a rate of failures that makes Young's interval short.

    What the user has set stays. What an unforeseen failure costs (to notice it, to start again) stays that of a
    cluster, as in ``forestall up``. Nodes fail on purpose here, far more often than limits on what is moved allow for:
    those are set to what so many kills need.
    """
    mtbf_s = INTERVAL_S**2 / (2.0 * prices.checkpoint_s)
    moves = MOVES_A_KILL * kills
    ours: dict[str, dict[str, Any]] = {
        "policy": {
            "level": "migrate",
            "checkpoint_cost_s": prices.checkpoint_s,
            "durable_s": prices.durable_s,
            "migration_s": prices.restart_s,
            "node_mtbf_days": mtbf_s * ranks / DAY_S,
            "min_gap_s": MIN_GAP_S,
        },
        "brakes": {"warm_up_s": 0.0, "breaker_nodes": moves, "storm_incidents": min(STORM_MAX, max(5, moves))},
        "agent": {"disruptions_per_hour": max(6, moves), "checkpoints_per_hour": round(HOUR_S / MIN_GAP_S)},
    }
    return settings.model_copy(update={name: _unless_given(settings, name, wanted) for name, wanted in ours.items()})


def young_of(settings: Settings) -> Settings:
    """The same for static Young: alarms neither move a rank nor order a checkpoint."""
    return settings.model_copy(update={"policy": settings.policy.model_copy(update=YOUNG)})


def told(settings: Settings, base: Settings, prices: Prices) -> Mapping[str, Any]:
    """What was declared for the drill, what the arms differ by, and what was measured."""
    both = {
        f"{name}.{key}": getattr(getattr(base, name), key)
        for name in ("policy", "brakes", "agent")
        for key in type(getattr(base, name)).model_fields
        if getattr(getattr(base, name), key) != getattr(getattr(settings, name), key)
    }
    return {
        "both": both,
        "young": {f"policy.{key}": value for key, value in YOUNG.items()},
        "forestall": {f"policy.{key}": getattr(base.policy, key) for key in YOUNG},
        "measured_s": {"checkpoint": prices.checkpoint_s, "durable": prices.durable_s, "restart": prices.restart_s},
        "interval_s": INTERVAL_S,
        "step_s": STEP_S,
        "repair_s": REPAIR_S,
    }


def _unless_given(settings: Settings, name: str, wanted: Mapping[str, Any]) -> Any:
    section = getattr(settings, name)
    given = section.model_fields_set if name in settings.model_fields_set else frozenset()
    return section.model_copy(update={key: value for key, value in wanted.items() if key not in given})
