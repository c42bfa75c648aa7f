"""What may be developing on a node, as a grid of hidden states: the course of a fault × how far it has come.

A course is a lead, an amplitude, a power of growth and what the monitoring loses, drawn from the generator's own laws by
a low-discrepancy sequence, so that each course stands for the same share of all faults. A course of ``lead`` steps has
as many states, one an interval of age; all classes share the courses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from experiments.fleet.latents import Floats
from experiments.fleet.observation import NOISE_MEMORY
from experiments.fleet.schedule import AMPLITUDE_SIGMA, DARK_OF_LEAD, DARK_SHARE, GROWTH, VANISHING
from experiments.fleet.spec import FleetSpec

#: Severities for which the evidence is worked out; others go to the nearest of them.
SEVERITIES: Final[Floats] = np.geomspace(0.03, 2.6, 20).astype(np.float32)
#: What arrived of a node's sample: all, all but the GPU's part, nothing.
WHOLE, NO_GPU, NOTHING = range(3)
#: Steps of the additive sequence in each dimension: powers of the root of x⁵ = x + 1 (Roberts 2018, R-sequence).
_STRIDES: Final = 1.1673039782614187 ** -np.arange(1, 6)


@dataclass(frozen=True, slots=True)
class Course:
    """One way in which a fault may go."""

    lead: int
    amplitude: float
    growth: float
    vanishing: float = 0.0
    dark: int | None = None


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Hidden states, course after course and within a course by age, all ``(states,)`` unless said otherwise.

    ``start`` and ``lead`` (courses,) are the place of each course's first state and their number; ``severity`` and ``innovation`` are the nearest of :data:`SEVERITIES` to
    the severity of this step and to what of it the noise's memory leaves new (s_t − ½·s_{t−1}); ``pattern`` (3, states)
    is the chance of each of :data:`WHOLE`, :data:`NO_GPU`, :data:`NOTHING`; ``remaining`` counts the intervals to the
    failure.
    """

    start: npt.NDArray[np.intp]
    lead: npt.NDArray[np.intp]
    severity: npt.NDArray[np.intp]
    innovation: npt.NDArray[np.intp]
    pattern: Floats
    remaining: npt.NDArray[np.intp]

    @classmethod
    def of(cls, courses: list[Course], missing: float) -> Hypotheses:
        """The states of these courses, ``missing`` being the share of samples lost for no reason."""
        parts = [_states(course, missing) for course in courses]
        severity, innovation, pattern, remaining = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
        lead = np.array([course.lead for course in courses], np.intp)
        return cls(np.cumsum(lead) - lead, lead, severity, innovation, pattern.astype(np.float32), remaining)


def courses_of(spec: FleetSpec, number: int) -> list[Course]:
    """``number`` courses that stand for all gradual faults of a fleet alike."""
    lead, amplitude, growth, lost, dark = ((np.arange(number)[:, None] + 0.5) * _STRIDES % 1.0).T
    leads = np.maximum(1, np.rint(spec.lead_median * np.exp(spec.lead_sigma * ndtri(lead)))).astype(int)
    found = []
    for k in range(number):
        goes_dark = bool(lost[k] < DARK_SHARE)
        span = DARK_OF_LEAD[0] + (DARK_OF_LEAD[1] - DARK_OF_LEAD[0]) * dark[k]
        found.append(
            Course(
                lead=int(leads[k]),
                amplitude=float(np.exp(AMPLITUDE_SIGMA * ndtri(amplitude[k]))),
                growth=float(GROWTH[0] + (GROWTH[1] - GROWTH[0]) * growth[k]),
                vanishing=VANISHING * (not goes_dark and lost[k] < (1 + DARK_SHARE) / 2),
                dark=int(leads[k]) - round(span * int(leads[k])) if goes_dark else None,
            )
        )
    return found


def _states(course: Course, missing: float) -> tuple[npt.NDArray[np.generic], ...]:
    age = np.arange(course.lead)
    grown = ((age + 1) / course.lead) ** course.growth
    severity = course.amplitude * grown
    before = np.concatenate([[0.0], severity[:-1]])
    nothing = np.minimum(missing + 0.3 * course.vanishing * grown, 1.0)
    gone = np.minimum(missing / 4 + course.vanishing * grown, 1.0)
    if course.dark is not None:
        gone = np.where(age >= course.dark, 1.0, gone)
    pattern = np.stack([(1 - nothing) * (1 - gone), (1 - nothing) * gone, nothing])
    return _nearest(severity), _nearest(severity - NOISE_MEMORY * before), pattern, course.lead - age


def _nearest(severity: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    return np.abs(np.log(severity[:, None] / SEVERITIES)).argmin(axis=1)
