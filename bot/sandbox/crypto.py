"""WXBizMsgCrypt, written here so that the bot's own crypto meets a second opinion (wecom-kf.md 2.5)."""

import base64
import hashlib
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 32


def signature(token: str, timestamp: str, nonce: str, encrypted: str) -> str:
    """Lower-case hex SHA-1 of the four strings sorted and joined."""
    joined = "".join(sorted((token, timestamp, nonce, encrypted)))
    return hashlib.sha1(joined.encode()).hexdigest()  # noqa: S324 (the protocol says SHA-1)


class MessageCrypto:
    """AES-256-CBC, IV from the key, PKCS#7 to 32-byte blocks, receiveid at the end."""

    def __init__(self, encoding_aes_key: str, receive_id: str) -> None:
        key = base64.b64decode(encoding_aes_key + "=")
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16]))
        self._receive_id = receive_id.encode()

    def encrypt(self, message: str, random: bytes = b"") -> str:
        """Base64 of 16 random bytes, length, message, receiveid, padding; `random` only for test vectors."""
        content = message.encode()
        plain = (random or secrets.token_bytes(16)) + len(content).to_bytes(4, "big") + content
        plain += self._receive_id
        pad = _BLOCK - len(plain) % _BLOCK
        encryptor = self._cipher.encryptor()
        sealed = encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()
        return base64.b64encode(sealed).decode()

    def decrypt(self, encrypted: str) -> tuple[str, str]:
        """(message, receiveid); ValueError when the padding is not one."""
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
        pad = plain[-1]
        if not 1 <= pad <= _BLOCK:
            raise ValueError("padding")
        length = int.from_bytes(plain[16:20], "big")
        return plain[20 : 20 + length].decode(), plain[20 + length : -pad].decode()
