"""What a sandbox is told before it starts; the defaults make a whole corp that needs no set-up."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """Fixed, public values: nothing here is a real credential. Durations are seconds.

    `callback_url` empty means WeCom tells nobody. `retry_after` is the time one callback attempt has
    before it counts as failed and the next one may start. `page_limit` caps `sync_msg` below what is asked.
    `quoted_cards_have_text`: what a quoted card carries is undocumented (wecom-group.md 11, item 14).
    `bot_page`: where the bot's own page is, for our page to lead there.
    """

    corp_id: str = "ww5a4db0c0ffee0001"
    secret: str = "sandbox-secret"  # noqa: S105
    callback_url: str = ""
    callback_token: str = "SandboxCallbackToken"  # noqa: S105
    encoding_aes_key: str = "KfbotSandboxEncodingAesKey0123456789abcdefg"
    bot_id: str = "aib-sandbox"
    bot_secret: str = "sandbox-bot-secret"  # noqa: S105
    bot_name: str = "kfbot"
    bot_page: str = ""
    webhook_key: str = "sandbox-webhook-key"
    agent_id: str = "1000002"
    token_ttl: float = 7200
    token_less_per_minute: int = 10
    page_limit: int = 1000
    token_life: float = 600
    callback_retries: int = 3
    retry_after: float = 5.0
    cards_in_groups: bool = True
    quoted_cards_have_text: bool = True
    kicked_drop_after: float = 2.0


def settings_for(config: SandboxConfig, base_url: str) -> dict[str, Any]:
    """The kfbot settings that make a bot talk to this sandbox, nested as in settings.yaml."""
    return {
        "wecom": {"corp_id": config.corp_id, "secret": config.secret, "api_base": base_url},
        "callback": {"token": config.callback_token, "encoding_aes_key": config.encoding_aes_key},
        "group": {
            "channel": "aibot",
            "aibot": {
                "bot_id": config.bot_id,
                "secret": config.bot_secret,
                "name": config.bot_name,
                "url": base_url.replace("http", "ws", 1),
            },
            "webhook": {"url": f"{base_url}/cgi-bin/webhook/send?key={config.webhook_key}"},
        },
    }
