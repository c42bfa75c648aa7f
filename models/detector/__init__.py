"""The anomaly detector: what a node shows against its own past, without labels, in O(1) a frame.

Five components, each pooled over a node's worst metrics: the *level* against slowly moving averages, the *jump* since
the frame before, the jump against its own usual size, the *residual* of each metric on the others, and the surprise of
its *transitions*. Their weighted sum is the anomaly score; it has a threshold of its own for each node, and an alarm
latches an incident that only recovery opens.
"""

from models.detector.alarm import Judged
from models.detector.detector import Detector

__all__ = ["Detector", "Judged"]
