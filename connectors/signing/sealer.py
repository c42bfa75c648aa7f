"""The sealer of a worker: signs with the key that its file holds at that moment."""

from __future__ import annotations

from connectors.errors import WrongUse
from connectors.signing.files import Say, Watched
from connectors.signing.folder import KeyFolder, require_live
from connectors.signing.keyring import Keyring
from connectors.signing.private_key import PrivateKey, read_private_key


class FileSealer:
    """Seals commands, and knows its own again; both files are read again when they change.

    A new key that cannot be used is told, and the old one goes on signing; one that is not live in the keyring signs as
    soon as the keyring says that it is, in whichever order the two files come.

    Raises
    ------
    WrongUse
        At first: there is no key or no keyring, or the key is not live in it.
    """

    def __init__(self, files: KeyFolder, say: Say) -> None:
        self._say, self._keyring_path = say, files.keyring
        self._keyring = Keyring(files.keyring, say)
        self._key = Watched(files.key, read_private_key, say)
        self._seen = self._key.current(), self._keyring.keys()
        self._signing = require_live(*self._seen, files.keyring)

    def _current(self) -> PrivateKey:
        key, keys = self._key.current(), self._keyring.keys()
        if key is not self._seen[0] or keys is not self._seen[1]:
            self._seen = key, keys
            try:
                self._signing = require_live(key, keys, self._keyring_path)
            except WrongUse as wrong:
                self._say(f"{wrong}; meanwhile {self._signing.id} signs")
        return self._signing

    @property
    def key_id(self) -> str:
        """The key that signs now."""
        return self._current().id

    def seal(self, previous: bytes | None, value: bytes) -> bytes:
        """Seal a command's JSON, linked to the one before it on its partition (None: it is the first)."""
        return self._current().seal(previous, value)

    def holds(self, raw: bytes) -> bool:
        """Whether these bytes were sealed by a key of the keyring, also by one that is revoked now."""
        return self._keyring.signer(raw) is not None
