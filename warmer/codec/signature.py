"""HMAC signature of a payload and its cache key, so that foreign or moved bytes are rejected."""

import hashlib
import hmac

from warmer.errors import CodecError

SIGNATURE_BYTES = hashlib.sha256().digest_size


def signed(signing_key: bytes, cache_key: str, data: bytes) -> bytes:
    """Return the signature followed by the data.

    Args:
        signing_key: The secret.
        cache_key: The only cache key for which the signature is valid.
        data: The data to sign.

    Example:
        >>> signed(b"secret", "catalog", b"data").endswith(b"data")
        True
    """
    return _signature(signing_key, cache_key, data) + data


def verified(signing_key: bytes, cache_key: str, payload: bytes) -> bytes:
    """Verify a payload of `signed` and return its data.

    Raises:
        CodecError: it was signed with another secret or for another cache key, or it was changed.

    Example:
        >>> payload = signed(b"secret", "catalog", b"data")
        >>> verified(b"secret", "catalog", payload)
        b'data'
    """
    signature, data = payload[:SIGNATURE_BYTES], payload[SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(signing_key, cache_key, data)):
        raise CodecError(
            "an entry's signature does not match: it was signed by another key, for another cache key, or altered"
        )
    return data


def _signature(signing_key: bytes, cache_key: str, data: bytes) -> bytes:
    name = cache_key.encode(errors="surrogatepass")
    digest = hmac.new(signing_key, len(name).to_bytes(8, "big") + name, hashlib.sha256)
    digest.update(data)
    return digest.digest()
