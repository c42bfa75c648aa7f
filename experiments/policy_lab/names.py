"""The policies by name, in the order in which tables have them."""

from __future__ import annotations

from typing import Final

POLICIES: Final[tuple[str, ...]] = (
    "none",
    "fixed-10m",
    "fixed-30m",
    "fixed-60m",
    "young",
    "daly",
    "best-fixed",
    "lazy",
    "overhead-bounded",
    "aupy",
    "young+eq6",
    "eq2",
    "eq2+6-literal-s",
    "eq2+6-literal-min",
    "eq2+6-literal-h",
    "eq2+6-tuned",
    "hazard",
    "believes-claims",
    "hazard+break-even",
    "in-memory",
    "in-memory+break-even",
    "elastic",
    "oracle-same-recall",
    "oracle",
)
#: The default policy told the true recall, precision and lead times at each moment: what honesty would earn. It is no
#: comparator, since no one has it; how much of its gain earned trust keeps is measured by it.
KNOWS_TRUTH: Final = "knows-truth"
