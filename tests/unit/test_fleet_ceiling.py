"""The ceiling: its evidence is the true likelihood, its filter is Bayes' rule, and nothing simple beats it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal, poisson, rankdata

from experiments.fleet import FAULT_CLASSES, INDEX, NAMES, Fleet, FleetRecording, FleetSpec
from experiments.fleet.ceiling import Watcher, ceiling, law_of
from experiments.fleet.evidence import Evidence, Reader, signs_of
from experiments.fleet.fleet import CHUNK_STEPS, Told
from experiments.fleet.forward import STRAY
from experiments.fleet.hypotheses import NO_GPU, NOTHING, SEVERITIES, WHOLE, Course, Hypotheses
from experiments.fleet.metrics import EVENTS, METRICS

CALM = FleetSpec(
    nodes=5,
    seed=4,
    interval_s=60.0,
    fault_rate=0,
    look_alike_rate=0,
    missing=0,
    job_run_mean=1e9,
    checkpoint_every=10**6,
)
LEAK, HBM = FAULT_CLASSES.index("memory_leak"), FAULT_CLASSES.index("hbm")
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
EVENT_KINDS = len(METRICS[EVENTS])
HORIZON = 4


def chunk_of(spec: FleetSpec) -> Told:
    return next(iter(Fleet(spec).told(slice(0, spec.nodes))))


# Evidence


def test_gaussian_evidence_is_the_likelihood_of_the_true_density() -> None:
    """Noise that remembers half of itself: the ratio of two multivariate normal densities, at any path of severity."""
    told = chunk_of(CALM)
    seen = Reader(CALM.nodes, CALM.interval_s).read(told)
    column = INDEX["node_memory_MemAvailable_bytes"]
    metric = METRICS[column]
    severity = 0.01 * np.sqrt(np.arange(1.0, CHUNK_STEPS + 1))
    innovation = severity - 0.5 * np.concatenate([[0.0], severity[:-1]])
    lag = np.abs(np.subtract.outer(np.arange(CHUNK_STEPS), np.arange(CHUNK_STEPS)))
    for node in range(CALM.nodes):
        level = metric.busy * float(told.observer.offset[column, node])
        noise = (told.values[:, node, column] - level) / metric.noise - told.observer.drift[column, :, node]
        shift = -0.85 * level / metric.noise * severity
        density = [multivariate_normal(mean, 0.5**lag).logpdf(noise) for mean in (shift, 0 * shift)]
        found = innovation * seen.fresh[0, :, LEAK, node] - innovation**2 * seen.fresh[1, :, LEAK, node] / 2
        first = severity[0] * seen.level[0, 0, LEAK, node] - severity[0] ** 2 * seen.level[1, 0, LEAK, node] / 2
        assert found.sum() + first == pytest.approx(density[0] - density[1], rel=2e-3)


def test_a_healthy_nodes_evidence_is_standardised() -> None:
    """B has the variance Q, so that B/√Q is standard normal, for every class that gauges or steady counters show."""
    reader, fleet = Reader(60, 60.0), Fleet(replace(CALM, nodes=60))
    seen = [reader.read(told) for _ in range(6) for told in fleet.told(slice(0, 60))]
    for part in ("fresh", "level"):
        b, q = np.concatenate([getattr(one, part)[:, 1:] for one in seen], axis=1)
        for kind, name in enumerate(FAULT_CLASSES):
            known = q[:, kind] > 0
            if known.mean() > 0.5 and b[:, kind].any():  # some have signs on metrics without noise alone
                score = b[:, kind][known] / np.sqrt(q[:, kind][known])
                assert abs(score.mean()) < 0.25, (part, name)
                assert 0.6 < score.std() < 1.25, (part, name)


def test_evidence_points_at_a_fault_while_it_lasts_and_at_its_class() -> None:
    spec = replace(CALM, nodes=64, seed=8, fault_rate=1 / 400, sudden_share=0, lead_median=30.0, lead_sigma=0.3)
    fleet, reader = Fleet(spec), Reader(spec.nodes, spec.interval_s)
    seen = [reader.read(told) for _ in range(6) for told in fleet.told(slice(0, spec.nodes))]
    fresh = np.concatenate([one.fresh for one in seen], axis=1)
    best = 0.3 * fresh[0] - 0.3**2 * fresh[1] / 2
    rows = {name: row for row, name in enumerate(fleet.names)}
    tried = 0
    for fault in fleet.faults:
        kind = FAULT_CLASSES.index(fault.fault_class)
        late = best[(fault.onset + fault.failure) // 2 : fault.failure, kind, rows[fault.node]]
        if fault.fault_class in ("thermal", "memory_leak", "power", "pcie") and fault.failure < len(best):
            tried += 1
            assert late.sum() > 0, fault
    assert tried > 5


def test_events_are_counted_since_the_last_sample_that_came() -> None:
    told = chunk_of(replace(CALM, missing=0.1))
    seen = Reader(CALM.nodes, CALM.interval_s).read(told)
    column = INDEX["DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL"]
    total = told.values[..., column]
    for node in range(CALM.nodes):
        came = np.flatnonzero(~np.isnan(total[:, node]))
        own = seen.events[:, column - EVENTS.start, node]
        assert (own[came[1:]] == np.diff(total[came, node])).all()
        assert (seen.spans[came[1:], column - EVENTS.start, node] == np.diff(came)).all()
        assert (np.delete(own, came[1:]) == -1).all()


def test_what_arrived_is_told_apart() -> None:
    told = chunk_of(CALM)
    told.values[3, 1] = np.nan
    told.values[4, 2, [metric.from_gpu for metric in METRICS]] = np.nan
    told.values[5, 2, INDEX["node_load1"]] = np.nan
    pattern = Reader(CALM.nodes, CALM.interval_s).read(told).pattern
    assert (pattern[3, 1], pattern[4, 2], pattern[5, 2]) == (NOTHING, NO_GPU, WHOLE)
    assert (pattern == WHOLE).sum() == pattern.size - 2


def test_signs_on_events_are_those_of_the_signatures() -> None:
    assert {(NAMES[column], sign.per_severity) for kind, column, sign in signs_of(EVENTS) if kind == HBM} >= {
        ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 1.5),
        ("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 0.06),
    }


# The filter


def certain(lead: int) -> np.ndarray:
    law = np.zeros(lead + 1)
    law[lead] = 1.0
    return law


TOY_COURSES = [
    Course(0.05, 1.0, certain(5), share=0.5),
    Course(0.2, 0.5, certain(8), share=0.3, vanishing=0.3),
    Course(0.4, 0.3, certain(3), share=0.2, dark=1),
]
TOY = FleetSpec(nodes=3, fault_rate=0.02, sudden_share=0.5, burst_share=0.0, look_alike_rate=0.0, missing=0.01)


def blank(steps: int, nodes: int) -> Evidence:
    """Evidence that says nothing."""
    classes = len(FAULT_CLASSES)
    return Evidence(
        fresh=np.zeros((2, steps, classes, nodes), np.float32),
        level=np.zeros((2, steps, classes, nodes), np.float32),
        events=np.full((steps, EVENT_KINDS, nodes), -1, np.float32),
        spans=np.ones((steps, EVENT_KINDS, nodes), np.float32),
        base=np.full((EVENT_KINDS, nodes), 0.01, np.float32),
        pattern=np.zeros((steps, nodes), np.int8),
        away=np.zeros((steps, nodes), np.bool_),
    )


def strayed(b: float, q: float, severity: float) -> float:
    """The likelihood ratio averaged over severities about ``severity``, by quadrature."""
    at = severity * (1 + STRAY * POINTS)
    return float(WEIGHTS @ np.exp(b * at - q * at**2 / 2) / WEIGHTS.sum())


def brute_force(seen: Evidence, node: int, kinds: list[int]) -> list[float]:
    """P(failure within the horizon) at each step by adding up every class, course and onset, in double precision."""
    law = law_of(TOY, HORIZON, TOY_COURSES)
    hidden = Hypotheses.of(TOY_COURSES, TOY.missing, HORIZON)
    steps = len(seen.pattern)
    calm_of = {WHOLE: 0.99 * 0.9975, NO_GPU: 0.99 * 0.0025, NOTHING: 0.01}
    calm = [calm_of[int(seen.pattern[t, node])] for t in range(steps)]
    factor = {
        (part, t, kind, level): strayed(
            float(one[0, t, kind, node]), float(one[1, t, kind, node]), float(SEVERITIES[level])
        )
        for part, one in (("fresh", seen.fresh), ("level", seen.level))
        for t, kind, level in product(range(steps), kinds, {*hidden.severity.tolist(), *hidden.innovation.tolist()})
    }
    found = []
    for now in range(steps):
        total = np.prod(calm[: now + 1])
        near = float(law.ahead) * total
        for kind, (number, course), onset in product(kinds, enumerate(TOY_COURSES), range(now + 1)):
            if now - onset >= hidden.ages[number]:
                continue
            mass = float(law.onset[kind]) * course.share * float(np.prod(calm[:onset]))
            for t in range(onset, now + 1):
                at = hidden.start[number] + t - onset
                mass *= float(hidden.arrival[seen.pattern[t, node], at])
                mass *= factor["fresh", t, kind, int(hidden.innovation[at])]
                mass *= factor["level", t, kind, int(hidden.severity[at])]
            total += mass
            near += mass * float(hidden.soon[hidden.start[number] + now - onset])
        found.append(float(near / total))
    return found


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kinds", [[HBM], [1, 4, 6]])
def test_the_filter_is_bayes_rule_over_every_class_course_and_onset(seed: int, kinds: list[int]) -> None:
    rng = np.random.default_rng(seed)
    seen = blank(11, TOY.nodes)
    for part in (seen.fresh, seen.level):
        part[1][:, kinds] = rng.uniform(0, 30, part[1][:, kinds].shape)
        part[0][:, kinds] = np.sqrt(part[1][:, kinds]) * rng.standard_normal(part[0][:, kinds].shape) + 4
    seen.pattern[:] = rng.choice(3, seen.pattern.shape, p=[0.8, 0.15, 0.05])
    law = law_of(TOY, HORIZON, TOY_COURSES)
    law = law._replace(onset=np.where(np.isin(np.arange(len(FAULT_CLASSES)), kinds), law.onset, 0).astype(np.float32))
    probability = Watcher(law, TOY.nodes, 60.0).conclude(seen)
    for node in range(TOY.nodes):
        expected = np.where(seen.pattern[:, node] == NOTHING, np.nan, brute_force(seen, node, kinds))
        assert probability[:, node] == pytest.approx(expected, rel=2e-3, abs=1e-6, nan_ok=True)


def test_events_weigh_as_poisson_says() -> None:
    """A class with one sign on one counter, one course: the posterior by the Poisson density itself."""
    spec, course = replace(TOY, missing=0.0), Course(1.0, 1e-9, certain(40), share=1.0)
    law = law_of(spec, HORIZON, [course])
    kind, column, sign = next(
        found for found in signs_of(EVENTS) if NAMES[found[1]] == "node_infiniband_symbol_error_total"
    )
    law = law._replace(onset=np.where(np.arange(len(FAULT_CLASSES)) == kind, law.onset, 0).astype(np.float32))
    seen, counts = blank(6, 1), [0, 1, 0, 2, 0, 1]
    seen.events[:, column - EVENTS.start, 0] = counts
    probability = Watcher(law, 1, 60.0).conclude(seen)[:, 0]
    rate = sign.per_severity * float(SEVERITIES[np.abs(np.log(SEVERITIES)).argmin()])
    healthy, fault = 1.0, 0.0
    for t, number in enumerate(counts):
        fault = (fault + healthy * float(law.onset[kind])) * poisson.pmf(number, 0.01 + rate)
        healthy *= poisson.pmf(number, 0.01)
        assert probability[t] == pytest.approx(float(law.ahead) * healthy / (healthy + fault), rel=1e-3)


def alarmed(events: list[int], look_alike_rate: float) -> float:
    """P(a fault is there), from correctable errors alone, with or without noisy counters about."""
    spec = replace(TOY, look_alike_rate=look_alike_rate)
    law = law_of(spec, 40, [Course(0.5, 1e-9, certain(40))])
    seen = blank(len(events), 1)
    seen.events[:, INDEX["DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"] - EVENTS.start, 0] = events
    return float(Watcher(law, 1, 60.0).conclude(seen)[-1, 0])


def test_a_noisy_counter_explains_errors_away() -> None:
    errors = [0, 1, 0, 1, 1, 0, 1]
    assert alarmed(errors, 0.05) < 0.8 * alarmed(errors, 0.0)
    assert alarmed([0] * 7, 0.05) < alarmed(errors, 0.05)


def test_a_hung_exporter_explains_silence_away() -> None:
    def silent(rate: float) -> float:
        spec = replace(TOY, look_alike_rate=rate)
        law = law_of(spec, 40, [Course(0.03, 1e-9, certain(20), dark=5)])
        seen = blank(12, 1)
        seen.pattern[6:] = NO_GPU
        return float(Watcher(law, 1, 60.0).conclude(seen)[-1, 0])

    assert silent(0.0) > 0.99
    assert silent(0.05) < 0.7 * silent(0.0)


def test_a_node_that_is_away_comes_back_healthy() -> None:
    law = law_of(TOY, HORIZON, TOY_COURSES)
    seen = blank(12, 1)
    seen.fresh[0, 3:7], seen.fresh[1, 3:7] = 20, 30
    seen.away[7:9] = True
    probability = Watcher(law, 1, 60.0).conclude(seen)[:, 0]
    assert probability[6] > 10 * probability[0]
    assert np.isnan(probability[7:9]).all()
    assert probability[9] == pytest.approx(probability[0])


# The whole


HASTY = FleetSpec(
    nodes=64,
    seed=5,
    interval_s=60.0,
    fault_rate=1 / 800,
    look_alike_rate=1 / 2_000,
    lead_median=12.0,
    repair_median=20.0,
    checkpoint_every=30,
    checkpoint_steps=2,
    late_share=0.01,
)
STEPS, AHEAD = 1_024, 20


@pytest.fixture(scope="module")
def posterior() -> np.ndarray:
    return np.concatenate(list(ceiling(HASTY, AHEAD, STEPS)))


@pytest.fixture(scope="module")
def recorded() -> tuple[np.ndarray, np.ndarray]:
    """The samples, and whether a failure of the node follows within the horizon."""
    recording = FleetRecording(HASTY)
    samples = np.concatenate(list(recording.blocks(STEPS + AHEAD)))[:STEPS]
    failed = np.zeros(samples.shape[:2], np.bool_)
    for row, step in recording.failures():
        failed[max(step - AHEAD, 0) : step, row] = True
    return samples, failed


def auc(score: np.ndarray, failed: np.ndarray) -> float:
    ranks, positive = rankdata(score), int(failed.sum())
    return float((ranks[failed].sum() - positive * (positive + 1) / 2) / positive / (len(failed) - positive))


def test_it_is_silent_where_the_recording_is_and_a_probability_elsewhere(
    posterior: np.ndarray,
    recorded: tuple[np.ndarray, np.ndarray],
) -> None:
    arrived = ~np.isnan(recorded[0]).all(axis=2)
    assert np.isnan(posterior[~arrived]).all()
    assert np.isnan(posterior[arrived]).mean() < 0.05, "but for nodes that are being worked on"
    known = posterior[~np.isnan(posterior)]
    assert ((known >= 0) & (known <= 1)).all()


def test_it_is_calibrated(posterior: np.ndarray, recorded: tuple[np.ndarray, np.ndarray]) -> None:
    known = ~np.isnan(posterior)
    p, failed = posterior[known].astype(float), recorded[1][known]
    assert p.mean() == pytest.approx(failed.mean(), rel=0.15)
    for low, high in ((0.1, 0.5), (0.5, 0.9), (0.9, 1.01)):
        there = (p >= low) & (p < high)
        assert there.sum() > 50
        assert failed[there].mean() == pytest.approx(p[there].mean(), abs=0.15), (low, high)
    assert np.mean((p - failed) ** 2) < 0.85 * failed.mean() * (1 - failed.mean())


def test_no_simple_detector_beats_it(posterior: np.ndarray, recorded: tuple[np.ndarray, np.ndarray]) -> None:
    samples, failed = recorded
    known = ~np.isnan(posterior)
    ours = auc(posterior[known], failed[known])
    change = np.abs(np.diff(samples.astype(np.float64), axis=0, prepend=np.nan))
    scale = np.nanmedian(change, axis=(0, 1)) + 1e-9
    simple = {
        "greatest jump": np.nanmax(np.nan_to_num(change / scale), axis=2),
        "errors": np.nan_to_num(change[..., EVENTS].sum(axis=2)),
        "memory": -np.nan_to_num(samples[..., INDEX["node_memory_MemAvailable_bytes"]]),
        "temperature": np.nan_to_num(samples[..., INDEX["DCGM_FI_DEV_MEMORY_TEMP"]]),
        "silence": np.isnan(samples).mean(axis=2),
    }
    assert ours > 0.6
    for name, score in simple.items():
        assert ours > auc(score[known], failed[known]) + 0.02, name


def test_it_sees_nearly_every_fault_with_signs_before_it_comes_and_no_sudden_one(posterior: np.ndarray) -> None:
    fleet = Fleet(HASTY)
    fleet.block(STEPS)
    rows = {name: row for row, name in enumerate(fleet.names)}
    last = {
        sudden: [
            float(np.nanmax(posterior[fault.failure - 3 : fault.failure, rows[fault.node]], initial=0))
            for fault in fleet.faults
            if fault.sudden == sudden
            and 10 < fault.failure < STEPS
            and (sudden or 8 < fault.failure - fault.onset < 30)
        ]
        for sudden in (True, False)
    }
    assert min(map(len, last.values())) > 10
    assert np.mean(np.array(last[False]) > 0.5) > 0.9
    assert np.mean(np.array(last[True]) > 0.5) < 0.15


def test_it_uses_no_sample_that_comes_later() -> None:
    fleet = Fleet(HASTY)
    told = next(iter(fleet.told(slice(0, 64))))
    law = law_of(HASTY, AHEAD, TOY_COURSES)
    whole = Watcher(law, 64, 60.0).watch(told)
    told.values[40:] = np.nan
    cut = Watcher(law, 64, 60.0).watch(told)
    assert cut[:40].tobytes() == whole[:40].tobytes()
    assert np.isnan(cut[40:]).all()


def test_a_range_of_nodes_from_some_step_on_is_that_part_of_the_whole() -> None:
    spec = replace(HASTY, nodes=150)
    whole = np.concatenate(list(ceiling(spec, AHEAD, 460)))
    part = np.concatenate(list(ceiling(spec, AHEAD, 460, first=400, rows=slice(70, 90))))
    assert part.shape == (60, 20)
    expected = whole[400:, 70:90]
    assert (np.isnan(part) == np.isnan(expected)).all()
    known = ~np.isnan(part)
    assert part[known] == pytest.approx(expected[known], abs=0.05)
    assert np.median(np.abs(part[known] - expected[known])) < 1e-4


def test_the_same_spec_gives_the_same_bytes(posterior: np.ndarray) -> None:
    again = np.concatenate(list(ceiling(HASTY, AHEAD, 128)))
    assert again.tobytes() == posterior[:128].tobytes()
