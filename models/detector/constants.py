"""Every constant of the detector; times in seconds, so that it means the same at any sampling interval.

They were chosen on plateaus, with the labels of 13 machines of one public fleet in sight (and looked at on the same
fleet at 5 minutes with half of its metrics, and on single metrics of another): expect less on a fleet never seen.
"""

from __future__ import annotations

from typing import Final

HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S

LEARN_S: Final = 7 * DAY_S  # a node is learned for so long; scales, ranges and the matrix stand still afterwards
ALARM_AFTER_S: Final = DAY_S  # no alarm before so much was learned (or all, when that is less)
MATRIX_SHARE: Final = 0.5  # of the learning: after it matrix and ranges are fixed, the rest scales what they give
GAP_S_MAX: Final = 2 * HOUR_S  # a longer silence is no jump, and counts as this much time

PACE_SHARE: Final = 0.05  # of the usual time between frames, by which a new one moves it
PACES_MAX: Final = 3.0  # a frame after a longer pause weighs as one after so many usual ones

CENTRE_MEMORY_S: Final = DAY_S
SCALE_MEMORY_S: Final = 2 * DAY_S
JUMP_MEMORY_S: Final = DAY_S / 2
RESIDUAL_MEMORY_S: Final = DAY_S / 2
SURPRISE_MEMORY_S: Final = DAY_S
HUBER_SCALES: Final = 3.0  # a deviation counts as at most so many scales when an average learns
SCALE_SHARES: Final = (0.5, 4.0)  # of the learned unit: the bounds of a moving scale
JUMP_SHARES: Final = (0.05, 4.0)
DEVIATION_MAX: Final = 50.0  # scales, of one metric
SURPRISE_MAX: Final = 30.0  # standard deviations, of one metric's transition

SD_SHARE: Final = 0.6  # of the standard deviation while learning: a unit is never less
RANGE_SHARE: Final = 0.005  # nor less than this of the range
WORST_SHARE: Final = 0.2  # of the metrics, over which a component is pooled
WEIGHTS: Final = (1.0, 1.0, 1.0, 0.5, 0.5)  # level, jump, adaptive jump, residual, transitions
HIGH: Final = 0.99  # the quantile of itself that a component is divided by
HIGH_MEMORY_S: Final = 10 * DAY_S
HIGH_FRAMES_MIN: Final = 500.0  # the quantile moves as if at least so many frames had been seen
HIGH_MIN: Final = 0.5

RESIDUAL_METRICS_MAX: Final = 128  # a node with more has no residual: the matrix grows with their square
RIDGE: Final = 0.05
UNITS_IN_MATRIX_MAX: Final = 10.0

QUICK_S: Final = 120.0  # smoothing of the alarm channel
QUICK_FRAMES_MIN: Final = 2.0  # usual frames that it smooths at least, however far apart they are
SLOW_S: Final = 1800.0  # and of what the ranking score adds
SLOW_WEIGHT: Final = 2.0
OPEN_WEIGHT: Final = 0.25  # thresholds that the ranking score adds while an incident is open

ALARMS_A_DAY: Final = 1.4  # hours of a day whose peak is above the threshold, clear ones counted in part
CLEAR: Final = 1.15  # thresholds; a peak above so many is news of the node rather than of the noise, and counts as
CLEAR_WEIGHT: Final = 0.25  # of another when the threshold learns
THRESHOLD_MEMORY_H: Final = 504.0
MEDIAN_MEMORY_H: Final = 84.0
NOISE_SHARE: Final = 1.4  # of the median hourly peak: the threshold is never below
FLOOR_FADES: Final = 0.1  # the largest peak, while it is learned, by this over the hours: early scores are rough
FLOOR_SHARE: Final = 0.45  # of the time learned: so long the largest learned peak is the floor
FLOOR_POWER: Final = 4.0

DRIFT_S: Final = HOUR_S  # averaging of the signed residual
DRIFT_MAX: Final = 10.0  # scales
DRIFT_SHARE: Final = 1.5  # of the largest learned drift: opens an incident
NEAR_S: Final = 600.0
NEAR_QUANTILE: Final = 0.9  # of the usual level: below it a node has recovered
CALM_S: Final = HOUR_S  # for which it must have recovered: what comes again within the hour is the same incident
INCIDENT_S_MAX: Final = 7 * DAY_S  # then what lasts is the node's new normal
