"""A seeded fleet of nodes that are healthy, look ill, or are about to die."""

from experiments.fleet.delivery import Delivery
from experiments.fleet.fleet import Fleet, frame
from experiments.fleet.metrics import INDEX, METRICS, NAMES, Metric
from experiments.fleet.presets import prediction_fleet
from experiments.fleet.recording import FleetRecording
from experiments.fleet.spec import (
    FAULT_CLASSES,
    FAULT_SHARES,
    Benign,
    Fault,
    FaultClass,
    FleetSpec,
    ScriptedFault,
    scripted_fleet,
)

__all__ = [
    "FAULT_CLASSES",
    "FAULT_SHARES",
    "INDEX",
    "METRICS",
    "NAMES",
    "Benign",
    "Delivery",
    "Fault",
    "FaultClass",
    "Fleet",
    "FleetRecording",
    "FleetSpec",
    "Metric",
    "ScriptedFault",
    "frame",
    "prediction_fleet",
    "scripted_fleet",
]
