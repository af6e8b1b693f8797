"""Multipart uploads, alike for the kf API and the robot (wecom-kf.md 5.5, wecom-group.md 1.3)."""

from typing import Any

from aiohttp import web

from .media import MediaStore


async def uploaded(request: web.Request) -> tuple[str, bytes]:
    """File name and bytes of the part named `media`; nothing when it is missing."""
    part = (await request.post()).get("media")
    return (part.filename, part.file.read()) if isinstance(part, web.FileField) else ("", b"")


def kept(media: MediaStore, kind: str, filename: str, data: bytes, now: float) -> dict[str, Any]:
    """The answer that names the new media_id."""
    media_id = media.add(kind, filename, data, now)
    return {"errcode": 0, "errmsg": "ok", "type": kind, "media_id": media_id, "created_at": str(int(now))}
