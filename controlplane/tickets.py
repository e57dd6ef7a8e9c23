"""Tickets: what stands in an address for those who can't send a header with their token (a browser's EventSource).

A ticket is good for one path, for 12 to 24 hours, and only as long as the token behind it is: it is signed with the
token's digest, which the account store holds. All tickets of a token for a path are the same within twelve hours, so
that an answer that holds one does not change with every request. Pure: no clock, no store.
"""

from __future__ import annotations

import hashlib
import hmac

WINDOW = 12 * 3600
"""Seconds; a ticket is good to the end of the window after the one that it was issued in."""


def issue(token_id: str, digest: str, path: str, now: float) -> str:
    """Make the ticket of a token for a path; `digest` is the token's as it is kept, `now` in seconds since 1970."""
    expires = (int(now) // WINDOW + 2) * WINDOW
    return f"{token_id}.{expires}.{_seal(digest, path, token_id, expires)}"


def token_id_of(ticket: str) -> str:
    """Tell whose ticket it claims to be; "" where it is malformed."""
    token_id, _, _ = _parts(ticket)
    return token_id


def is_good(ticket: str, digest: str, path: str, now: float) -> bool:
    """Tell whether a ticket is of the token with this digest, for this path, and has not expired."""
    token_id, expires, seal = _parts(ticket)
    return bool(token_id) and now < expires and hmac.compare_digest(seal, _seal(digest, path, token_id, expires))


def _parts(ticket: str) -> tuple[str, int, str]:
    match ticket.split("."):
        case [token_id, expires, seal] if ticket.isascii() and expires.isdigit() and len(expires) <= 12:
            return token_id, int(expires), seal
    return "", 0, ""


def _seal(digest: str, path: str, token_id: str, expires: int) -> str:
    return hmac.new(digest.encode(), f"{path}\n{token_id}\n{expires}".encode(), hashlib.sha256).hexdigest()
