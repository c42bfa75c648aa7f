"""The unit of work: neighbouring records of one partition, as one fetch gave them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Partition(NamedTuple):
    """A topic and the number of one of its partitions."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records at offsets ``first, first + 1, …`` of one partition; ``generation`` is the assignment they came under."""

    source: Partition
    first: int
    keys: list[bytes]
    values: list[bytes]
    generation: int = 0

    @property
    def next_offset(self) -> int:
        """The offset after the last record."""
        return self.first + len(self.values)

    def from_offset(self, offset: int) -> Batch:
        """The part of the batch from ``offset`` on."""
        skip = offset - self.first
        return Batch(self.source, offset, self.keys[skip:], self.values[skip:], self.generation)

    def records(self) -> Iterator[tuple[int, bytes]]:
        """(offset, value) in order."""
        return enumerate(self.values, self.first)
