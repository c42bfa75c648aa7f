"""The keyring: which public keys are trusted, in a JSON file that a person can read; and the judgement by it."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connectors.errors import WrongUse
from connectors.lasting_files import write_atomically
from connectors.signing.files import Say, Watched
from connectors.signing.seal import key_id_of, read_seal

KeyState = Literal["live", "revoked"]
RefusedFor = Literal["unsigned", "unknown-key", "revoked-key", "bad-signature"]
KEYRING_MODE = 0o644
PUBLIC_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedKey:
    """A public key (32 bytes in base64) and what became of it; times are ISO 8601 in UTC."""

    id: str
    public_key: str
    state: KeyState
    made_at: str
    comment: str = ""
    revoked_at: str | None = None

    @property
    def public(self) -> bytes:
        """The 32 public bytes."""
        return base64.b64decode(self.public_key, validate=True)


class _File(msgspec.Struct):
    v: Literal[1]
    keys: list[TrustedKey]


Keys = Mapping[str, TrustedKey]


def read_keys(path: Path) -> Keys:
    """Read a keyring file: keys by id, in the file's order.

    Raises
    ------
    WrongUse
        There is none, everybody may write it, or it is not sound; the message says what to do.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise WrongUse(
            f"there is no keyring {path}: make keys with `forestall keys new`, or copy the keyring of the machine that "
            "has them"
        ) from None
    except OSError as fault:
        raise WrongUse(f"the keyring {path} cannot be read: {fault.strerror}") from fault
    if mode & stat.S_IWOTH:
        raise WrongUse(f"everybody may write the keyring {path}, and so add a key: close it with `chmod 644 {path}`")
    try:
        keys = msgspec.json.decode(content, type=_File).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise WrongUse(f"the keyring {path} is damaged: {fault}") from fault
    for key in keys:
        _require_sound(key, path)
    if len({key.id for key in keys}) != len(keys):
        raise WrongUse(f"the keyring {path} has a key twice")
    return {key.id: key for key in keys}


def _require_sound(key: TrustedKey, path: Path) -> None:
    try:
        public = key.public
    except ValueError:
        public = b""
    if len(public) != PUBLIC_BYTES or key_id_of(public) != key.id:
        raise WrongUse(f"the keyring {path} is damaged: the public key of {key.id!r} is not that key's")


def write_keys(path: Path, keys: Iterable[TrustedKey]) -> None:
    """Write a keyring file, a line a field; readers see the old one or the new one."""
    content = msgspec.json.format(msgspec.json.encode(_File(1, list(keys))), indent=2) + b"\n"
    write_atomically(path, content, KEYRING_MODE)


@dataclass(frozen=True, slots=True)
class Verified:
    """A command that is authentic: signed, as it stands, by a key that is trusted now."""

    key_id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that is not authentic, and why; ``key_id`` is who it claims to be signed by, if it claims anything."""

    reason: RefusedFor
    key_id: str | None = None


class Keyring:
    """A keyring file in use; it is read again when it changes, and a damaged new one leaves the old keys in use.

    Parameters
    ----------
    path : Path
        The file; :class:`WrongUse` when it cannot be used at first.
    say : callable
        Told in words when it was read again, or could not be.
    """

    def __init__(self, path: Path, say: Say) -> None:
        self._file = Watched(path, read_keys, say)

    def keys(self) -> Keys:
        """The keys by id, as the file has them now."""
        return self._file.current()

    def verify(self, raw: bytes) -> Verified | Refusal:
        """Judge the bytes of a command as they came from the log."""
        return verify(raw, self.keys())

    def signer(self, raw: bytes) -> TrustedKey | None:
        """The key that signed these bytes, live or revoked since; None when they are not authentic."""
        return signer(raw, self.keys())


def verify(raw: bytes, keys: Keys) -> Verified | Refusal:
    """Judge the bytes of a command by these keys."""
    seal = read_seal(raw)
    if seal is None:
        return Refusal("unsigned")
    key = keys.get(seal.key_id)
    if key is None:
        return Refusal("unknown-key", seal.key_id)
    if key.state != "live":
        return Refusal("revoked-key", seal.key_id)
    if not _signed_by(key, seal.signature, seal.signed):
        return Refusal("bad-signature", seal.key_id)
    return Verified(seal.key_id)


def signer(raw: bytes, keys: Keys) -> TrustedKey | None:
    """The key among these that signed the bytes, whatever became of it since."""
    seal = read_seal(raw)
    key = None if seal is None else keys.get(seal.key_id)
    return key if seal and key and _signed_by(key, seal.signature, seal.signed) else None


def _signed_by(key: TrustedKey, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, signed)
    except InvalidSignature:
        return False
    return True
