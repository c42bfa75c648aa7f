"""The policy that is tried: what the workers decided with, then a file, then whatever the settings set on purpose."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from connectors.errors import WrongUse
from infra.settings import Brakes, Policy, Section, Settings
from infra.settings_faults import Given, describe
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings


class Candidate(Section):
    """What a candidate's file may hold: these sections of the settings, each as there."""

    policy: Policy = Policy()
    brakes: Brakes = Brakes()


def read_candidate(path: Path) -> Candidate:
    """Read a candidate's file.

    Raises
    ------
    WrongUse
        It cannot be read, is no TOML, or is wrong; every fault is listed.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise WrongUse(f"the candidate {path} is not valid TOML: {fault}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise WrongUse(f"the candidate {path} cannot be read: {fault}") from None
    try:
        return Candidate.model_validate(tree)
    except ValidationError as faults:
        raise WrongUse(f"the candidate {path}: {describe(faults, Candidate, _given(tree, str(path)))}") from None


def _given(tree: dict[str, Any], origin: str) -> Given:
    given: Given = {}
    for section, values in tree.items():
        given[(section,)] = (values, origin)
        for key, value in values.items() if isinstance(values, dict) else ():
            given[(section, key)] = (value, origin)
    return given


def candidate_policy(kept: PolicySettings, file: Path | None, settings: Settings | None = None) -> PolicySettings:
    """The policy that ``kept`` becomes under a candidate's file and what the settings set on purpose."""
    policy = kept
    if file is not None:
        given = read_candidate(file)
        policy = _over(policy, given.policy, given.brakes)
    return policy if settings is None else _over(policy, settings.policy, settings.brakes)


def candidate_incidents(kept: IncidentSettings, policy: PolicySettings, settings: Settings) -> IncidentSettings:
    """How incidents open and close where telemetry is assessed anew: as kept, but for what the candidate sets."""
    frames = {key: getattr(settings.incident, key) for key in settings.incident.model_fields_set}
    return replace(kept, theta=policy.theta, **frames)


def _over(policy: PolicySettings, *sections: BaseModel) -> PolicySettings:
    return replace(policy, **{key: getattr(one, key) for one in sections for key in one.model_fields_set})


def changed(own: PolicySettings, candidate: PolicySettings) -> dict[str, list[object]]:
    """What the candidate sets otherwise, by field: the log's value and its own."""
    ours, theirs = asdict(own), asdict(candidate)
    return {key: [ours[key], theirs[key]] for key in ours if ours[key] != theirs[key]}
