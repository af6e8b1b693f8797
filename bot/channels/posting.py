"""HTTP for channels whose addresses are secrets: the `response_url` code, the webhook key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp

from bot.errors import KfbotError

NO_ANSWER = -1

# Gives the JSON object answered; raises one of FAILURES when there is none.
PostJson = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
FAILURES = (KfbotError, OSError, aiohttp.ClientError, ValueError)


async def posted(post_json: PostJson, url: str, body: Mapping[str, Any]) -> tuple[int, str]:
    """errcode and errmsg. Without an answer `NO_ANSWER` and only the kind of failure, for its text may hold the url."""
    try:
        answer = await post_json(url, body)
    except FAILURES as error:
        return NO_ANSWER, f"no answer ({type(error).__name__})"
    errcode = answer.get("errcode", 0)
    return errcode if isinstance(errcode, int) else NO_ANSWER, str(answer.get("errmsg", ""))
