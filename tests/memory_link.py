"""An in-memory way to the broker, with a broker that can be away, refuse, or answer late."""

from __future__ import annotations

from collections import deque

from connectors.ports import AGAIN, SENT, Outbound


class MemoryLink:
    """What was acknowledged lies in ``log``, in order; while ``away`` records are held as a client holds them."""

    def __init__(self) -> None:
        self.log: list[Outbound] = []
        self.away = False
        self.refuse: dict[bytes, str] = {}
        self.closed = False
        self._held: deque[tuple[int, Outbound]] = deque()
        self._settled: list[tuple[int, str]] = []

    def send(self, token: int, record: Outbound) -> None:
        """Hold a record until it is asked for news."""
        assert not self.closed, "sent on a closed link"
        self._held.append((token, record))

    def settled(self, wait_s: float) -> list[tuple[int, str]]:
        """Deliver what is held, unless away."""
        if not self.away:
            self.deliver(len(self._held))
        found, self._settled = self._settled, []
        return found

    def deliver(self, number: int) -> None:
        """Let ``number`` held records through."""
        for _ in range(min(number, len(self._held))):
            token, record = self._held.popleft()
            what = self.refuse.get(record.key, SENT)
            if what == SENT:
                self.log.append(record)
            self._settled.append((token, what))

    def close(self, wait_s: float) -> None:
        """Abort what is held."""
        self.closed = True
        self._settled += [(token, AGAIN) for token, _ in self._held]
        self._held.clear()

    @property
    def frames(self) -> list[Outbound]:
        """Acknowledged frames, without ticks and schemas."""
        return [record for record in self.log if record.is_frame]


class FakeTime:
    """A monotonic clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds
