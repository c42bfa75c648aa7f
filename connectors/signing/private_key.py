"""The private key: one Ed25519 key in a PEM file that nobody but its owner may read."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from connectors.errors import WrongUse
from connectors.lasting_files import write_atomically
from connectors.signing.seal import close, key_id_of, link_of, to_sign

PRIVATE_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs; ``public`` is its 32 public bytes."""

    id: str
    public: bytes
    _key: Ed25519PrivateKey

    def seal(self, previous: bytes | None, value: bytes) -> bytes:
        """Seal a command's JSON, linked to the bytes of the one before it on its partition (None: there is none)."""
        signed = to_sign(value, link_of(previous), self.id)
        return close(signed, self._key.sign(signed))


def new_private_key() -> PrivateKey:
    """Make a key from the system's random source."""
    return _of(Ed25519PrivateKey.generate())


def _of(key: Ed25519PrivateKey) -> PrivateKey:
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PrivateKey(key_id_of(public), public, key)


def write_private_key(path: Path, key: PrivateKey) -> None:
    """Write the key for its owner alone."""
    write_atomically(path, key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE_MODE)


def read_private_key(path: Path) -> PrivateKey:
    """Read a key.

    Raises
    ------
    WrongUse
        There is none, others may read or write it, or it is no Ed25519 key; the message says what to do.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        raise WrongUse(f"there is no signing key {path}: make one with `forestall keys new`") from None
    except OSError as fault:
        raise WrongUse(f"the signing key {path} cannot be read: {fault.strerror}") from fault
    if mode & _OTHERS:
        raise WrongUse(
            f"the signing key {path} is open to others (mode {stat.S_IMODE(mode):o}): whoever reads it can command "
            f"your jobs. Close it with `chmod 600 {path}`, and rotate it if it was open on a shared machine"
        )
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as fault:
        raise WrongUse(f"the signing key {path} is damaged or not a PEM file without password: {fault}") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise WrongUse(f"the signing key {path} is no Ed25519 key: make one with `forestall keys new`")
    return _of(key)
