"""What the cluster agent tells: outcomes and fates, which are never dropped, progress, and who runs here.

One thread owns the kafka-python producer. While the broker is away outcomes wait (they stand in the seen-set, too),
only the newest progress is kept, and of the inventory only the last word. A producer that failed to deliver is given
up: holding a record for a broker that accepts connections but does not answer, its sender would spin at full speed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from connectors.codecs.records import encode_event, encode_inventory
from connectors.kafka.topics import EVENT, INVENTORY
from infra.clock import monotonic
from models.records import InventoryNode, NodeFate, Outcome, Progress

PROGRESS_MAX = 600
BATCH_MAX = 500
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 3.0
DELIVERY_SECONDS_MAX = 3.0

Lasting = Outcome | NodeFate
Say = Callable[[str], None]


class Publisher:
    """Sends to ``brokers``; ``settled`` is called, from its thread, with the ids of lasting events that arrived."""

    def __init__(self, brokers: str, settled: Callable[[list[str]], None], say: Say) -> None:
        self._brokers, self._settled, self._say = brokers, settled, say
        self._work = threading.Condition()
        self._lasting: deque[Lasting] = deque()
        self._progress: deque[Progress] = deque(maxlen=PROGRESS_MAX)
        self._inventory: InventoryNode | None = None
        self._stop_at: float | None = None
        self._producer: KafkaProducer | None = None
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Lasting events that the broker has not acknowledged."""
        return len(self._lasting)

    def tell(self, events: Sequence[Lasting]) -> None:
        """Publish these, in order, however long it takes."""
        with self._work:
            self._lasting.extend(events)
            self._work.notify()

    def progress(self, event: Progress) -> None:
        """Publish this if the broker is there; the oldest are dropped while it is not."""
        with self._work:
            self._progress.append(event)
            self._work.notify()

    def announce(self, node: InventoryNode) -> None:
        """Publish who runs here; a later word replaces one that has not arrived."""
        with self._work:
            self._inventory = node
            self._work.notify()

    def close(self, wait_s: float) -> int:
        """Send what is left for at most ``wait_s`` and end; return how many lasting events have not arrived."""
        with self._work:
            self._stop_at = monotonic() + wait_s
            self._work.notify()
        self._thread.join(wait_s + 1.0)
        return len(self._lasting)

    def _run(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while self._wait_for_work():
            try:
                self._send_some()
                pause = PAUSE_SECONDS_MIN
            except (KafkaError, OSError) as fault:
                if pause == PAUSE_SECONDS_MIN:
                    self._say(f"the broker is away, {len(self._lasting)} outcomes wait: {fault}")
                self._give_producer_up()
                self._pause(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
        self._give_producer_up()

    def _wait_for_work(self) -> bool:
        with self._work:
            while True:
                idle = not (self._lasting or self._progress or self._inventory)
                if self._stop_at is not None and (idle or monotonic() > self._stop_at):
                    return False
                if not idle:
                    return True
                self._work.wait()

    def _pause(self, seconds: float) -> None:
        with self._work:
            if self._stop_at is not None:
                seconds = max(0.0, min(seconds, self._stop_at - monotonic()))
            self._work.wait(seconds)

    def _send_some(self) -> None:
        """Send what there is, in order, and take it off only when the broker has acknowledged it."""
        producer = self._connected()
        with self._work:
            lasting = [self._lasting[i] for i in range(min(BATCH_MAX, len(self._lasting)))]
            progress, node = list(self._progress), self._inventory
        futures = [self._send(producer, event) for event in lasting]
        others = [self._send(producer, event) for event in progress]
        if node is not None:
            others.append(producer.send(INVENTORY, key=node.node.encode(), value=encode_inventory(node)))
        for future in [*futures, *others]:
            future.get(timeout=self._patience())
        with self._work:
            for _ in lasting:
                self._lasting.popleft()
            for event in progress:
                if self._progress and self._progress[0] is event:
                    self._progress.popleft()
            if self._inventory is node:
                self._inventory = None
        if lasting:
            self._settled([event.id for event in lasting])

    def _patience(self) -> float:
        left = DELIVERY_SECONDS_MAX + 1.0 if self._stop_at is None else self._stop_at - monotonic()
        return max(0.05, min(left, DELIVERY_SECONDS_MAX + 1.0))

    def _send(self, producer: KafkaProducer, event: Lasting | Progress) -> Any:
        return producer.send(EVENT, key=(event.job or event.node).encode(), value=encode_event(event))

    def _give_producer_up(self) -> None:
        """Close the producer; it refuses while it holds records, each of which expires in time."""
        producer, self._producer = self._producer, None
        until = monotonic() + self._patience()
        while producer is not None:
            try:
                producer.close(timeout=0.5)
            except KafkaError:
                if monotonic() < until:
                    continue
            producer = None

    def _connected(self) -> KafkaProducer:
        """Return the producer. One request at a time and no idempotence: repeats carry the same id and do no harm."""
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._brokers.split(","),
                bootstrap_timeout_ms=2_000,
                acks="all",
                enable_idempotence=False,
                max_in_flight_requests_per_connection=1,
                request_timeout_ms=2_500,
                delivery_timeout_ms=round(DELIVERY_SECONDS_MAX * 1000),
                max_block_ms=2_000,
                reconnect_backoff_ms=100,
                reconnect_backoff_max_ms=1_000,
                metrics_enabled=False,
            )
        return self._producer
