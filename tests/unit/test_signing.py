"""The seal, the keys and the keyring: what is signed, who may read what, and the order of a rotation."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.errors import WrongUse
from connectors.signing import FileSealer, KeyFolder, Keyring, Refusal, Verified
from connectors.signing.keyring import read_keys, write_keys
from connectors.signing.private_key import new_private_key, read_private_key, write_private_key
from connectors.signing.seal import NO_LINK, key_id_of, link_of, read_seal

NOW = 1_763_942_400.0
VALUE = b'{"v":1,"id":"a"}'


class Said(list[str]):
    """What was told, in order."""

    def __call__(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def files(tmp_path: Path) -> KeyFolder:
    made = KeyFolder.at(tmp_path / "keys")
    made.new(NOW, "the first")
    return made


@pytest.fixture
def said() -> Said:
    return Said()


def signer(files: KeyFolder) -> FileSealer:
    return FileSealer(files, Said())


def ring(files: KeyFolder) -> Keyring:
    return Keyring(files.keyring, Said())


# -- the seal


def test_a_sealed_command_is_its_json_with_three_fields_more_at_its_end(files: KeyFolder) -> None:
    raw = signer(files).seal(None, VALUE)
    assert raw.startswith(b'{"v":1,"id":"a","previous":"')
    assert list(json.loads(raw)) == ["v", "id", "previous", "key_id", "signature"]
    assert json.loads(raw)["previous"] == NO_LINK
    assert ring(files).verify(raw) == Verified(json.loads(raw)["key_id"])


def test_the_same_command_and_key_give_the_same_bytes(files: KeyFolder) -> None:
    assert signer(files).seal(b"x", VALUE) == signer(files).seal(b"x", VALUE)


def test_a_command_names_the_one_before_it(files: KeyFolder) -> None:
    first = signer(files).seal(None, VALUE)
    second = signer(files).seal(first, VALUE)
    assert json.loads(second)["previous"] == link_of(first) != NO_LINK
    assert link_of(second) != link_of(first)


def test_the_chain_does_not_depend_on_the_key(files: KeyFolder, tmp_path: Path) -> None:
    other = KeyFolder.at(tmp_path / "other")
    other.new(NOW)
    one, two = signer(files).seal(None, VALUE), signer(other).seal(None, VALUE)
    assert one != two
    assert link_of(one) == link_of(two)


def test_what_bears_no_seal_is_linked_to_by_all_of_its_bytes() -> None:
    assert link_of(VALUE) != link_of(VALUE + b" ")


def test_only_an_object_can_be_sealed(files: KeyFolder) -> None:
    with pytest.raises(ValueError, match="only a JSON object"):
        signer(files).seal(None, b"[1]")


def test_a_signature_has_one_spelling_only(files: KeyFolder) -> None:
    """The last letter of the base64 has four bits that decoding lets fall."""
    raw = signer(files).seal(None, VALUE)
    signature = json.loads(raw)["signature"].encode()
    same = [
        other
        for letter in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        if (other := signature[:-3] + bytes([letter]) + b"==") != signature
        and base64.b64decode(other) == base64.b64decode(signature)
    ]
    assert len(same) == 15
    assert all(read_seal(raw.replace(signature, other)) is None for other in same)


@pytest.mark.parametrize("raw", [b"", b"{}", VALUE, b"\xff" * 300, b'{"v":1}' * 100])
def test_what_bears_no_seal_is_unsigned(files: KeyFolder, raw: bytes) -> None:
    assert ring(files).verify(raw) == Refusal("unsigned")


def test_the_seal_alone_is_no_command(files: KeyFolder) -> None:
    raw = signer(files).seal(None, VALUE)
    assert read_seal(raw[raw.index(b',"previous"') :]) is None


# -- the judgement


def test_each_refusal_says_why_and_whom_it_names(files: KeyFolder, tmp_path: Path) -> None:
    stranger = new_private_key()
    assert ring(files).verify(stranger.seal(None, VALUE)) == Refusal("unknown-key", stranger.id)
    raw = signer(files).seal(None, VALUE)
    [own] = read_keys(files.keyring)
    assert ring(files).verify(raw.replace(b'"a"', b'"b"')) == Refusal("bad-signature", own)
    forged = stranger.seal(None, VALUE).replace(stranger.id.encode(), own.encode())
    assert ring(files).verify(forged) == Refusal("bad-signature", own)


def test_a_revoked_key_is_refused_and_its_commands_are_known_again(files: KeyFolder) -> None:
    raw = signer(files).seal(None, VALUE)
    [old] = read_keys(files.keyring)
    files.rotate(NOW)
    files.switch()
    files.revoke(old, NOW)
    assert ring(files).verify(raw) == Refusal("revoked-key", old)
    assert signer(files).holds(raw), "what stands on the log stays ours"
    assert not signer(files).holds(raw.replace(b'"a"', b'"b"'))
    assert not signer(files).holds(VALUE)


# -- the files


def test_the_private_key_is_for_its_owner_alone(files: KeyFolder) -> None:
    assert files.key.stat().st_mode & 0o777 == 0o600
    assert files.key.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o660])
def test_a_private_key_that_is_open_to_others_is_refused_with_the_cure(files: KeyFolder, mode: int) -> None:
    files.key.chmod(mode)
    with pytest.raises(WrongUse, match=rf"mode {mode:o}.*`chmod 600 {files.key}`"):
        signer(files)


def test_a_keyring_that_everybody_may_write_is_refused_with_the_cure(files: KeyFolder) -> None:
    files.keyring.chmod(0o666)
    with pytest.raises(WrongUse, match=r"`chmod 644 .*keyring\.json`"):
        ring(files)


def test_a_missing_key_or_keyring_names_what_makes_it(tmp_path: Path) -> None:
    nowhere = KeyFolder.at(tmp_path)
    for make in (lambda: read_private_key(nowhere.key), lambda: ring(nowhere), lambda: signer(nowhere)):
        with pytest.raises(WrongUse, match="forestall keys new"):
            make()


@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff\x00"]
)
def test_a_damaged_private_key_is_told(files: KeyFolder, content: bytes) -> None:
    files.key.write_bytes(content)
    with pytest.raises(WrongUse, match="is damaged"):
        read_private_key(files.key)


def test_a_key_of_another_kind_is_told(files: KeyFolder) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    other = generate_private_key(SECP256R1())
    files.key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(WrongUse, match="no Ed25519 key"):
        read_private_key(files.key)


@pytest.mark.parametrize(
    "change",
    [
        lambda keyring: "{",
        lambda keyring: "[]",
        lambda keyring: keyring.replace('"v": 1', '"v": 2'),
        lambda keyring: keyring.replace("live", "trusted"),
        lambda keyring: keyring.replace('"state"', '"status"'),
        lambda keyring: keyring.replace('"id": "', '"id": "0')[:-1],
        lambda keyring: keyring.replace('"public_key": "', '"public_key": "AAAA'),
        lambda keyring: keyring.replace('"public_key": "', '"public_key": "!'),
        lambda keyring: json.dumps({"v": 1, "keys": json.loads(keyring)["keys"] * 2}),
    ],
)
def test_a_damaged_keyring_is_told(files: KeyFolder, change: object) -> None:
    files.keyring.write_text(change(files.keyring.read_text()))  # type: ignore[operator]
    with pytest.raises(WrongUse, match="the keyring"):
        read_keys(files.keyring)


def test_a_key_is_named_by_its_public_bytes(files: KeyFolder) -> None:
    [key] = read_keys(files.keyring).values()
    assert key.id == key_id_of(key.public) == read_private_key(files.key).id
    assert (key.state, key.made_at, key.comment) == ("live", "2025-11-24T00:00:00.000Z", "the first")


def test_nothing_is_left_beside_the_files(files: KeyFolder) -> None:
    files.rotate(NOW)
    files.switch()
    assert sorted(path.name for path in files.key.parent.iterdir()) == ["keyring.json", "signing.key"]


# -- a rotation


def test_new_overwrites_nothing(files: KeyFolder) -> None:
    before = files.key.read_bytes(), files.keyring.read_bytes()
    with pytest.raises(WrongUse, match="forestall keys rotate"):
        files.new(NOW)
    files.keyring.unlink()
    with pytest.raises(WrongUse, match="without its keyring"):
        files.new(NOW)
    assert files.key.read_bytes() == before[0]


def test_the_next_key_is_trusted_before_it_signs(files: KeyFolder) -> None:
    [old] = read_keys(files.keyring)
    new = files.rotate(NOW).id
    assert {key.id: key.state for key in read_keys(files.keyring).values()} == {old: "live", new: "live"}
    assert signer(files).key_id == old
    assert files.coming.stat().st_mode & 0o777 == 0o600
    assert files.switch().id == new
    assert signer(files).key_id == new
    assert {key.state for key in read_keys(files.keyring).values()} == {"live"}, "commands of the old one still hold"


def test_a_rotation_that_was_begun_is_gone_on_with(files: KeyFolder) -> None:
    assert files.rotate(NOW) == files.rotate(NOW + 1)
    files.switch()
    with pytest.raises(WrongUse, match="no key to switch to"):
        files.switch()


def test_a_rotation_that_crashed_before_the_keyring_was_written_is_gone_on_with(files: KeyFolder) -> None:
    made = new_private_key()
    write_private_key(files.coming, made)
    with pytest.raises(WrongUse, match="rotate again"):
        files.switch()
    assert files.rotate(NOW).id == made.id
    assert files.switch().id == made.id


def test_two_keys_are_live_at_most(files: KeyFolder) -> None:
    [old] = read_keys(files.keyring)
    files.rotate(NOW)
    files.switch()
    with pytest.raises(WrongUse, match=f"revoke {old} first"):
        files.rotate(NOW)
    assert not files.coming.exists()
    files.revoke(old, NOW)
    assert files.rotate(NOW).state == "live"


def test_the_key_that_signs_is_not_revoked(files: KeyFolder) -> None:
    [own] = read_keys(files.keyring)
    with pytest.raises(WrongUse, match="rotate --switch"):
        files.revoke(own, NOW)
    files.key.unlink()  # as on the machine of a cluster agent, which has a copy of the keyring alone
    assert files.revoke(own, NOW).state == "revoked"
    assert files.revoke(own, NOW + 9).revoked_at == "2025-11-24T00:00:00.000Z", "again changes nothing"


def test_an_unknown_key_is_not_revoked(files: KeyFolder) -> None:
    [own] = read_keys(files.keyring)
    with pytest.raises(WrongUse, match=f"no key 'abc'.*{own}"):
        files.revoke("abc", NOW)


def test_a_coming_key_that_is_revoked_never_signs(files: KeyFolder) -> None:
    coming = files.rotate(NOW).id
    files.revoke(coming, NOW)
    assert not files.coming.exists()
    assert files.rotate(NOW).id != coming


# -- read again while they are in use


def test_a_changed_keyring_is_used_at_once(files: KeyFolder, said: Said) -> None:
    keyring, stranger = Keyring(files.keyring, said), KeyFolder.at(files.key.parent / "other")
    stranger.new(NOW)
    raw = signer(stranger).seal(None, VALUE)
    assert isinstance(keyring.verify(raw), Refusal)
    write_keys(files.keyring, [*read_keys(files.keyring).values(), *read_keys(stranger.keyring).values()])
    assert isinstance(keyring.verify(raw), Verified)
    assert said == [f"{files.keyring} has changed and was read again"]


@pytest.mark.parametrize("damage", ["cut", "gone", "open"])
def test_a_broken_new_keyring_keeps_the_old_keys_and_says_so(files: KeyFolder, said: Said, damage: str) -> None:
    keyring, raw = Keyring(files.keyring, said), signer(files).seal(None, VALUE)
    content = files.keyring.read_bytes()
    if damage == "cut":
        files.keyring.write_bytes(content[:-20])
    elif damage == "gone":
        files.keyring.unlink()
    else:
        files.keyring.write_bytes(content + b"\n")
        files.keyring.chmod(0o666)
    assert [type(keyring.verify(raw)) for _ in range(3)] == [Verified] * 3
    [line] = said
    assert str(files.keyring) in line
    assert line.endswith("what it held before stays in use")
    write_keys(files.keyring, ())
    assert keyring.verify(raw) == Refusal("unknown-key", read_private_key(files.key).id)


def test_a_switched_key_signs_the_next_command(files: KeyFolder, said: Said) -> None:
    sealer, keyring = FileSealer(files, said), ring(files)
    old = sealer.seal(None, VALUE)
    new = files.rotate(NOW).id
    assert sealer.key_id != new
    files.switch()
    fresh = sealer.seal(old, VALUE)
    assert keyring.verify(fresh) == Verified(new)
    assert isinstance(keyring.verify(old), Verified)


def test_a_new_key_that_no_agent_would_obey_does_not_sign(files: KeyFolder, said: Said) -> None:
    sealer = FileSealer(files, said)
    own = sealer.key_id
    write_private_key(files.key, new_private_key())
    assert [sealer.key_id] * 3 == [own] * 3
    assert "is not in the keyring" in said[1]
    assert said[1].endswith(f"meanwhile {own} signs")
    files.key.write_bytes(b"?")
    assert sealer.key_id == own
    assert len(said) == 3


def test_the_two_files_of_a_new_key_may_come_in_any_order(files: KeyFolder, tmp_path: Path) -> None:
    """A second worker's machine, to which the private key is copied before the keyring."""
    other = KeyFolder.at(tmp_path / "other")
    write_private_key(other.key, read_private_key(files.key))
    write_keys(other.keyring, read_keys(files.keyring).values())
    sealer = signer(other)
    old = sealer.key_id
    new = files.rotate(NOW).id
    files.switch()
    write_private_key(other.key, read_private_key(files.key))
    assert sealer.key_id == old, "no agent would know it yet"
    write_keys(other.keyring, read_keys(files.keyring).values())
    assert sealer.key_id == new


def test_a_worker_whose_key_is_revoked_says_so(files: KeyFolder, said: Said) -> None:
    sealer = FileSealer(files, said)
    [key] = read_keys(files.keyring).values()
    write_keys(files.keyring, [replace(key, state="revoked", revoked_at=key.made_at)])
    assert sealer.key_id == key.id
    assert f"{key.id} is revoked in" in said[-1]


def test_a_worker_does_not_start_with_a_key_that_no_agent_would_obey(files: KeyFolder) -> None:
    write_private_key(files.key, new_private_key())
    with pytest.raises(WrongUse, match=r"is not in the keyring .*`forestall keys new`"):
        signer(files)


def test_a_worker_does_not_start_with_a_revoked_key(files: KeyFolder) -> None:
    [own] = read_keys(files.keyring)
    kept = files.key.read_bytes()
    files.rotate(NOW)
    files.switch()
    files.revoke(own, NOW)
    files.key.write_bytes(kept)
    os.chmod(files.key, 0o600)
    with pytest.raises(WrongUse, match=f"{own} is revoked"):
        signer(files)
