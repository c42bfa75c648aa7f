"""A folder of keys: the private key that signs, the one that will, and the keyring; made, rotated and revoked.

The order of a rotation keeps every command acceptable at each moment: the new key is in the keyring (``rotate``) before
the keyring is copied to the agents, and signs (``switch``) only after that; the old one stays live until it is revoked.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from connectors.errors import WrongUse
from connectors.lasting_files import move
from connectors.signing.keyring import Keys, TrustedKey, read_keys, write_keys
from connectors.signing.private_key import PrivateKey, new_private_key, read_private_key, write_private_key

LIVE_KEYS_MAX = 2
KEY_NAME = "signing.key"
KEYRING_NAME = "keyring.json"


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Where the keys are: ``key`` is the private one that signs, ``keyring`` the public file."""

    key: Path
    keyring: Path

    @classmethod
    def at(cls, folder: Path) -> KeyFolder:
        """The files by their usual names in a folder."""
        return cls(folder / KEY_NAME, folder / KEYRING_NAME)

    @property
    def coming(self) -> Path:
        """The private key that will sign after :meth:`switch`."""
        return self.key.with_name(self.key.name + ".coming")

    def new(self, now: float, comment: str = "") -> TrustedKey:
        """Make the first key and its keyring; refuses where either is there already."""
        if self.keyring.exists():
            raise WrongUse(f"{self.keyring} is there already: `forestall keys rotate` makes the next key")
        if self.key.exists():
            raise WrongUse(f"{self.key} is there without its keyring: copy that back, or move the key away")
        made = new_private_key()
        write_private_key(self.key, made)
        trusted = _trusted(made, now, comment)
        write_keys(self.keyring, [trusted])
        return trusted

    def rotate(self, now: float, comment: str = "") -> TrustedKey:
        """Make the next key and trust it; it does not sign yet. Again before the switch: the same key."""
        keys = read_keys(self.keyring)
        signing = read_private_key(self.key)
        if self.coming.exists():
            made = read_private_key(self.coming)
            if made.id in keys:
                return keys[made.id]
        else:
            made = new_private_key()
        live = [key.id for key in keys.values() if key.state == "live"]
        if len(live) >= LIVE_KEYS_MAX:
            old = ", ".join(key for key in live if key != signing.id)
            raise WrongUse(f"{LIVE_KEYS_MAX} keys are live already: revoke {old} first (`forestall keys revoke ID`)")
        write_private_key(self.coming, made)
        trusted = _trusted(made, now, comment)
        write_keys(self.keyring, [*keys.values(), trusted])
        return trusted

    def switch(self) -> TrustedKey:
        """Let the key that :meth:`rotate` made sign from now on; the old private key is gone after it."""
        if not self.coming.exists():
            raise WrongUse(f"there is no key to switch to beside {self.key}: `forestall keys rotate` makes it first")
        made = read_private_key(self.coming)
        trusted = read_keys(self.keyring).get(made.id)
        if trusted is None or trusted.state != "live":
            raise WrongUse(f"the key {made.id} is not live in {self.keyring}: delete {self.coming} and rotate again")
        move(self.coming, self.key)
        return trusted

    def revoke(self, key_id: str, now: float) -> TrustedKey:
        """Trust a key no more, here; agents follow when they have this keyring. Again: nothing changes."""
        keys = read_keys(self.keyring)
        if key_id not in keys:
            raise WrongUse(f"there is no key {key_id!r} in {self.keyring}; there are: {', '.join(keys) or 'none'}")
        if self.key.exists() and read_private_key(self.key).id == key_id:
            raise WrongUse(
                f"the key {key_id} signs now, and revoking it would stop every command: `forestall keys rotate`, then "
                "`forestall keys rotate --switch`, then revoke it"
            )
        if keys[key_id].state == "revoked":
            return keys[key_id]
        gone = replace(keys[key_id], state="revoked", revoked_at=_iso(now))
        write_keys(self.keyring, [gone if key.id == key_id else key for key in keys.values()])
        if self.coming.exists() and read_private_key(self.coming).id == key_id:
            self.coming.unlink()
        return gone


def require_live(key: PrivateKey, keys: Keys, keyring: Path) -> PrivateKey:
    """Return the key when agents that hold this keyring accept it; raises :class:`WrongUse`."""
    trusted = keys.get(key.id)
    if trusted is None:
        raise WrongUse(
            f"the signing key {key.id} is not in the keyring {keyring}, so no agent would obey it: name the keyring "
            "that was made with it, or make keys anew with `forestall keys new`"
        )
    if trusted.state != "live":
        raise WrongUse(f"the signing key {key.id} is revoked in {keyring}: `forestall keys rotate --switch`")
    return key


def _trusted(key: PrivateKey, now: float, comment: str) -> TrustedKey:
    public = b64encode(key.public).decode()
    return TrustedKey(id=key.id, public_key=public, state="live", made_at=_iso(now), comment=comment)


def _iso(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
