"""Jobs, failures, alarms, spares, repairs and checkpoints, simulated: what each policy costs, seed by seed."""

from __future__ import annotations

from experiments.policy_lab.cases import CASES, Case, Phase
from experiments.policy_lab.comparison import simulate
from experiments.policy_lab.names import KNOWS_TRUTH, POLICIES
from experiments.policy_lab.policies import Settings
from experiments.policy_lab.profile import Profile, load_profile, profile_names
from experiments.policy_lab.runs import BUCKETS, Runs

__all__ = [
    "BUCKETS",
    "CASES",
    "KNOWS_TRUTH",
    "POLICIES",
    "Case",
    "Phase",
    "Profile",
    "Runs",
    "Settings",
    "load_profile",
    "profile_names",
    "simulate",
]
