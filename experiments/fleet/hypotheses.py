"""What may be developing on a node, as a grid of hidden states: the course of a fault × how far it has come.

Signs grow as A·(age/L)^g = κ·age^g with κ = A/L^g, so only κ and the power g show before the failure; the lead L does
not. A *course* is a pair (κ, g) and what the monitoring will lose, and for each course the law of L given κ and g is
known in closed form: from it come the chance to survive each age and that of failing within the horizon. Courses are
placed by a low-discrepancy sequence in the generator's own laws, so that each stands for the same share of the faults
of its mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from experiments.fleet.latents import Floats
from experiments.fleet.observation import NOISE_MEMORY
from experiments.fleet.schedule import AMPLITUDE_SIGMA, DARK_OF_LEAD, DARK_SHARE, GROWTH, VANISHING
from experiments.fleet.spec import FleetSpec

Doubles = npt.NDArray[np.float64]

#: Severities for which the evidence is worked out; others go to the nearest of them.
SEVERITIES: Final[Floats] = np.geomspace(0.03, 2.6, 24).astype(np.float32)
#: What arrived of a node's sample: all, all but the GPU's part, nothing.
WHOLE, NO_GPU, NOTHING = range(3)
#: A course is followed until so small a share of its faults has not failed yet.
_TAIL: Final = 1e-3
#: Steps of the additive sequence in each dimension: powers of the root of x⁴ = x + 1 (Roberts 2018).
_STRIDES: Final = 1.2207440846057596 ** -np.arange(1, 4)


@dataclass(frozen=True, slots=True)
class Course:
    """One way in which a fault may go: severity ``kappa`` · age^``growth``, the age of the first sign being 1.

    ``lead`` is the law of the lead, ``lead[l]`` = P(L = l); ``vanishing`` and ``dark`` are as in ``episodes.Failing``,
    ``dark`` counted from the onset. ``share`` is that of all gradual faults.
    """

    kappa: float
    growth: float
    lead: Doubles
    share: float = 1.0
    vanishing: float = 0.0
    dark: int | None = None


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Hidden states, course after course and within a course by age, all ``(states,)`` unless said otherwise.

    ``start``, ``ages`` and ``share`` ``(courses,)`` are the place of each course's first state, their number, and its
    share of the faults. ``severity`` and ``innovation`` are the nearest of :data:`SEVERITIES` to the severity of this
    step and to what of it the noise's memory leaves new (s_t - s_{t-1}/2). ``arrival`` ``(3, states)`` is the chance
    to have survived the last interval, times that of each of :data:`WHOLE`, :data:`NO_GPU`, :data:`NOTHING`; ``soon``
    that of failing within the horizon.
    """

    start: npt.NDArray[np.intp]
    ages: npt.NDArray[np.intp]
    share: Floats
    severity: npt.NDArray[np.intp]
    innovation: npt.NDArray[np.intp]
    arrival: Floats
    soon: Floats

    @classmethod
    def of(cls, courses: list[Course], missing: float, horizon: int) -> Hypotheses:
        """The states of these courses, ``missing`` being the share of samples lost for no reason."""
        parts = [_states(course, missing, horizon) for course in courses]
        severity, innovation, arrival, soon = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        ages = np.array([len(part[0]) for part in parts], np.intp)
        return cls(
            np.cumsum(ages) - ages,
            ages,
            np.array([course.share for course in courses], np.float32),
            _nearest(severity),
            _nearest(innovation),
            arrival.astype(np.float32),
            soon.astype(np.float32),
        )


def lead_law(spec: FleetSpec) -> Doubles:
    """P(L = l) of the gradual faults of a fleet, ``l`` from 0 on."""
    longest = round(spec.lead_median * float(np.exp(4 * spec.lead_sigma))) + 1
    bounds = np.log((np.arange(1, longest + 1) + 0.5) / spec.lead_median) / spec.lead_sigma
    law = np.concatenate([[0.0], np.diff(ndtr(bounds), prepend=0.0)])
    whole: Doubles = law / law.sum()
    return whole


def courses_of(spec: FleetSpec, number: int) -> list[Course]:
    """``number`` courses of each mode: nothing vanishes, more and more samples do, the GPU's part does at the end."""
    law = lead_law(spec)
    spots = (np.arange(number)[:, None] + 0.5) * _STRIDES % 1.0
    found = []
    for power, place, darkness in spots.tolist():
        growth = GROWTH[0] + (GROWTH[1] - GROWTH[0]) * power
        spread = np.hypot(AMPLITUDE_SIGMA, growth * spec.lead_sigma)
        kappa = float(np.exp(spread * ndtri(place) - growth * np.log(spec.lead_median)))
        lead = _given_course(law, kappa, growth)
        dark, dark_lead = _darkened(lead, darkness)
        bright = (1 - DARK_SHARE) / 2 / number
        found += [
            Course(kappa, growth, lead, bright),
            Course(kappa, growth, lead, bright, vanishing=VANISHING),
            Course(kappa, growth, dark_lead, DARK_SHARE / number, dark=dark),
        ]
    return found


def _given_course(law: Doubles, kappa: float, growth: float) -> Doubles:
    """P(L | κ, g): the lead's law times the density of the amplitude A = κ·L^g that it takes."""
    amplitude = np.log(kappa) + growth * np.log(np.maximum(np.arange(len(law)), 1))
    given = law * np.exp(-0.5 * (amplitude / AMPLITUDE_SIGMA) ** 2)
    whole: Doubles = given / given.sum()
    return whole


def _darkened(lead: Doubles, place: float) -> tuple[int, Doubles]:
    """The age at a quantile of when the GPU falls silent, and the law of the lead given that age."""
    length = np.arange(len(lead))[:, None]
    silent = length - np.arange(len(lead))
    low, high = DARK_OF_LEAD
    with np.errstate(divide="ignore", invalid="ignore"):
        span = np.minimum((silent + 0.5) / length, high) - np.maximum((silent - 0.5) / length, low)
    joint = lead[:, None] * np.maximum(np.nan_to_num(span), 0) / (high - low)
    joint[:, 0] = 0.0
    dark = int(np.searchsorted(np.cumsum(joint.sum(axis=0)), place * joint.sum()))
    given: Doubles = joint[:, dark] / joint[:, dark].sum()
    return dark, given


def _states(course: Course, missing: float, horizon: int) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    longer = np.concatenate([1 - np.cumsum(course.lead), np.zeros(horizon + 1)]).clip(0, 1)
    ages = max(1, int((longer > _TAIL).sum()))
    age = np.arange(ages)
    severity: Doubles = course.kappa * np.power(age + 1.0, course.growth, dtype=np.float64)
    before: Doubles = np.concatenate([[0.0], severity[:-1]])
    innovation = severity - float(NOISE_MEMORY) * before
    lost = course.vanishing * _grown(course, ages)
    nothing, gone = np.minimum(missing + 0.3 * lost, 1.0), np.minimum(missing / 4 + lost, 1.0)
    if course.dark is not None:
        gone = np.where(age >= course.dark, 1.0, gone)
    survived: Doubles = longer[:ages] / np.concatenate([[1.0], longer[: ages - 1]])
    arrival: Doubles = survived * np.stack([(1 - nothing) * (1 - gone), (1 - nothing) * gone, nothing])
    soon: Doubles = 1 - longer[horizon : horizon + ages] / longer[:ages]
    return severity, innovation, arrival, soon


def _grown(course: Course, ages: int) -> Doubles:
    """The mean of (age/L)^g over the leads that are still possible at each age."""
    lead = np.maximum(np.arange(len(course.lead)), 1)
    weight = course.lead * lead**-course.growth
    left = np.cumsum(weight[::-1])[::-1] / np.maximum(np.cumsum(course.lead[::-1])[::-1], 1e-300)
    grown: Doubles = (np.arange(1, ages + 1.0) ** course.growth * left[1 : ages + 1]).clip(0, 1)
    return grown


def _nearest(severity: Doubles) -> npt.NDArray[np.intp]:
    nearest: npt.NDArray[np.intp] = np.abs(np.log(severity[:, None] / SEVERITIES)).argmin(axis=1)
    return nearest
