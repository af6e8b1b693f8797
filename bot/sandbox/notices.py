"""The XML of kf notifications, in the clear and in their envelope (wecom-kf.md 2.3). Pure."""

from collections.abc import Iterable, Sequence

from .config import SandboxConfig


def kf_news(config: SandboxConfig, now: float, token: str, open_kfid: str) -> str:
    """`kf_msg_or_event`: something is there to sync; not what, nor how many."""
    return _xml(
        ("ToUserName", config.corp_id),
        ("CreateTime", int(now)),
        ("MsgType", "event"),
        ("Event", "kf_msg_or_event"),
        ("Token", token),
        ("OpenKfId", open_kfid),
    )


def auth_change(config: SandboxConfig, now: float, added: Sequence[str], removed: Sequence[str]) -> str:
    """`kf_account_auth_change`: either list may be empty, its node then missing."""
    return _xml(
        ("ToUserName", config.corp_id),
        ("FromUserName", "sys"),
        ("CreateTime", int(now)),
        ("MsgType", "event"),
        ("Event", "kf_account_auth_change"),
        *[("AuthAddOpenKfId", open_kfid) for open_kfid in added],
        *[("AuthDelOpenKfId", open_kfid) for open_kfid in removed],
    )


def foreign(config: SandboxConfig, now: float) -> str:
    """A contacts event, as arrives when the app is subscribed to more than kf; it has no Token."""
    return _xml(
        ("ToUserName", config.corp_id),
        ("FromUserName", "sys"),
        ("CreateTime", int(now)),
        ("MsgType", "event"),
        ("Event", "change_external_contact"),
        ("ChangeType", "add_external_contact"),
        ("UserID", "ChenJing"),
    )


def envelope(config: SandboxConfig, encrypted: str) -> str:
    return _xml(("ToUserName", config.corp_id), ("AgentID", config.agent_id), ("Encrypt", encrypted))


def _xml(*nodes: tuple[str, str | int]) -> str:
    return f"<xml>{''.join(_nodes(nodes))}</xml>"


def _nodes(nodes: Iterable[tuple[str, str | int]]) -> Iterable[str]:
    for name, value in nodes:
        content = value if isinstance(value, int) else f"<![CDATA[{value}]]>"
        yield f"<{name}>{content}</{name}>"
