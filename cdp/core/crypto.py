"""Field encryption and the keyed blind index: how an address is stored and found without being readable.

AES-256-GCM with a key id in front, so that keys rotate; HMAC-SHA-256 of (type, normalised value) for equality look-up.
The blind index is keyed, since an unkeyed hash of an address is reversible by dictionary.
Pure functions: the keys come in as arguments, settings are read at the edges (``cdp.access.keys``).
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

NONCE_BYTES = 12
KEY_ID_BYTES = 1


class DecryptionError(Exception):
    """The ciphertext was damaged, or its key id is not on the ring."""


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=32, info=purpose).derive(hashlib.sha256(secret).digest())


@lru_cache(maxsize=16)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Encryption keys by id (0-255; the highest writes, all read) and the one blind-index key."""

    encryption_keys: dict[int, bytes]
    index_key: bytes

    @classmethod
    def from_secrets(cls, secrets_by_id: dict[int, str], index_secret: str) -> "Keyring":
        """Derive 256-bit keys from configured secrets (HKDF-SHA-256, one info string per use)."""
        return cls(
            encryption_keys={key_id: _derive(s.encode(), b"field-encryption") for key_id, s in secrets_by_id.items()},
            index_key=_derive(index_secret.encode(), b"blind-index"),
        )

    def encrypt(self, text: str, *, context: bytes) -> bytes:
        """Key id (1 byte) + nonce (12) + ciphertext and tag. ``context`` (table and column) is authenticated."""
        key_id = max(self.encryption_keys)
        nonce = os.urandom(NONCE_BYTES)
        sealed = _cipher(self.encryption_keys[key_id]).encrypt(nonce, text.encode(), context)
        return bytes([key_id]) + nonce + sealed

    def decrypt(self, sealed: bytes, *, context: bytes) -> str:
        """The text that ``encrypt`` took. Raises DecryptionError on damage, a foreign context or an unknown key."""
        sealed = bytes(sealed)
        if len(sealed) <= KEY_ID_BYTES + NONCE_BYTES or sealed[0] not in self.encryption_keys:
            raise DecryptionError("the value cannot be decrypted with the configured keys")
        nonce = sealed[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
        try:
            plain = _cipher(self.encryption_keys[sealed[0]]).decrypt(
                nonce, sealed[KEY_ID_BYTES + NONCE_BYTES :], context
            )
        except InvalidTag as error:
            raise DecryptionError("the value cannot be decrypted with the configured keys") from error
        return plain.decode()

    def blind_index(self, identifier_type: str, normalised_value: str) -> bytes:
        """32 bytes that are equal exactly when type and normalised value are equal (HMAC-SHA-256)."""
        message = identifier_type.encode() + b"\x00" + normalised_value.encode()
        return hmac.digest(self.index_key, message, "sha256")
