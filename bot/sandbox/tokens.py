"""Access tokens (gettoken) and the short-lived tokens of kf notifications."""

from .ids import fresh
from .refusals import Refused

_KEEP_EXPIRED = 86_400.0


class AccessTokens:
    """Several may live at once; WeCom no longer promises the same one twice (wecom-kf.md 1.1)."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self._expiry: dict[str, float] = {}

    def issue(self, now: float) -> str:
        self._forget(now)
        token = fresh("sbx", 64)
        self._expiry[token] = now + self.ttl
        return token

    def check(self, token: str, now: float) -> None:
        """41001 absent, 40014 never issued or revoked, 42001 past its time."""
        if not token:
            raise Refused(41001)
        expiry = self._expiry.get(token)
        if expiry is None:
            raise Refused(40014)
        if now >= expiry:
            raise Refused(42001)

    def revoke(self, token: str = "") -> None:
        """Invalidate one token early, or all of them: the next call answers 40014."""
        if token:
            self._expiry.pop(token, None)
        else:
            self._expiry.clear()

    def expire(self) -> None:
        """Let every token pass its time at once: the next call answers 42001."""
        self._expiry = dict.fromkeys(self._expiry, float("-inf"))

    def _forget(self, now: float) -> None:
        while self._expiry and (oldest := next(iter(self._expiry))):
            if now - self._expiry[oldest] < _KEEP_EXPIRED:
                return
            del self._expiry[oldest]


class SyncTokens:
    """The `Token` of a notification: any number of uses for one account within `life` seconds."""

    def __init__(self, life: float) -> None:
        self.life = life
        self._issued: dict[str, tuple[str, float]] = {}

    def issue(self, open_kfid: str, now: float) -> str:
        self._forget(now)
        token = fresh("ENC", 33)
        self._issued[token] = (open_kfid, now)
        return token

    def check(self, token: str, open_kfid: str, now: float) -> None:
        account, issued = self._issued.get(token, ("", 0.0))
        if account != open_kfid or now - issued >= self.life:
            raise Refused(95007)

    def _forget(self, now: float) -> None:
        while self._issued and now - self._issued[next(iter(self._issued))][1] >= self.life:
            del self._issued[next(iter(self._issued))]
