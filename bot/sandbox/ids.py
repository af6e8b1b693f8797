"""Ids in the shapes WeCom uses; unguessable enough for tickets, quick enough for a bench."""

import secrets


def fresh(prefix: str = "", size: int = 18) -> str:
    """`prefix` and 4/3 of `size` characters of `[0-9A-Za-z_-]`."""
    return prefix + secrets.token_urlsafe(size)


def customer_id() -> str:
    """`wm` and 30 characters, as real external_userids look."""
    return "wm" + secrets.token_urlsafe(23)[:30]
