"""Signed commands: the seal that a worker puts on each, the keys it signs with, and the keyring that agents trust.

``Keyring`` judges the bytes of a command, ``FileSealer`` makes them, ``KeyFolder`` is where both find their files. Who
reads a log of commands back uses ``chain``.
"""

from connectors.signing.folder import KeyFolder
from connectors.signing.keyring import Keyring, Refusal, Verified
from connectors.signing.sealer import FileSealer

__all__ = ["FileSealer", "KeyFolder", "Keyring", "Refusal", "Verified"]
