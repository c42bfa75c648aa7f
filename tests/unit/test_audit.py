"""Reading a command log back: what was cut, altered, moved, put in or signed by the wrong key is found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from signing_keys import shared_keys, shared_sealer

from connectors.codecs.records import encode_command, encode_record
from connectors.errors import WrongUse
from connectors.signing import KeyFolder
from connectors.signing.chain import Record, audit
from connectors.signing.export import audit_export, read_export, write_export
from connectors.signing.keyring import Keys, read_keys
from connectors.signing.private_key import PrivateKey, new_private_key, read_private_key
from connectors.signing.seal import NO_LINK, link_of
from infra.cli.main import main
from infra.command_log import CommandLog, audit_log
from models.records import Cause, Command, Reason

NOW = 1_763_942_400.0
LENGTH = 6


def command(number: int, partition: int = 0, at: float = NOW) -> Command:
    return Command(
        id=f"c{partition}{number:02}",
        action="CHECKPOINT",
        job="llama",
        generation=number,
        issued_at=at + number,
        expires_at=at + number + 60,
        reason=Reason(rule="test"),
        cause=Cause(partition, number),
    )


def chain(partition: int = 0, length: int = LENGTH, key: PrivateKey | None = None) -> list[bytes]:
    raws: list[bytes] = []
    for number in range(length):
        previous = raws[-1] if raws else None
        raws.append((key or shared_sealer()).seal(previous, encode_command(command(number, partition))))
    return raws


def records(raws: Sequence[bytes], at: float | None = None) -> list[Record]:
    return [Record(number, raw, at) for number, raw in enumerate(raws)]


WHOLE = chain()
FORGED = new_private_key().seal(WHOLE[2], encode_command(command(99)))
ALTERED = WHOLE[2].replace(b"CHECKPOINT", b"MIGRATE")
BARE = encode_command(command(99))


@pytest.fixture(scope="module")
def keys() -> Keys:
    return read_keys(shared_keys().keyring)


def reasons(raws: Sequence[bytes], keys: Keys | None, **more: Any) -> list[tuple[int | None, str]]:
    return [(fault.number, fault.reason) for fault in audit(0, records(raws), keys, **more).faults]


@pytest.mark.parametrize("checked", [True, False])
def test_a_whole_log_has_no_fault(keys: Keys, checked: bool) -> None:
    found = audit(0, records(WHOLE), keys if checked else None)
    assert (found.commands, found.repeated, found.faults) == (LENGTH, 0, [])
    assert (found.after, found.tip) == (NO_LINK, link_of(WHOLE[-1]))
    assert found.ids == {f"c0{number:02}" for number in range(LENGTH)}


def test_an_empty_log_has_none_either(keys: Keys) -> None:
    assert audit(0, [], keys).faults == []


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("at", range(LENGTH - 1))
def test_a_cut_is_found_wherever_it_is(keys: Keys, at: int, checked: bool) -> None:
    assert reasons([*WHOLE[:at], *WHOLE[at + 1 :]], keys if checked else None) == [(at, "broken-chain")]


def test_a_log_whose_first_part_is_gone_by_retention_has_no_fault(keys: Keys) -> None:
    found = audit(0, records(WHOLE[2:]), keys, None)
    assert found.faults == []
    assert found.after == link_of(WHOLE[1])


@pytest.mark.parametrize("at", range(LENGTH - 1))
def test_two_that_changed_places_are_found(keys: Keys, at: int) -> None:
    swapped = [*WHOLE[:at], WHOLE[at + 1], WHOLE[at], *WHOLE[at + 2 :]]
    assert (at, "broken-chain") in reasons(swapped, keys)
    assert (at, "broken-chain") in reasons(swapped, None)


@pytest.mark.parametrize(
    ("raws", "fault"),
    [
        ([*WHOLE[:2], ALTERED, *WHOLE[3:]], "bad-signature"),
        ([*WHOLE[:3], FORGED, *WHOLE[3:]], "unknown-key"),
        ([*WHOLE[:3], BARE, *WHOLE[3:]], "unsigned"),
        ([*WHOLE[:3], b"garbage", *WHOLE[3:]], "unreadable"),
        ([*WHOLE[:3], b'{"v":1,"id":"x"}', *WHOLE[3:]], "unreadable"),
    ],
)
def test_what_was_altered_or_put_in_is_named(keys: Keys, raws: list[bytes], fault: str) -> None:
    assert fault in {reason for _, reason in reasons(raws, keys)}


def test_what_was_put_in_does_not_make_the_real_ones_faulty(keys: Keys) -> None:
    assert reasons([*WHOLE[:3], FORGED, BARE, *WHOLE[3:]], keys) == [(3, "unknown-key"), (4, "unsigned")]


@pytest.mark.parametrize("raws", [[*WHOLE[:2], ALTERED, *WHOLE[3:]], [*WHOLE[:3], FORGED, *WHOLE[3:]]])
def test_the_chain_alone_finds_what_was_altered_or_put_in(raws: list[bytes]) -> None:
    assert [reason for _, reason in reasons(raws, None)] == ["broken-chain"]


def test_an_exact_repetition_is_counted_and_no_fault(keys: Keys) -> None:
    found = audit(0, records([*WHOLE[:4], *WHOLE[1:3], *WHOLE[4:]]), keys)
    assert (found.commands, found.repeated, found.faults) == (LENGTH, 2, [])


def test_a_repetition_under_the_next_key_is_none_either(tmp_path: Path) -> None:
    """A worker that hung over a rotation writes again what the one that took over has written with the new key."""
    files = KeyFolder.at(tmp_path)
    files.new(NOW)
    old = read_private_key(files.key)
    files.rotate(NOW)
    files.switch()
    first, second = chain(key=old), chain(key=read_private_key(files.key))
    mixed = [*first[:2], *second[2:4], first[2], first[3], first[4], *second[4:]]
    found = audit(0, records(mixed), read_keys(files.keyring))
    assert (found.commands, found.repeated, found.faults) == (LENGTH, 3, [])


@pytest.mark.parametrize(
    ("issued", "taken", "faulty"),
    [(NOW - 3600, None, False), (NOW + 3600, None, True), (NOW - 3600, NOW + 3600, True), (NOW, NOW - 60, False)],
)
def test_a_revoked_key_is_a_fault_from_the_time_of_its_revocation(
    tmp_path: Path, issued: float, taken: float | None, faulty: bool
) -> None:
    """By the broker's clock where it is known: who has a stolen key can write any time into a command."""
    files = KeyFolder.at(tmp_path)
    old = files.new(NOW - 7200).id
    stolen = read_private_key(files.key)
    files.rotate(NOW)
    files.switch()
    files.revoke(old, NOW)
    raw = stolen.seal(None, encode_command(command(0, at=issued)))
    found = audit(0, [Record(0, raw, taken)], read_keys(files.keyring))
    assert [fault.reason for fault in found.faults] == (["revoked-key"] if faulty else [])
    altered = raw.replace(b"CHECKPOINT", b"MIGRATE")
    assert audit(0, [Record(0, altered, taken)], read_keys(files.keyring)).faults[0].reason == "bad-signature"


# -- a file


def exported(path: Path) -> Path:
    write_export(path, {0: records(WHOLE), 1: records(chain(1, 3)), 2: []}, "a-run")
    return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return exported(tmp_path / "log.jsonl")


def faults_of(path: Path, keys: Keys | None) -> list[str]:
    read = read_export(path)
    found = audit_export(read, keys)
    faults = [*read.strange, *(fault for one in found for fault in one.faults)]
    return [fault.reason for fault in faults] + (["cut-short"] if read.last is None else [])


def test_an_export_holds_each_record_as_it_is_and_a_last_line(export: Path) -> None:
    lines = export.read_bytes().splitlines()
    assert lines[:-1] == [*WHOLE, *chain(1, 3)]
    last = json.loads(lines[-1])
    assert (last["kind"], last["run"]) == ("export", "a-run")
    assert [(one["partition"], one["records"]) for one in last["partitions"]] == [(0, 6), (1, 3), (2, 0)]
    assert last["partitions"][1]["tip"] == link_of(chain(1, 3)[-1])


@pytest.mark.parametrize("checked", [True, False])
def test_a_whole_export_has_no_fault(export: Path, keys: Keys, checked: bool) -> None:
    assert faults_of(export, keys if checked else None) == []


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("line", range(10))
def test_an_export_that_lacks_any_line_is_found(export: Path, keys: Keys, line: int, checked: bool) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(b"".join([*lines[:line], *lines[line + 1 :]]))
    assert faults_of(export, keys if checked else None)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("kept", range(10))
def test_an_export_that_ends_early_is_found(export: Path, keys: Keys, kept: int, checked: bool) -> None:
    export.write_bytes(b"".join(export.read_bytes().splitlines(keepends=True)[:kept]))
    assert "cut-short" in faults_of(export, keys if checked else None)


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("line", range(10))
def test_an_export_with_any_line_altered_is_found(export: Path, keys: Keys, line: int, checked: bool) -> None:
    lines = export.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"CHECKPOINT", b"MIGRATE") if line < 9 else lines[line].replace(b"6", b"7", 1)
    export.write_bytes(b"".join(lines))
    assert faults_of(export, keys if checked else None)


def test_an_export_of_a_log_that_has_lost_its_first_part_is_whole(tmp_path: Path, keys: Keys) -> None:
    path = tmp_path / "later.jsonl"
    write_export(path, {0: records(WHOLE[3:])}, None)
    assert faults_of(path, keys) == []
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert "broken-chain" in faults_of(path, keys)


def test_no_export_is_overwritten(export: Path) -> None:
    with pytest.raises(WrongUse, match="is there already"):
        exported(export)
    with pytest.raises(WrongUse, match="cannot be read"):
        read_export(export.parent)


# -- answers


def test_an_answer_to_a_command_that_is_not_there_is_a_fault(keys: Keys) -> None:
    """The last commands of a topic can be cut without a trace in the chain; their outcomes tell."""
    answered = [(0, number, f"c0{number:02}") for number in range(LENGTH)] + [(0, 50, "c005")]
    log = CommandLog("topic", None, {0: records(WHOLE), 1: []}, frozenset({0, 1}), answered)
    assert audit_log(log, keys)[0].faults == []
    cut = CommandLog("topic", None, {0: records(WHOLE[:-1]), 1: []}, frozenset({0, 1}), answered)
    [fault] = audit_log(cut, keys)[0].faults
    assert (fault.reason, fault.command) == ("unknown-answer", "c005")


# -- the command


def verified(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["audit", "verify", *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without keys and runs."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.mark.usefixtures("nothing_else")
def test_verify_tells_faults_and_exits_with_1(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keyring = ["--keyring", str(shared_keys().keyring)]
    code, result = verified([str(export), *keyring], capsys)
    assert (code, result["ok"], result["commands"], result["signatures"]) == (0, True, 9, "checked")
    export.write_bytes(export.read_bytes().replace(b"CHECKPOINT", b"MIGRATE", 1))
    code, result = verified([str(export), *keyring], capsys)
    assert (code, result["ok"]) == (1, False)
    assert [(fault["record"], fault["reason"]) for fault in result["faults"]] == [
        (1, "bad-signature"),
        (2, "broken-chain"),
    ]
    assert main(["audit", "verify", str(export), *keyring]) == 1
    assert "FAULT partition 0 record 1 command c000: it is not what was signed" in capsys.readouterr().out


@pytest.mark.usefixtures("nothing_else")
def test_verify_says_when_signatures_were_not_checked(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result = verified([str(export)], capsys)
    assert (code, result["signatures"], result["keyring"]) == (0, "not checked", None)
    main(["audit", "verify", str(export)])
    assert "signatures were NOT checked" in capsys.readouterr().out


@pytest.mark.usefixtures("nothing_else")
def test_what_is_not_there_is_wrong_use(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["verify", "/no/file"],
        ["verify", str(export), "--keyring", "/no/ring"],
        ["verify"],
        ["export", str(export)],
    ):
        assert main(["audit", *words]) == 2
    told = capsys.readouterr().err
    assert "/no/file" in told
    assert "/no/ring" in told
    assert "there is no run of the embedded broker yet" in told
    assert "is there already" in told


def test_a_flood_of_faults_is_told_in_short(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_bytes(b"\n".join([encode_record(command(number)) for number in range(50)]))
    assert main(["audit", "verify", str(path), "--keyring", str(shared_keys().keyring)]) == 1
    told = capsys.readouterr().out
    assert told.count("FAULT") == 21
    assert "and 31 more" in told
