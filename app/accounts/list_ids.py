"""Request ids of lists. Each is signed for one member, who alone can send feedback on the list.

An id is a UUID of version 8 (RFC 9562): 60 random bits, and a signature over these bits and the member's id.
Lists are not stored.
"""

import hmac
import secrets
from uuid import UUID

from app.accounts.access_tokens import secret_key
from app.settings import Settings

NONCE_BITS, SIGNATURE_BITS = 60, 62
VERSION, VARIANT = 8, 0b10


def issue(settings: Settings, user_id: int | None) -> UUID:
    """Make an id for a list of a member, or of a visitor if `user_id` is None."""
    return _signed(settings, secrets.randbits(NONCE_BITS), user_id)


def is_of(settings: Settings, request_id: UUID, user_id: int) -> bool:
    """Whether a list was made for this member or for a visitor, who may have signed in since."""
    return any(was_issued(settings, request_id, owner) for owner in (user_id, None))


def was_issued(settings: Settings, request_id: UUID, user_id: int | None) -> bool:
    """Whether a list was made for exactly this member, or for a visitor if `user_id` is None."""
    nonce = request_id.int >> 80 << 12 | request_id.int >> 64 & 0xFFF
    return _signed(settings, nonce, user_id) == request_id


def _signed(settings: Settings, nonce: int, user_id: int | None) -> UUID:
    message = f"request id {nonce} of {user_id}".encode()
    digest = hmac.digest(secret_key(settings).encode(), message, "sha256")
    signature = int.from_bytes(digest[:8]) >> 64 - SIGNATURE_BITS
    upper = nonce >> 12 << 16 | VERSION << 12 | nonce & 0xFFF
    return UUID(int=upper << 64 | VARIANT << 62 | signature)
