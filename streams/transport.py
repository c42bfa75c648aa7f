"""The ``batch://`` transport: Faust's unit of work becomes a batch of records.

Faust spends about 100 µs on a message before an agent sees it; here a message is what one fetch gave of one partition.
A daemon thread polls confluent-kafka and hands batches to the event loop; a bound on the records that wait there is the
back-pressure. Where reading starts is not the group's committed offset but what the lanes restore: the assignment
callback waits in that thread until ``perform_seek`` has restored them, and nothing is fetched before.
Committed offsets serve monitoring of the lag only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaException, Message, TopicPartition
from faust.transport import base
from faust.transport.consumer import Consumer
from faust.transport.drivers import TRANSPORTS
from faust.types import TP, ConsumerMessage

from streams.batch import Batch, Partition

RECORDS_A_FETCH: Final = 4096
RECORDS_WAITING_MAX: Final = 32_768
POLL_S: Final = 0.1
SCHEME: Final = "batch"

log = logging.getLogger(__name__)


class Restorer(Protocol):
    """What the transport asks of the lanes."""

    def restore(self, assigned: frozenset[Partition]) -> Mapping[Partition, int]:
        """Rebuild what these partitions need, off the event loop; returns the offset to read each from."""
        ...

    def adopt(self, assigned: frozenset[Partition]) -> None:
        """The restored lanes are in work from now on; others are let go."""
        ...

    def lose(self) -> None:
        """The group has gone on without this worker: nothing that it held may be kept."""
        ...

    def positions(self) -> Mapping[Partition, int]:
        """Next input offset of each lane."""
        ...

    def polled(self) -> None:
        """The polling thread has asked the broker for records."""
        ...

    def fail(self, why: str) -> None:
        """The worker cannot go on."""
        ...


class BatchConsumer(Consumer):
    """Faust's consumer over a polling thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._restorer: Restorer = self.app.restorer
        self._arrived: deque[Batch] = deque()
        self._wakeup = asyncio.Event()
        self._done = 0
        self._generation = 0
        self._assigned: frozenset[Partition] = frozenset()
        self._restored: asyncio.Future[Mapping[Partition, int]] | None = None
        self._thread: _Poller | None = None

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Start the polling thread on these topics."""
        if self._thread is None:
            self._thread = _Poller(self, sorted(topics), self.app.consumer_settings, asyncio.get_running_loop())
            self._thread.start()

    async def on_stop(self) -> None:
        """End the polling thread before Faust's own stop."""
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.end)
        await super().on_stop()

    def arrive(self, batches: list[Batch]) -> None:
        """Take batches from the thread (called on the loop)."""
        self._arrived.extend(batch for batch in batches if batch.generation == self._generation)
        self._wakeup.set()

    @property
    def records_done(self) -> int:
        """Records of this assignment that are through; the thread compares it with what it has fetched."""
        return self._done

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand each batch to Faust as one message, until the fetcher is stopped."""
        while not (self.should_stop or fetcher.should_stop):
            if not self._arrived:
                self._wakeup.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wakeup.wait(), 1.0)
                continue
            if self.suspend_flow.is_set():
                await asyncio.sleep(0.01)
                continue
            batch = self._arrived.popleft()
            if batch.generation == self._generation:
                await self.callback(_message_of(batch))
            await asyncio.sleep(0)

    async def assigned(self, partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        """Run Faust's rebalance to its end; returns the offsets from which the thread may fetch."""
        self.app.on_rebalance_start()
        self._assigned = partitions
        self._restored = asyncio.get_running_loop().create_future()
        self.app.consumer_generation_id = self._generation
        await self.on_partitions_assigned({TP(*p) for p in partitions}, self._generation)
        if not partitions:  # Faust has nothing to seek then
            self._restorer.adopt(partitions)
            return {}
        return await self._restored

    async def revoked(self, partitions: frozenset[Partition], *, lost: bool) -> None:
        """Let go: what has come under the old assignment is dropped."""
        self.app.on_rebalance_start()
        self._generation += 1
        self._done = 0
        self._arrived.clear()
        if lost:
            self._restorer.lose()
        await self.on_partitions_revoked({TP(*p) for p in partitions})
        self._assigned = frozenset()

    async def perform_seek(self) -> None:
        """Restore the lanes; the thread starts to fetch where they end. Faust calls this before it resumes the flow."""
        loop = asyncio.get_running_loop()
        try:
            offsets = await loop.run_in_executor(None, self._restorer.restore, self._assigned)
        except Exception as wrong:
            log.exception("state could not be restored")
            self._restorer.fail(f"state could not be restored: {wrong}")
            return
        self._restorer.adopt(self._assigned)
        if self._restored is not None and not self._restored.done():
            self._restored.set_result(offsets)

    def assignment(self) -> set[TP]:
        """Partitions of this worker."""
        return {TP(*p) for p in self._assigned}

    def done(self, batch: Batch) -> None:
        """An agent has taken a batch: there is room for so many records more."""
        if batch.generation == self._generation:
            self._done += len(batch.values)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Hand the lanes' positions to the polling thread; they are for monitoring of the lag."""
        if self._thread is not None:
            self._thread.commit(self._restorer.positions())
        return True

    async def _not_used(self, *args: Any, **kwargs: Any) -> Any:
        """There are no tables and no changelogs, and lanes are read from where they end."""
        raise NotImplementedError("the batch transport has no tables")

    create_topic = earliest_offsets = highwaters = position = seek_to_committed = _not_used
    seek_wait = _seek = _getmany = _commit = _not_used

    def _no_value(self, *args: Any, **kwargs: Any) -> Any:
        """What only tables and stock messages would ask for."""
        raise NotImplementedError("the batch transport has no tables")

    highwater = topic_partitions = key_partition = _new_topicpartition = _to_message = _no_value


def _message_of(batch: Batch) -> ConsumerMessage:
    tp = TP(*batch.source)
    return ConsumerMessage(
        tp.topic, tp.partition, batch.first, 0.0, 0, [], None, batch, None, 0, 0, tp, generation_id=batch.generation
    )


class _Poller(threading.Thread):
    """The one thread that touches the Kafka consumer."""

    def __init__(
        self,
        owner: BatchConsumer,
        topics: list[str],
        settings: Mapping[str, Any],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(name="batch-poller", daemon=True)
        self._owner, self._topics, self._loop = owner, topics, loop
        self._settings = dict(settings)
        self._ending = threading.Event()
        self._commits: deque[Mapping[Partition, int]] = deque(maxlen=1)
        self._kafka: KafkaConsumer | None = None
        self._generation = 0
        self._fetched = 0

    def commit(self, positions: Mapping[Partition, int]) -> None:
        self._commits.append(dict(positions))

    def end(self) -> None:
        self._ending.set()
        self.join(timeout=10)

    def run(self) -> None:
        try:
            self._kafka = KafkaConsumer(self._settings)
            self._kafka.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            while not self._ending.is_set():
                self._commit_pending(self._kafka)
                self._poll(self._kafka)
            self._commit_pending(self._kafka, wait=True)
            self._kafka.close()
        except Exception as wrong:
            if not self._ending.is_set():
                log.exception("the polling thread ended")
                self._owner._restorer.fail(f"reading failed: {wrong}")

    def _poll(self, kafka: KafkaConsumer) -> None:
        if self._fetched - self._owner.records_done > RECORDS_WAITING_MAX:
            self._ending.wait(0.005)
            return
        first = kafka.poll(POLL_S)
        self._owner._restorer.polled()
        if first is None:
            return
        messages = [first, *kafka.consume(RECORDS_A_FETCH - 1, 0)]
        batches = list(batches_of(messages, self._generation))
        if batches:
            self._fetched += sum(len(batch.values) for batch in batches)
            self._loop.call_soon_threadsafe(self._owner.arrive, batches)

    def _commit_pending(self, kafka: KafkaConsumer, *, wait: bool = False) -> None:
        if not self._commits:
            return
        mine = {(tp.topic, tp.partition) for tp in kafka.assignment()}
        offsets = [TopicPartition(*p, offset) for p, offset in self._commits.pop().items() if p in mine]
        if offsets:
            try:
                kafka.commit(offsets=offsets, asynchronous=not wait)
            except KafkaException as wrong:
                log.info("positions were not committed (monitoring only): %s", wrong)

    def _on_loop(self, work: Any) -> Any:
        """Run a coroutine on the loop and wait for it here; None when the worker ends meanwhile."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while not self._ending.is_set():
            try:
                return future.result(0.2)
            except TimeoutError:
                if future.done():
                    raise
        future.cancel()
        return None

    def _on_assign(self, kafka: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        assigned = frozenset(Partition(tp.topic, tp.partition) for tp in partitions)
        offsets = self._on_loop(self._owner.assigned(assigned))
        if offsets is not None:
            self._generation, self._fetched = self._owner._generation, 0
            kafka.assign([TopicPartition(*p, offset) for p, offset in offsets.items()])

    def _on_revoke(self, kafka: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._let_go(kafka, partitions, lost=False)

    def _on_lost(self, kafka: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._let_go(kafka, partitions, lost=True)

    def _let_go(self, kafka: KafkaConsumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        revoked = frozenset(Partition(tp.topic, tp.partition) for tp in partitions)
        if not self._ending.is_set():
            self._on_loop(self._owner.revoked(revoked, lost=lost))
        self._fetched = 0
        kafka.unassign()


def batches_of(messages: Iterable[Message], generation: int) -> Iterable[Batch]:
    """Group a fetch by partition, with a new batch at each gap of offsets; raises KafkaException on an error record."""
    growing: dict[Partition, Batch] = {}
    done: list[Batch] = []
    for message in messages:
        if message.error() is not None:
            if not message.error().retriable():
                raise KafkaException(message.error())
            continue
        source = Partition(message.topic(), message.partition())
        batch = growing.get(source)
        if batch is None or batch.next_offset != message.offset():
            if batch is not None:
                done.append(batch)
            batch = growing[source] = Batch(source, message.offset(), [], [], generation)
        batch.keys.append(message.key() or b"")
        batch.values.append(message.value() or b"")
    return [*done, *growing.values()]


class _NoProducer(base.Producer):
    """Faust's own producer is not used: outputs go through the lanes."""

    async def flush(self) -> None:
        """Nothing is ever queued here."""

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("outputs go through the lanes")

    send_and_wait = send

    def send_soon(self, fut: Any) -> None:
        raise NotImplementedError("outputs go through the lanes")


class BatchTransport(base.Transport):
    """Faust transport under the URL scheme ``batch``."""

    Consumer = BatchConsumer
    Producer = _NoProducer
    default_port = 9092
    driver_version = "confluent-kafka"


def register() -> None:
    """Make ``batch://host:port`` known to Faust."""
    TRANSPORTS.aliases[SCHEME] = "streams.transport:BatchTransport"
