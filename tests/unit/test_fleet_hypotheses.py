"""The hidden states of the ceiling: courses that stand for the generator's faults, and the lead's law given each."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.fleet import FleetSpec, prediction_fleet
from experiments.fleet.hypotheses import (
    NO_GPU,
    NOTHING,
    SEVERITIES,
    WHOLE,
    Course,
    Hypotheses,
    courses_of,
    lead_law,
)
from experiments.fleet.schedule import AMPLITUDE_SIGMA, DARK_OF_LEAD, DARK_SHARE, GROWTH, VANISHING

SPEC = prediction_fleet(1, 0)


def certain(lead: int) -> np.ndarray:
    law = np.zeros(lead + 1)
    law[lead] = 1.0
    return law


def generated(number: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Faults as the generator draws them."""
    rng = np.random.default_rng(seed)
    lead = np.maximum(1, np.rint(SPEC.lead_median * np.exp(SPEC.lead_sigma * rng.standard_normal(number))))
    growth = rng.uniform(*GROWTH, number)
    kappa = np.exp(AMPLITUDE_SIGMA * rng.standard_normal(number)) / lead**growth
    return {"lead": lead, "growth": growth, "kappa": kappa}


def test_the_law_of_the_lead_is_that_of_the_generator() -> None:
    law, drawn = lead_law(SPEC), generated(200_000)["lead"].astype(int)
    assert law.sum() == pytest.approx(1)
    assert law[0] == 0
    seen = np.bincount(drawn, minlength=len(law))[: len(law)] / len(drawn)
    assert np.abs(np.cumsum(seen) - np.cumsum(law)).max() < 0.01


def test_courses_stand_for_all_gradual_faults_and_each_mode_for_its_share() -> None:
    courses = courses_of(SPEC, 40)
    assert sum(course.share for course in courses) == pytest.approx(1)
    dark = [course for course in courses if course.dark is not None]
    leaky = [course for course in courses if course.vanishing]
    assert sum(course.share for course in dark) == pytest.approx(DARK_SHARE)
    assert sum(course.share for course in leaky) == pytest.approx((1 - DARK_SHARE) / 2)
    assert {course.vanishing for course in leaky} == {VANISHING}
    assert all(GROWTH[0] <= course.growth <= GROWTH[1] for course in courses)


def test_courses_have_the_laws_of_kappa_growth_and_lead() -> None:
    courses, drawn = [c for c in courses_of(SPEC, 400) if c.dark is None], generated(100_000)
    kappa = np.log([course.kappa for course in courses])
    assert np.quantile(kappa, [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(np.log(drawn["kappa"]), [0.1, 0.5, 0.9]), abs=0.08
    )
    assert np.mean([course.growth for course in courses]) == pytest.approx(drawn["growth"].mean(), abs=0.01)
    mean = np.mean([course.lead @ np.arange(len(course.lead)) for course in courses])
    assert mean == pytest.approx(drawn["lead"].mean(), rel=0.03)


def test_the_lead_given_a_course_is_that_of_generated_faults_like_it() -> None:
    drawn = generated(2_000_000, seed=3)
    for course in [c for c in courses_of(SPEC, 12) if c.dark is None and not c.vanishing]:
        like = (np.abs(np.log(drawn["kappa"] / course.kappa)) < 0.05) & (np.abs(drawn["growth"] - course.growth) < 0.03)
        mean = course.lead @ np.arange(len(course.lead))
        assert like.sum() > 100
        assert mean == pytest.approx(drawn["lead"][like].mean(), rel=0.15), course.kappa


def test_a_gpu_falls_silent_in_the_last_part_of_the_lead() -> None:
    for course in courses_of(SPEC, 40):
        if course.dark is None:
            continue
        possible = np.flatnonzero(course.lead > 1e-9)
        silent = possible - course.dark
        assert (silent >= 0).all()
        assert (silent <= np.ceil(DARK_OF_LEAD[1] * possible + 0.5)).all()
        assert (silent >= np.floor(DARK_OF_LEAD[0] * possible - 0.5)).all()


def test_a_course_with_a_certain_lead_has_that_many_ages_and_fails_at_their_end() -> None:
    hidden = Hypotheses.of([Course(0.2, 1.0, certain(9)), Course(0.3, 0.5, certain(4))], missing=0.0, horizon=3)
    assert hidden.ages.tolist() == [9, 4]
    assert hidden.start.tolist() == [0, 9]
    assert hidden.soon.tolist() == [0] * 6 + [1] * 3 + [0] + [1] * 3
    assert hidden.arrival[WHOLE].tolist() == [1] * 13
    assert not hidden.arrival[[NO_GPU, NOTHING]].any()


def test_survival_and_horizon_follow_the_law_of_the_lead() -> None:
    law = np.array([0.0, 0.5, 0.25, 0.25])
    hidden = Hypotheses.of([Course(1.0, 1.0, law)], missing=0.0, horizon=1)
    assert hidden.ages.tolist() == [3]
    assert hidden.arrival[WHOLE] == pytest.approx([1.0, 0.5, 0.5])
    assert hidden.soon == pytest.approx([0.5, 0.5, 1.0])


def test_signs_grow_and_what_is_new_of_them_is_less() -> None:
    hidden = Hypotheses.of([Course(0.1, 1.0, certain(20))], missing=0.0, horizon=1)
    assert SEVERITIES[hidden.severity] == pytest.approx(0.1 * np.arange(1, 21), rel=0.12)
    assert SEVERITIES[hidden.innovation[0]] == pytest.approx(0.1, rel=0.12)
    assert SEVERITIES[hidden.innovation[1:]] == pytest.approx(0.1 * (np.arange(2, 21) - np.arange(1, 20) / 2), rel=0.12)


def test_what_the_monitoring_loses_grows_with_the_signs_and_the_dark_is_dark() -> None:
    leaky = Hypotheses.of([Course(0.1, 1.0, certain(10), vanishing=0.2)], missing=0.01, horizon=1)
    assert leaky.arrival.sum(axis=0) == pytest.approx(np.ones(10))
    assert leaky.arrival[NOTHING] == pytest.approx(0.01 + 0.06 * np.arange(1, 11) / 10)
    assert (np.diff(leaky.arrival[NO_GPU]) > 0).all()
    dark = Hypotheses.of([Course(0.1, 1.0, certain(10), dark=6)], missing=0.0, horizon=1)
    assert dark.arrival[WHOLE].tolist() == [1] * 6 + [0] * 4
    assert dark.arrival[NO_GPU].tolist() == [0] * 6 + [1] * 4


@pytest.mark.parametrize("spec", [FleetSpec(lead_median=3.0, lead_sigma=0.2), FleetSpec(lead_median=40.0)])
def test_other_leads_give_whole_laws(spec: FleetSpec) -> None:
    hidden = Hypotheses.of(courses_of(spec, 7), spec.missing, horizon=5)
    assert hidden.share.sum() == pytest.approx(1)
    assert np.isfinite(hidden.arrival).all()
    assert ((hidden.soon >= 0) & (hidden.soon <= 1)).all()
    assert (hidden.ages >= 1).all()
