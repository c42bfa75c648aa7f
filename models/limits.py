"""Every bound of the models, in one place; the relations between them hold at import."""

from __future__ import annotations

from typing import Final

WINDOW_FRAMES: Final = 60  # W: frames of a window
METRICS_MAX: Final = 1024  # metrics of one node
METRIC_NAME_CHARS_MAX: Final = 256
NODE_NAME_CHARS_MAX: Final = 253  # as a DNS name
TS_S_MAX: Final = 4102444800.0  # 2100-01-01: a source time after it is nonsense
SKEW_S_MAX: Final = 600.0  # a frame may be ahead of the partition's tick by this much
INTERVALS_LATE_MAX: Final = 2  # grace: a late frame still enters the ring
INTERVALS_SILENT_MAX: Final = 3  # then the verdict is unknown
INTERVAL_FRAMES_MIN: Final = 8  # frames before a node's sampling interval is known

BASELINE_FRAMES: Final = WINDOW_FRAMES  # frames that anchor a node's own units
ANCHOR_FRAMES_MIN: Final = 8  # of which so many must still be in the window
RANGE_FRAMES: Final = 240  # frames that set the range of the Markov states
CENTRE_MEMORY_S: Final = 24 * 3600.0
SCALE_MEMORY_S: Final = 48 * 3600.0
HUBER_SCALES: Final = 3.0  # a deviation counts as at most this many scales when the baseline learns
SCALE_GROWTH_MAX: Final = 4.0  # a fault cannot widen its own scale beyond this
Z_MAX: Final = 50.0
UNITS_MAX: Final = 1e6  # normalised values are clipped here
RAW_MAX: Final = 1e18  # and values without own units here: bytes and nanoseconds pass, and float32 can square them

MARKOV_INNER_STATES: Final = 8
MARKOV_STATES: Final = MARKOV_INNER_STATES + 2  # and one below, one above the learned range
MARKOV_PRIOR: Final = 0.5  # Dirichlet pseudo-count a cell
MARKOV_MEMORY_VISITS: Final = 300.0  # exponential forgetting, in visits of a state
MARKOV_WINDOW: Final = 10  # transitions whose surprise is averaged
MARKOV_SD_MIN: Final = 0.05  # nats; keeps a near-deterministic chain sensitive without exploding
DEVIATION_MAX: Final = 30.0
DEVIATION_WORST_METRICS: Final = 3

if not INTERVAL_FRAMES_MIN < BASELINE_FRAMES <= WINDOW_FRAMES < RANGE_FRAMES:
    raise ValueError("limits: a node's interval must be known before its baseline, and that before its range")
