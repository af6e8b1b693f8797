"""WeCom's errcodes: which exception, what it means, what to do about it. Pure.

https://developer.work.weixin.qq.com/document/path/90313
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from bot.errors import (
    CredentialRejected,
    RateLimited,
    SyncTokenExpired,
    TokenExpired,
    WeComBusy,
    WeComError,
    WeComUnavailable,
)


class Meaning(NamedTuple):
    """One sentence each, no final stop; a remedy may be empty where there is nothing to be done."""

    zh: str
    en: str
    remedy_zh: str
    remedy_en: str


UNAVAILABLE = -2
"""`WeComUnavailable.errcode`: ours, not WeCom's."""

KINDS: dict[int, type[WeComError]] = {
    -1: WeComBusy,
    40014: TokenExpired,
    42001: TokenExpired,
    45009: RateLimited,
    45033: RateLimited,
    95007: SyncTokenExpired,
    **dict.fromkeys(
        (40001, 40013, 40091, 41002, 41004, 48002, 48007, 50003, 60011, 60020, 60030, 301002), CredentialRejected
    ),
    **dict.fromkeys((95011, 95012, 95017, 95023), CredentialRejected),
}

WHOLE_APP = frozenset({48002, 50003, 60020, 301002, 95011, 95012, 95017, 95023})
"""Refusals that hold for every call this app can make, so that the bot is of no use until someone acts."""

_HINT = re.compile(r",?\s*hint:.*", re.DOTALL)
_SECRET = re.compile(r"\b(access_token|corpsecret|secret|key)=[^&\s,]+", re.IGNORECASE)
_ERRMSG_CHARACTERS = 200


def raise_for(payload: dict[str, Any], endpoint: str) -> None:
    """Raises the kind of `WeComError` that `payload["errcode"]` calls for; returns only where it is 0.

    An answer without an errcode is not from WeCom, `WeComUnavailable`, unless it grants an access_token.
    """
    errcode = _number(payload.get("errcode", 0 if payload.get("access_token") else None))
    if errcode == 0:
        return
    if errcode is None:
        raise WeComUnavailable(endpoint, "an answer without errcode")
    raise KINDS.get(errcode, WeComError)(errcode, _errmsg(payload), endpoint)


def meaning_of(errcode: int) -> Meaning:
    """From `MEANINGS`, or what can be said of a code that is not there."""
    return MEANINGS.get(errcode) or Meaning(
        f"企业微信返回了未收录的错误码 {errcode}",
        f"WeCom answers {errcode}, a code this version does not know",
        f"在 https://open.work.weixin.qq.com/devtool/query?e={errcode} 查询",
        f"look it up at https://open.work.weixin.qq.com/devtool/query?e={errcode}",
    )


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) <= 9:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _errmsg(payload: dict[str, Any]) -> str:
    """Without the hint tail (it holds our IP), and with nothing secret should a proxy echo the request."""
    errmsg = _HINT.sub("", str(payload.get("errmsg") or ""))
    return _SECRET.sub(r"\1=…", errmsg)[:_ERRMSG_CHARACTERS]


_BY_HAND_ZH = (
    "仍不行就手动处理：请客户在微信中长按该客服会话 → 删除会话，"
    "管理员把接待方式改为「仅智能助手接待」，客户再进入并发消息"
)
_BY_HAND_EN = (
    "if that fails, by hand: the customer long-presses the chat in WeChat → 删除会话 (delete), an admin sets "
    "reception to 「仅智能助手接待」 (assistant only), the customer enters again and writes"
)
_CREDENTIAL_ZH = "核对 wecom.corp_id 与 wecom.secret：管理后台 → 我的企业 → 企业ID；应用管理 → 自建应用 → Secret"
_CREDENTIAL_EN = (
    "check wecom.corp_id and wecom.secret: admin console → 我的企业 (My company) → 企业ID; "
    "应用管理 (Apps) → the self-built app → Secret"
)
_OUR_BUG_ZH = "这是程序问题，请带上日志反馈"
_OUR_BUG_EN = "a fault of the program: report it with the log"
_VERIFY_ZH = "管理后台 → 我的企业 完成企业认证"
_VERIFY_EN = "verify the company: admin console → 我的企业 (My company)"
_WAIT_ZH = "等客户再次发消息"
_WAIT_EN = "wait until the customer writes again"
_OTHER_SERVICER_ZH = "换一位正在接待的人员，python bot.py check 会列出"
_OTHER_SERVICER_EN = "choose another who is receiving; python bot.py check lists them"

MEANINGS: dict[int, Meaning] = {
    UNAVAILABLE: Meaning(
        "企业微信没有应答",
        "WeCom does not answer",
        "检查到 qyapi.weixin.qq.com 的网络，稍后再试",
        "check the network to qyapi.weixin.qq.com, try again later",
    ),
    -1: Meaning("企业微信系统繁忙", "WeCom is busy", "稍后再试", "try again later"),
    # token and permission
    40001: Meaning(
        "secret 错误、与企业不匹配，或应用已停用",
        "wrong secret, or the app is disabled",
        _CREDENTIAL_ZH,
        _CREDENTIAL_EN,
    ),
    40003: Meaning("userid 无效", "invalid userid", "核对通讯录中的账号", "check the account in the contacts"),
    40007: Meaning(
        "素材 media_id 无效或已超过 3 天", "media_id is invalid or older than 3 days", "重新上传", "upload it again"
    ),
    40008: Meaning("消息类型不支持", "bad message type", _OUR_BUG_ZH, _OUR_BUG_EN),
    40009: Meaning("素材大小不合规", "media size is out of limits", "换一个文件", "use another file"),
    40013: Meaning("企业 ID 错误", "invalid corp_id", _CREDENTIAL_ZH, _CREDENTIAL_EN),
    40014: Meaning("access_token 无效", "invalid access_token", "程序会自动更新，稍后再试", "it is renewed by itself"),
    40029: Meaning("登录凭据无效、已用过或已过期", "the login code is wrong or used up", "请重新登录", "log in again"),
    40058: Meaning("请求参数不合规", "a request parameter breaks the rules", _OUR_BUG_ZH, _OUR_BUG_EN),
    40091: Meaning("secret 错误", "wrong secret", _CREDENTIAL_ZH, _CREDENTIAL_EN),
    40096: Meaning(
        "客户 ID 不属于本企业，或接待人员不在应用可见范围",
        "the customer id is not of this company, or its servicers are outside the app's visible range",
        "核对 wm 开头的完整客户 ID 和应用的可见范围",
        "check the full customer id (wm…) and the app's visible range",
    ),
    40201: Meaning(
        "内容被拦截，或账号因敏感信息被封禁",
        "blocked content, or the account is banned for it",
        "修改内容",
        "change the content",
    ),
    41001: Meaning("请求缺少 access_token", "access_token is missing", _OUR_BUG_ZH, _OUR_BUG_EN),
    41002: Meaning("缺少企业 ID", "corp_id is missing", _CREDENTIAL_ZH, _CREDENTIAL_EN),
    41004: Meaning("缺少 secret", "secret is missing", _CREDENTIAL_ZH, _CREDENTIAL_EN),
    42001: Meaning(
        "access_token 已过期", "access_token expired", "程序会自动更新，稍后再试", "it is renewed by itself"
    ),
    45001: Meaning("素材大小超限", "media is too large", "换一个文件", "use another file"),
    45002: Meaning(
        "消息内容过长", "the message is too long", "缩短内容（文本最多 2048 字节）", "shorten it (2048 bytes)"
    ),
    45009: Meaning(
        "接口调用超过频率限制",
        "too many calls",
        "停 1 分钟再试；若请求地址带 debug=1 请去掉",
        "wait a minute; remove debug=1 from the address if it is there",
    ),
    45033: Meaning("接口并发调用超限", "too many calls at once", "稍后再试", "try again in a moment"),
    45034: Meaning("链接缺少 http(s)://", "the link lacks http(s)://", "补全链接", "complete the link"),
    48002: Meaning(
        "应用没有调用微信客服接口的权限",
        "the app may not call the kf API",
        "管理后台 → 微信客服 → API →「可调用接口的应用」中加入本应用",
        "admin console → 微信客服 → API → 「可调用接口的应用」 (apps that may call): add this app",
    ),
    48007: Meaning(
        "该客服账号没有授权给本应用",
        "this kf account is not granted to the app",
        "管理后台 → 微信客服 → 通过API管理微信客服账号 → 企业内部开发 →「可管理的客服账号」中加入它",
        "admin console → 微信客服 → 通过API管理微信客服账号 → 企业内部开发 → 「可管理的客服账号」: add the account",
    ),
    50003: Meaning(
        "应用已停用", "the app is disabled", "管理后台 → 应用管理 中启用", "enable it: admin console → 应用管理 (Apps)"
    ),
    60011: Meaning(
        "应用无权访问该成员或部门",
        "the app has no right to this member or department",
        "管理后台 → 应用管理 → 本应用 →「可见范围」中加入接待人员",
        "admin console → 应用管理 → the app → 「可见范围」 (visible range): add the servicers",
    ),
    60020: Meaning(
        "本机出口 IP 不在可信名单",
        "this machine's public IP is not trusted",
        "管理后台 → 应用管理 → 本应用 →「企业可信IP」中加入服务器出口 IP，约 1 分钟后生效",
        "admin console → 应用管理 → the app → 「企业可信IP」 (trusted IPs): add the server's public IP; wait 1 min",
    ),
    60030: Meaning(
        "超出应用可见范围",
        "outside the app's visible range",
        "管理后台 → 应用管理 → 本应用 →「可见范围」",
        "admin console → 应用管理 → the app → 「可见范围」 (visible range)",
    ),
    60111: Meaning("成员不存在", "no such member", "核对通讯录中的账号", "check the account in the contacts"),
    90207: Meaning("小程序 appid 无效", "invalid mini-program appid", "核对 appid", "check the appid"),
    301002: Meaning("用了别的应用的 secret", "the secret is another app's", _CREDENTIAL_ZH, _CREDENTIAL_EN),
    # kf
    95000: Meaning(
        "客服账号 ID 无效",
        "invalid open_kfid",
        "应使用 wk 开头的 open_kfid，而不是链接中的 kfc…",
        "use the open_kfid (wk…), not the kfc… of a contact link",
    ),
    95001: Meaning(
        "客户每次发言后最多发 5 条，已用完", "5 messages per customer message are used up", _WAIT_ZH, _WAIT_EN
    ),
    95002: Meaning("客户超过 48 小时没有发言，不能再发", "the customer wrote more than 48 h ago", _WAIT_ZH, _WAIT_EN),
    95003: Meaning(
        "接待人数达到上限（企业未认证）", "reception limit reached (company not verified)", _VERIFY_ZH, _VERIFY_EN
    ),
    95004: Meaning(
        "客服账号不存在或已删除",
        "the kf account does not exist or was deleted",
        "核对 kf.accounts；管理后台 → 微信客服",
        "check kf.accounts; admin console → 微信客服",
    ),
    95005: Meaning("客服账号数量达到上限", "too many kf accounts", "删除不用的账号", "delete accounts not in use"),
    95006: Meaning("客服账号名称不合规", "illegal kf account name", "修改名称", "change the name"),
    95007: Meaning(
        "消息拉取凭证无效或已过 10 分钟",
        "the sync token is invalid or older than 10 minutes",
        "程序会自动改用无凭证拉取",
        "the bot reads again without it",
    ),
    95008: Meaning("菜单项超过 10 个", "more than 10 menu items", _OUR_BUG_ZH, _OUR_BUG_EN),
    95009: Meaning("菜单项类型不支持", "bad menu item type", _OUR_BUG_ZH, _OUR_BUG_EN),
    95010: Meaning("企业微信未公布含义的错误", "a code WeCom has not explained", "查看日志", "see the log"),
    95011: Meaning(
        "企业已使用企业微信版微信客服，不能用独立版的 secret",
        "the company uses kf inside WeCom: a secret of the standalone version does not fit",
        "改用自建应用的 secret，并在 管理后台 → 微信客服 → API →「可调用接口的应用」加入它",
        "use the self-built app's secret, and add the app at admin console → 微信客服 → API → 「可调用接口的应用」",
    ),
    95012: Meaning(
        "企业没有在企业微信中使用微信客服（仍是独立版）",
        "the company does not use kf inside WeCom (standalone version is active)",
        "管理后台 → 微信客服 中启用（独立版在 kf.weixin.qq.com）；刚授权时可能要等几分钟",
        "enable it at admin console → 微信客服 (the standalone one is at kf.weixin.qq.com); may take minutes when new",
    ),
    95013: Meaning(
        "会话已经结束",
        "the session has already ended",
        "无需处理；客户再发消息会开始新会话",
        "nothing to do; the customer's next message starts a new session",
    ),
    95014: Meaning(
        "该成员不是这个客服账号的接待人员，或未激活企业微信",
        "this member is no servicer of the account, or has not activated WeCom",
        f"在管理后台核对接待人员的 userid；{_BY_HAND_ZH}",
        f"check the servicer's userid in the console; {_BY_HAND_EN}",
    ),
    95015: Meaning(
        "管理后台已配置专属服务",
        "dedicated service is already configured in the console",
        "管理后台 → 微信客服 → 升级服务 中修改",
        "change it at admin console → 微信客服 → 升级服务",
    ),
    95016: Meaning(
        "当前状态不允许这样转换",
        "this move is not allowed from the session's state",
        f"用 /status 重新查看状态，人工接待中的会话再试一次 /end；{_BY_HAND_ZH}",
        f"look again with /status and, if it is still with a human, /end again; {_BY_HAND_EN}",
    ),
    95017: Meaning(
        "微信客服 API 功能未开启",
        "the kf API is switched off",
        "管理后台 → 微信客服 → API → 开启",
        "switch it on: admin console → 微信客服 → API",
    ),
    95018: Meaning(
        "会话当前状态不允许用接口发消息",
        "the session's state does not let the API send",
        "排队中、人工接待中或已结束时发不出；先 /end，客户再次发消息后可发",
        "not while it is queued, with a human, or ended: /end it, then wait until the customer writes again",
    ),
    95019: Meaning(
        "该接待人员已停止接待", "this servicer has stopped receiving", _OTHER_SERVICER_ZH, _OTHER_SERVICER_EN
    ),
    95020: Meaning("企业微信未公布含义的错误", "a code WeCom has not explained", "查看日志", "see the log"),
    95021: Meaning(
        "成员或客户群不在专属服务配置中",
        "member or group chat is not in the dedicated service's configuration",
        "管理后台 → 微信客服 → 升级服务 中加入",
        "add it at admin console → 微信客服 → 升级服务",
    ),
    95022: Meaning("位置消息类型不支持", "bad location type", _OUR_BUG_ZH, _OUR_BUG_EN),
    95023: Meaning(
        "微信客服 API 已交给服务商代开发应用",
        "the kf API is given to a provider-built app",
        "管理后台 → 微信客服 → API → 通过API管理微信客服账号，改为「企业内部开发」",
        "admin console → 微信客服 → API → 通过API管理微信客服账号: change it to 「企业内部开发」 (own apps)",
    ),
    95024: Meaning(
        "48 小时内客户没有主动发消息（点菜单不算）",
        "the customer has not written by himself in 48 h (menu taps do not count)",
        _WAIT_ZH,
        _WAIT_EN,
    ),
    95025: Meaning("48 小时内只能发 1 次名片", "one business card per 48 h", "稍后再发", "send it later"),
    95026: Meaning(
        "客服账号使用率过低，不能再创建",
        "kf accounts are under-used, no more can be made",
        "先使用现有账号",
        "use those",
    ),
    95027: Meaning("未认证企业最多 10 个客服账号", "10 kf accounts while not verified", _VERIFY_ZH, _VERIFY_EN),
    95028: Meaning("要撤回的消息不存在", "the message to recall does not exist", "", ""),
    95029: Meaning("超过 2 分钟，不能撤回", "older than 2 minutes: it cannot be recalled", "", ""),
    95030: Meaning(
        "客服组件不允许这种消息", "the kf component forbids this message type", "改发文本", "send a text instead"
    ),
    95031: Meaning("客户 48 小时内没有咨询", "the customer made no inquiry in 48 h", _WAIT_ZH, _WAIT_EN),
    95032: Meaning(
        "组件读取会话记录的权限已失效",
        "the component's right to read records has lapsed",
        "管理后台 → 微信客服 中重新授权",
        "grant it again at admin console → 微信客服",
    ),
}
