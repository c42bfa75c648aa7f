"""A publisher that keeps what it is given, and confirms it when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors.kafka.publisher import Confirmed, Outgoing


class MemoryPublisher:
    """Takes the place of ``connectors.kafka.publisher.Publisher``; ``rows`` are in the order of writing."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int | None, bytes, bytes]] = []
        self.unconfirmed: list[Callable[[], None]] = []

    def publish_in_order(
        self, topic: str, partition: int, rows: Sequence[tuple[bytes, bytes]], done: Confirmed
    ) -> None:
        assert rows, "an empty batch has no last record that could be confirmed"
        self.rows += [(topic, partition, key, value) for key, value in rows]
        self.unconfirmed.append(done)

    def publish(self, outgoing: Outgoing, done: Confirmed | None = None) -> None:
        self.rows.append((outgoing.topic, outgoing.partition, outgoing.key, outgoing.value))
        if done is not None:
            self.unconfirmed.append(done)

    def confirm(self, count: int | None = None) -> None:
        """The brokers have the oldest ``count`` writes that nobody has confirmed yet, or all."""
        ready, self.unconfirmed = self.unconfirmed[:count], self.unconfirmed[len(self.unconfirmed[:count]) :]
        for done in ready:
            done()

    def on(self, topic: str) -> list[bytes]:
        """The values written to a topic."""
        return [value for name, _, _, value in self.rows if name == topic]

    def poll(self) -> None:
        """Nothing comes by itself."""
