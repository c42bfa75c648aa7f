"""The sealer of a worker: signs with the key that its file holds at that moment."""

from __future__ import annotations

from pathlib import Path

from connectors.signing.files import Say, Watched
from connectors.signing.folder import KeyFolder, require_live
from connectors.signing.keyring import Keyring
from connectors.signing.private_key import PrivateKey, read_private_key


class FileSealer:
    """Seals commands, and knows its own again; both files are read again when they change.

    A new key that cannot be used, or is not live in the keyring, is told, and the old one goes on signing.

    Raises
    ------
    WrongUse
        At first: there is no key or no keyring, or the key is not live in it.
    """

    def __init__(self, files: KeyFolder, say: Say) -> None:
        self._keyring = Keyring(files.keyring, say)
        self._keyring_path = files.keyring
        self._key = Watched(files.key, self._usable, say)

    def _usable(self, path: Path) -> PrivateKey:
        return require_live(read_private_key(path), self._keyring.keys(), self._keyring_path)

    @property
    def key_id(self) -> str:
        """The key that signs now."""
        return self._key.current().id

    def seal(self, previous: bytes | None, value: bytes) -> bytes:
        """Seal a command's JSON, linked to the one before it on its partition (None: it is the first)."""
        return self._key.current().seal(previous, value)

    def holds(self, raw: bytes) -> bool:
        """Whether these bytes were sealed by a key of the keyring, also by one that is revoked now."""
        return self._keyring.signer(raw) is not None
