"""The one exception tree. A class docstring is the default message; data travels as attributes."""

from __future__ import annotations


class KfbotError(Exception):
    """kfbot could not do this."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class SettingsError(KfbotError):
    """The settings are not usable. Exit code 2.

    `problems`: every (key, what is wrong) at once, keys written as in settings.yaml.
    """

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{key}: {what}" for key, what in problems))


class CallbackRejected(KfbotError):
    """The callback is not from WeCom or cannot be read.

    `status`: the 4xx to answer. `reason`: one word for logs and metrics.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        self.reason = reason
        self.status = status
        super().__init__(f"callback rejected: {reason}")


class CommandError(KfbotError):
    """A command was refused or misused; the message is shown to the group as it stands.

    `outcome`: one word for the command log (`usage`, `unknown`, `ambiguous`, `forbidden`, `refused`).
    """

    def __init__(self, message: str, outcome: str = "refused") -> None:
        self.outcome = outcome
        super().__init__(message)


class WeComError(KfbotError):
    """WeCom refused a call.

    `errcode` and `errmsg` are WeCom's (errmsg without its hint tail), `endpoint` the path without query. What a code
    means and what to do about it stands in bot/wecom/errcodes.py. Never holds a token. `doubtful`: an act was answered
    -1, which does not say that nothing has happened, and this is what was said to its repetition.
    """

    doubtful = False

    def __init__(self, errcode: int, errmsg: str, endpoint: str) -> None:
        self.errcode = errcode
        self.errmsg = errmsg
        self.endpoint = endpoint
        super().__init__(f"{endpoint}: {errcode} {errmsg}")


class TokenExpired(WeComError):
    """The access token is expired or unknown (40014, 42001)."""


class CredentialRejected(WeComError):
    """corp_id, secret or permission is wrong: asking again cannot help."""


class RateLimited(WeComError):
    """WeCom's call limits are reached (45009, 45033)."""


class WeComBusy(WeComError):
    """WeCom answers -1: busy, try again later."""


class SyncTokenExpired(WeComError):
    """The callback's sync token is invalid or older than 10 minutes (95007)."""


class WeComUnavailable(WeComError):
    """WeCom does not answer: network failure, time-out, or an answer that is no JSON.

    `sent`: False when the request certainly did not reach WeCom, so that the effect certainly did not happen.
    """

    def __init__(self, endpoint: str, why: str, *, sent: bool = True) -> None:
        self.sent = sent
        super().__init__(-2, why, endpoint)


class ChannelError(KfbotError):
    """The group channel could not deliver.

    `errcode`: the channel's code, or 0 when the connection is down. `sent`: it went out and was not acknowledged, so
    that it may have been delivered or not. `lost`: besides, the connection it went by was dead by then: rather not.
    """

    sent = lost = False

    def __init__(self, message: str, errcode: int = 0) -> None:
        self.errcode = errcode
        super().__init__(message)


class Overtaken(KfbotError):
    """What was to be said is not true any more."""


class CardRefused(ChannelError):
    """This chat does not take cards; send markdown instead."""


class Unauthenticated(KfbotError):
    """No token, or none that is valid here and now."""


class Forbidden(KfbotError):
    """Known, but not allowed to do this."""


class NotFound(KfbotError):
    """There is no such thing, or none that the asker may know of."""


class BadRequest(KfbotError):
    """The request cannot be understood."""


class TooManyRequests(KfbotError):
    """Too many requests.

    `retry_after`: seconds until the next one is worth a try.
    """

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__()


class HandoffNotActive(KfbotError):
    """The handoff has been ended by somebody else, or is not with a human."""


class HandoffUnsettled(KfbotError):
    """WeCom refused, or did not answer.

    The message says what that means; it is told to the caller as it stands.
    """


class StorageError(KfbotError):
    """The database cannot be used.

    `kind`: what is the matter, in one word, where there is advice on it: `Words.storage` tells it. `details` fill that.
    """

    def __init__(self, message: str | None = None, kind: str = "", **details: object) -> None:
        self.kind, self.details = kind, details
        super().__init__(message)
