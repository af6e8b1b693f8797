"""Temporary media: bytes under a media_id for three days, shared by the kf API and the group."""

import base64
from dataclasses import dataclass

from .ids import fresh
from .refusals import Refused

LIFE = 3 * 86_400.0
LARGEST = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
_SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


@dataclass(frozen=True, slots=True)
class Media:
    kind: str
    filename: str
    data: bytes
    created_at: float


def image_url(data: bytes) -> str:
    """A data: URL a page can show, whatever the picture's type is."""
    mime = next((mime for start, mime in _SIGNATURES.items() if data.startswith(start)), "image/png")
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


class MediaStore:
    def __init__(self) -> None:
        self._kept: dict[str, Media] = {}

    def add(self, kind: str, filename: str, data: bytes, now: float) -> str:
        if kind not in LARGEST:
            raise Refused(40058, "invalid type")
        if not 5 <= len(data) <= LARGEST[kind]:
            raise Refused(40009)
        media_id = fresh("M", 32)
        self._kept[media_id] = Media(kind, filename, data, now)
        return media_id

    def get(self, media_id: object, now: float) -> Media:
        media = self._kept.get(media_id) if isinstance(media_id, str) else None
        if media is None or now - media.created_at > LIFE:
            raise Refused(40007)
        return media
