"""Which policies run in the shadow of the one in use, as the settings name them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from connectors.errors import WrongUse
from infra.backtest.candidate import candidate_policy
from infra.kept_settings import policy_in_use
from infra.settings import Settings
from infra.wiring import policy_settings
from models.backtest.shadow import ShadowPolicies
from models.policy_settings import CheckpointName, PolicySettings

__all__ = ["ShadowPolicies", "candidates", "names_of", "require_candidates", "shadow_policies"]

#: The checkpoint policies that need no file.
BUILT_IN: tuple[str, ...] = get_args(CheckpointName)


def names_of(settings: Settings) -> tuple[str, ...]:
    """What the settings name, in order."""
    return tuple(name.strip() for name in settings.shadow.policies.split(",") if name.strip())


def require_candidates(settings: Settings) -> None:
    """See that each candidate can be had; ``WrongUse`` with every fault of every one."""
    candidates(settings, policy_settings(settings))


def shadow_policies(settings: Settings, brokers: str | None = None) -> ShadowPolicies | None:
    """The candidates beside the policy in use; None where the settings name none.

    ``brokers`` are where workers have told what they decide with; None: they are given these settings.

    Raises
    ------
    WrongUse
        A candidate is wrong; every fault of every candidate is listed.
    Unreachable
        No broker answers.
    """
    if not names_of(settings):
        return None
    require_candidates(settings)
    own = policy_settings(settings) if brokers is None else policy_in_use(settings, brokers)
    return ShadowPolicies(own, candidates(settings, own))


def candidates(settings: Settings, own: PolicySettings) -> dict[str, PolicySettings]:
    """The candidates by name: a built-in checkpoint policy in place of the one in use, or a file over all of it.

    A shadow commands nothing, so one that would only watch because the policy in use does is let save.
    """
    found: dict[str, PolicySettings] = {}
    faults = []
    base = own if own.allows("checkpoint") else replace(own, level="checkpoint")
    for name in names_of(settings):
        short = name if name in BUILT_IN else Path(name).stem
        if short in found:
            faults.append(f"{name!r} would be told of as {short!r}, and so would another")
            continue
        try:
            found[short] = _candidate(name, base)
        except WrongUse as wrong:
            faults.append(str(wrong))
            found[short] = base
    if faults:
        raise WrongUse("shadow.policies cannot be used: " + "\n".join(faults))
    return found


def _candidate(name: str, base: PolicySettings) -> PolicySettings:
    built_in: CheckpointName | None = next((one for one in get_args(CheckpointName) if one == name), None)
    if built_in is not None:
        return replace(base, checkpoint=built_in)
    if not Path(name).is_file():
        raise WrongUse(f"{name!r} is no file, and no checkpoint policy; these are: {', '.join(BUILT_IN)}")
    return candidate_policy(base, Path(name))
