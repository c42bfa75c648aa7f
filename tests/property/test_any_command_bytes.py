"""Whatever bytes stand on the command topic: they are the real command, refused, or no command; the reader reads on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from signing_keys import sealed, shared_keys

from connectors.signing import Keyring
from infra.agent.command_reader import CommandReader, Judged, Positions
from models.records import Cause, Command, Reason, command_id

ORDER = Command(
    id=command_id("job", "n1", "MIGRATE", "i1", 7),
    action="MIGRATE",
    job="job",
    node="n1",
    spare="s1",
    ranks=(0, 3),
    step=40,
    generation=7,
    issued_at=100.0,
    expires_at=160.0,
    incident="i1",
    reason=Reason(rule="break-even ünïcode", numbers={"p": 0.5}, evidence=("a/0/1",)),
    cause=Cause(0, 9),
)
REAL = sealed(ORDER)


class Reader(CommandReader):
    """The reader's judgement alone: it looks for no broker."""

    def _run(self) -> None:
        return


READER = Reader(
    "127.0.0.1:1",
    Keyring(shared_keys().keyring, print),
    Positions(Path(tempfile.gettempdir()) / "no-such-positions"),
    60.0,
    lambda *_: None,
    lambda _: None,
)


def judged(raw: bytes) -> Judged | None:
    return READER._judge(raw, "control.command.v1/0/1")


def test_the_real_command_is_read_as_it_is() -> None:
    found = judged(REAL)
    assert found is not None
    assert (found.command, found.refused) == (ORDER, None)


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "cut", "swap"]), st.integers(0, len(REAL)), st.binary(max_size=12)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300, deadline=None)
def test_a_command_that_was_altered_anywhere_is_never_taken_for_the_real_one(
    changes: list[tuple[str, int, bytes]],
) -> None:
    raw = REAL
    for what, place, some in changes:
        if what == "put":
            raw = raw[:place] + some + raw[place:]
        elif what == "cut":
            raw = raw[:place] + raw[place + len(some) :]
        else:
            raw = raw[:place] + some + raw[place + len(some) :]
    found = judged(raw)
    assert found is None or found.refused is not None or raw == REAL


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: repr(value).encode("utf-8", "surrogatepass")))
@settings(max_examples=200, deadline=None)
def test_what_is_no_command_is_none(raw: bytes) -> None:
    before = READER.unreadable
    assert judged(raw) is None
    assert READER.unreadable == before + 1
