"""Chunked media upload over the long connection (wecom-group.md 4.9). Pure."""

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import Any

from .fields import Body, optional_text, text, whole
from .ids import fresh
from .media import LARGEST, MediaStore
from .refusals import Refused

_CHUNK = 512 << 10
_LIFE = 1800.0


@dataclass(slots=True)
class Upload:
    kind: str
    filename: str
    size: int
    chunks: int
    md5: str
    at: float
    parts: dict[int, bytes] = field(default_factory=dict)

    def whole(self) -> bytes:
        """All parts in order; their numbering may begin at 0 or at 1 (sources disagree)."""
        first = 0 if 0 in self.parts else 1
        if sorted(self.parts) != list(range(first, first + self.chunks)):
            raise Refused(40058, "chunks missing")
        data = b"".join(self.parts[index] for index in sorted(self.parts))
        if len(data) != self.size or (self.md5 and _md5(data) != self.md5.lower()):
            raise Refused(40058, "size or md5 differs")
        return data


class Uploads:
    def __init__(self, media: MediaStore) -> None:
        self._media = media
        self._open: dict[str, Upload] = {}

    def init(self, body: Body, now: float) -> dict[str, Any]:
        upload = Upload(
            text(body, "type"),
            text(body, "filename", 256),
            whole(body, "total_size"),
            whole(body, "total_chunks"),
            optional_text(body, "md5"),
            now,
        )
        if upload.kind not in LARGEST or not 1 <= upload.chunks <= 100:
            raise Refused(40058, "type or total_chunks")
        if not 5 <= upload.size <= LARGEST[upload.kind]:
            raise Refused(40009)
        upload_id = fresh("U")
        self._open[upload_id] = upload
        return {"upload_id": upload_id}

    def chunk(self, body: Body, now: float) -> dict[str, Any]:
        """Idempotent per index, in any order."""
        upload = self._find(body, now)
        index = whole(body, "chunk_index")
        try:
            data = base64.b64decode(text(body, "base64_data"), validate=True)
        except binascii.Error:
            raise Refused(40058, "base64_data") from None
        if not 0 <= index <= upload.chunks or len(data) > _CHUNK:
            raise Refused(40058, "chunk")
        upload.parts[index] = data
        return {}

    def finish(self, body: Body, now: float) -> dict[str, Any]:
        upload = self._find(body, now)
        media_id = self._media.add(upload.kind, upload.filename, upload.whole(), now)
        del self._open[text(body, "upload_id")]
        return {"type": upload.kind, "media_id": media_id, "created_at": int(now)}

    def _find(self, body: Body, now: float) -> Upload:
        upload = self._open.get(text(body, "upload_id"))
        if upload is None or now - upload.at > _LIFE:
            raise Refused(40058, "upload_id")
        return upload


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
