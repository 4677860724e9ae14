"""Signs a payload for one cache key, so that nobody else's bytes, nor another entry's, pass for it."""

import hashlib
import hmac

from warmer.errors import CodecError

SIGNATURE_BYTES = hashlib.sha256().digest_size


def signed(signing_key: bytes, cache_key: str, data: bytes) -> bytes:
    """Return data behind its signature.

    Args:
        signing_key: The secret.
        cache_key: The only cache key under which the signature holds.
        data: What is signed.

    Example:
        >>> signed(b"secret", "catalog", b"data").endswith(b"data")
        True
    """
    return _signature(signing_key, cache_key, data) + data


def verified(signing_key: bytes, cache_key: str, payload: bytes) -> bytes:
    """Return the data behind a signature.

    Args:
        signing_key: The secret.
        cache_key: The cache key under which the payload was found.
        payload: What `signed` returned.

    Raises:
        CodecError: the signature is not this key's over this data, or belongs to another cache key.

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
