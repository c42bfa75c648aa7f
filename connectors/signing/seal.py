"""What a seal is: three fields at the end of a command's JSON, in bytes of a fixed length.

``previous`` is the link to the command before on the same partition, ``key_id`` names the key, ``signature`` is Ed25519
over every byte before it. The link is the SHA-256 of a sealed command up to its ``key_id``, so the chain tells what was
commanded and in which order, whoever signed it: it follows from the log alone, and a key that changes meanwhile cannot
fork it. Everything is judged over the raw bytes, so there is nothing to canonicalise.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

#: What the first command of a partition names as the one before it.
NO_LINK: Final = "0" * 64
_SIGNATURE_CHARS: Final = 88
_TAIL: Final = re.compile(
    rb',"previous":"([0-9a-f]{64})","key_id":"([0-9a-f]{16})","signature":"([A-Za-z0-9+/]{86}==)"\}'
)
_TAIL_BYTES: Final = len(',"previous":"","key_id":"","signature":""}') + 64 + 16 + _SIGNATURE_CHARS
_SIGNATURE_BYTES: Final = len(',"signature":""}') + _SIGNATURE_CHARS
_SIGNER_BYTES: Final = len(',"key_id":""') + 16 + _SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Seal:
    """A seal as it stands: the link to the command before, who claims to have signed, what is signed, and how."""

    previous: str
    key_id: str
    signed: bytes
    signature: bytes


def key_id_of(public: bytes) -> str:
    """The name of a key: the first 16 hexadecimal digits of the SHA-256 of its 32 public bytes.

    >>> key_id_of(bytes(32))
    '66687aadf862bd77'
    """
    return hashlib.sha256(public).hexdigest()[:16]


def read_seal(raw: bytes) -> Seal | None:
    """Read the seal off a command's bytes; None when it bears none, or one of another form."""
    found = _TAIL.fullmatch(raw[-_TAIL_BYTES:])
    if found is None or len(raw) == _TAIL_BYTES:
        return None
    previous, key_id, text = found.groups()
    try:
        signature = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    if base64.b64encode(signature) != text:  # the last letter has bits that decoding lets fall
        return None
    return Seal(previous.decode(), key_id.decode(), raw[:-_SIGNATURE_BYTES], signature)


def unsealed(raw: bytes) -> bytes:
    """The command as it was before it was sealed; as it is, where it bears no seal.

    >>> unsealed(b'{"v":1}')
    b'{"v":1}'
    """
    return raw if read_seal(raw) is None else raw[:-_TAIL_BYTES] + b"}"


def link_of(raw: bytes | None) -> str:
    """What the next command names as the one before it; ``raw`` is this one's bytes, None where there is none.

    A command that bears no seal is linked to by all of its bytes.
    """
    if raw is None:
        return NO_LINK
    return hashlib.sha256(raw if read_seal(raw) is None else raw[:-_SIGNER_BYTES]).hexdigest()


def to_sign(value: bytes, previous: str, key_id: str) -> bytes:
    """The bytes that are signed: a JSON object with its link and its signer as last fields, not yet closed.

    >>> to_sign(b'{"v":1}', "ab", "cd")
    b'{"v":1,"previous":"ab","key_id":"cd"'
    """
    if not value.endswith(b"}"):
        raise ValueError("only a JSON object can be sealed")
    return value[:-1] + f',"previous":"{previous}","key_id":"{key_id}"'.encode()


def close(signed: bytes, signature: bytes) -> bytes:
    """The sealed command: what was signed and its signature."""
    return signed + b',"signature":"' + base64.b64encode(signature) + b'"}'
