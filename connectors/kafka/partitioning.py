"""Which partition a key belongs to: the Java client's rule, which every client here follows."""

from __future__ import annotations

from kafka.partitioner.default import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of ``key`` on a topic of so many partitions."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
