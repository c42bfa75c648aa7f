"""Forged and altered commands are refused, each of a thousand and more, and what is authentic is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from any_record import any_record
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from signing_keys import shared_keys, shared_sealer

from connectors.codecs.records import decode_command, encode_command
from connectors.errors import InvalidRecord
from connectors.signing import KeyFolder, Refusal, Verified
from connectors.signing.keyring import Keys, read_keys, verify
from connectors.signing.private_key import new_private_key, read_private_key
from models.records import Cause, Command, Reason

NOW = 1_763_942_400.0
WAYS = ("bytes", "slice", "splice", "repeat", "swap-signatures", "swap-seals", "other-key", "renamed")


def command(number: int) -> Command:
    return Command(
        id=f"{number:016x}",
        action="MIGRATE",
        job="llama",
        generation=number,
        issued_at=NOW + number,
        expires_at=NOW + number + 60,
        reason=Reason(rule="break-even", numbers={"P": 0.91}, evidence=("health.assessment.v1/0/7",)),
        cause=Cause(0, number),
        incident="i1",
        node="n17",
        spare="n40",
        ranks=(3,),
        step=1200,
    )


@pytest.fixture(scope="module")
def chain() -> list[bytes]:
    """Three commands that follow each other."""
    raws: list[bytes] = []
    for number in range(3):
        raws.append(shared_sealer().seal(raws[-1] if raws else None, encode_command(command(number))))
    return raws


@pytest.fixture(scope="module")
def trusted() -> Keys:
    return read_keys(shared_keys().keyring)


def test_every_byte_of_a_command_counts(chain: list[bytes], trusted: Keys) -> None:
    """Each byte of three commands, altered in two ways: one bit, and to a blank."""
    tried = refused = 0
    for raw in chain:
        assert isinstance(verify(raw, trusted), Verified)
        for at in range(len(raw)):
            for other in {raw[at] ^ 1, 0x20} - {raw[at]}:
                tried += 1
                refused += isinstance(verify(raw[:at] + bytes([other]) + raw[at + 1 :], trusted), Refusal)
    print(f"{refused} of {tried} altered commands refused")
    assert refused == tried > 1000


def test_no_byte_can_be_left_out_or_put_in(chain: list[bytes], trusted: Keys) -> None:
    raw = chain[1]
    for at in range(len(raw)):
        assert isinstance(verify(raw[:at] + raw[at + 1 :], trusted), Refusal)
        assert isinstance(verify(raw[:at] + b" " + raw[at:], trusted), Refusal)
        assert isinstance(verify(raw[:at], trusted), Refusal)
    assert isinstance(verify(raw + b" ", trusted), Refusal)
    assert isinstance(verify(raw + b"\n", trusted), Refusal)


@given(
    data=st.data(),
    how=st.sampled_from(
        ["bytes", "slice", "splice", "repeat", "swap-signatures", "swap-seals", "other-key", "renamed"]
    ),
)
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_thousand_forgeries_are_refused(data: st.DataObject, how: str, chain: list[bytes], trusted: Keys) -> None:
    one, two = data.draw(st.permutations(chain))[:2]
    forged = _forged(data, how, one, two)
    assume(forged not in chain)
    assert isinstance(verify(forged, trusted), Refusal), forged


def _forged(data: st.DataObject, how: str, one: bytes, two: bytes) -> bytes:
    at = data.draw(st.integers(0, len(one) - 1))
    end = data.draw(st.integers(at, len(one)))
    if how == "bytes":
        return one[:at] + data.draw(st.binary(max_size=end - at + 1)) + one[end:]
    if how == "slice":
        return one[at:end]
    if how == "splice":
        return one[:at] + two[at:]
    if how == "repeat":
        return one[:end] + one[at:]
    if how == "swap-signatures":
        return one[: one.index(b',"signature"')] + two[two.index(b',"signature"') :]
    if how == "swap-seals":
        return one[: one.index(b',"previous"')] + two[two.index(b',"previous"') :]
    stranger = new_private_key()
    raw = stranger.seal(two, one[: one.index(b',"previous"')] + b"}")
    return raw if how == "other-key" else raw.replace(stranger.id.encode(), shared_sealer().key_id.encode())


@given(made=any_record(Command))
@settings(max_examples=100, deadline=None)
def test_any_command_is_authentic_when_sealed_and_reads_the_same(made: Command) -> None:
    raw = shared_sealer().seal(None, encode_command(made))
    assert isinstance(verify(raw, read_keys(shared_keys().keyring)), Verified)
    try:
        plain = decode_command(encode_command(made))
    except InvalidRecord:
        return
    assert decode_command(raw) == plain


def test_a_key_that_was_revoked_forges_nothing_more(tmp_path: Path) -> None:
    files = KeyFolder.at(tmp_path)
    old = files.new(NOW)
    stolen = read_private_key(files.key)
    files.rotate(NOW)
    files.switch()
    files.revoke(old.id, NOW)
    keys = read_keys(files.keyring)
    for number in range(100):
        assert verify(stolen.seal(None, encode_command(command(number))), keys) == Refusal("revoked-key", old.id)
