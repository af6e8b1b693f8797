"""Everything the group, the pages and the CLI say, in Chinese and English, in one place. Pure.

A text is found by its key and filled with `str.format`; a test holds both languages to the same places to fill.
What customers or members typed goes in through `plain`, which takes away every mark that a client would interpret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from bot.errors import WeComError
from bot.model import Handoff, OperatorType, ServiceState, Via

STATE_NAMES: dict[ServiceState, tuple[str, str]] = {
    ServiceState.NEW: ("未处理", "new"),
    ServiceState.ASSISTANT: ("智能助手接待中", "with the assistant"),
    ServiceState.QUEUED: ("排队等待中", "queued"),
    ServiceState.HUMAN: ("人工接待中", "with a human"),
    ServiceState.ENDED: ("已结束", "ended"),
}

TEXT: dict[str, tuple[str, str]] = {
    # -- names of things
    "role.0": ("只读", "viewer"),
    "role.1": ("客服", "agent"),
    "role.2": ("管理员", "admin"),
    "status.PENDING": ("排队中", "queued"),
    "status.ACCEPTED": ("已接入，未回复", "accepted, not answered yet"),
    "status.IN_PROGRESS": ("人工接待中", "in progress"),
    "status.COMPLETED": ("已结束", "ended"),
    "status.CANCELLED": ("排队中取消", "cancelled in the queue"),
    "parameter.customer": ("客户", "customer"),
    "parameter.reason": ("原因", "reason"),
    "parameter.page": ("页码", "page"),
    "parameter.name": ("命令", "command"),
    "parameter.code": ("配对码", "CODE"),
    "by.USER": ("客户本人", "the customer"),
    "by.AGENT": ("{who}", "{who}"),
    "by.SYSTEM": ("系统", "the system"),
    "by.somebody": ("企业微信中的操作（不知是谁）", "somebody in WeCom (not known who)"),
    "by.expired": ("企业微信（客户 48 小时未发消息）", "WeCom itself (48 h without a message)"),
    "via.command": ("群命令", "group command"),
    "via.button": ("按钮", "button"),
    "via.cli": ("命令行", "command line"),
    "via.api": ("接口", "API"),
    "via.chat": ("聊天", "chat"),
    "via.client": ("企业微信客户端", "WeCom client"),
    "via.elsewhere": ("别处", "elsewhere"),
    "via.policy": ("自动规则", "policy"),
    "via.expired": ("超时", "expiry"),
    "event.REQUESTED": ("开始转人工", "requested"),
    "event.ACCEPTED": ("接入", "accepted"),
    "event.PROGRESS": ("首次回复", "first answer"),
    "event.TRANSFERRED": ("转接", "transferred"),
    "event.ENDING": ("请求结束", "end requested"),
    "event.END_FAILED": ("结束失败", "end failed"),
    "event.COMPLETED": ("结束", "ended"),
    "event.CLOSING": ("结束语", "closing message"),
    "closing.sent": ("结束语已发送", "closing message sent"),
    "closing.failed": ("结束语未送达", "closing message refused"),
    "closing.expired": ("结束语超过 20 秒未能发出", "closing message missed its 20 s"),
    "closing.unknown": ("结束语是否送达不确定", "closing message: outcome unknown"),
    "closing.sending": ("结束语发送中", "closing message on its way"),
    "closing.skipped": ("未设置结束语", "no closing message set"),
    # -- amounts
    "ago.seconds": ("{n} 秒", "{n} s"),
    "ago.minutes": ("{n} 分钟", "{n} min"),
    "ago.hours": ("{h} 小时 {m} 分", "{h} h {m} min"),
    "ago.days": ("{d} 天 {h} 小时", "{d} d {h} h"),
    # -- refusals at the door
    "refused.unpaired": (
        "本群尚未与我配对。请管理员在日志中找到配对码，然后在本群发送：`@{bot} /bind 配对码`",
        "This group is not paired with me yet. Find the pairing code in my log and send here: `@{bot} /bind CODE`",
    ),
    "refused.single": (
        "请在配对的客服群里使用命令；单聊只对管理员开放。",
        "Please use commands in the paired group; this chat is open to admins only.",
    ),
    "refused.role": (
        "您没有执行 /{command} 的权限（需要：{needed}）。可以执行的人：{allowed}",
        "You may not run /{command} (it needs: {needed}). Who may: {allowed}",
    ),
    "refused.nobody": ("尚未设置（settings.yaml 的 roles）", "nobody yet (see roles in settings.yaml)"),
    "refused.everyone": ("本群所有成员", "every member of this group"),
    "unknown.command": ("没有 /{name} 这个命令。", "There is no command /{name}."),
    "unknown.near": ("您是不是要：{near}", "Did you mean: {near}"),
    "unknown.help": ("发送 /help 查看全部命令。", "Send /help to see them all."),
    "usage": ("用法：`{usage}`", "Usage: `{usage}`"),
    "usage.target": (
        "客户可以写：完整 ID、至少 4 个字符的唯一前缀（如 `wm7l`）、编号（`#12`），或者引用一条提到该客户的消息。",
        "Name the customer by full id, a unique prefix of at least 4 characters (`wm7l`), a number (`#12`), "
        "or quote a message that names one.",
    ),
    "usage.number": ("`{word}` 不是有效的数字。", "`{word}` is not a valid number."),
    "usage.choice": ("`{word}` 不在可选项中：{choices}", "`{word}` is none of: {choices}"),
    "usage.extra": ("多出了：`{word}`", "I do not understand: `{word}`"),
    "usage.short": (
        "`{word}` 太短：前缀至少 4 个字符。",
        "`{word}` is too short: a prefix has at least 4 characters.",
    ),
    "target.none": (
        "没有找到客户 `{word}`。发送 /list 查看进行中的会话。",
        "No customer `{word}` is known. Send /list to see the open sessions.",
    ),
    "target.no_handoff": ("没有编号为 #{number} 的会话记录。", "There is no handoff #{number}."),
    "target.many": (
        "`{word}` 匹配到多个客户，未执行任何操作：",
        "`{word}` matches several customers, nothing was done:",
    ),
    "target.quote_many": (
        "引用的消息提到了多个客户，请写明是哪一个。",
        "The quoted message names several customers; please say which.",
    ),
    "incident": (
        "内部错误，未能完成。事件编号 `{incident}`，详情见日志。",
        "Something went wrong inside. Incident `{incident}`; the log has the details.",
    ),
    "command.lost": (
        "我在处理 `{text}` 时重启了，不确定是否完成，请用 /status 核对后重试。",
        "I restarted while working on `{text}`; check with /status and try again.",
    ),
    # -- help
    "help.title": ("**我能做的事**（您的角色：{role}）", "**What I can do** (your role: {role})"),
    "help.foot": (
        "每条命令都要先 @{bot}。`/help 命令` 查看用法。",
        "Mention @{bot} with each command. `/help command` explains one.",
    ),
    "help.aliases": ("别名：{aliases}", "Also: {aliases}"),
    "help.help": ("查看命令，或某条命令的用法", "Show what there is, or how to use one command"),
    "help.status": ("总览，或某个客户的实时状态", "Overview, or one session read live from WeCom"),
    "help.list": ("列出进行中的会话，等待最久的在前", "List open sessions, longest wait first"),
    "help.end": ("结束人工会话，客户会收到结束语", "End a session with a human; the customer gets the closing message"),
    "help.history": ("最近的会话记录：谁结束的、多久", "The last handoffs: who ended them, how long they took"),
    "help.whoami": ("查看您的 userid 和角色", "Show your userid and role"),
    "help.bind": ("把本群与我配对", "Pair this group with me"),
    # -- status
    "status.title": ("**客服会话总览**", "**Customer sessions**"),
    "status.account": (
        "> {name}：人工 {human} · 排队 {queued} · 等待回复 {waiting}",
        "> {name}: human {human} · queued {queued} · waiting for an answer {waiting}",
    ),
    "status.oldest": ("等待最久：{who}，已等 {wait}", "Waiting longest: {who}, for {wait}"),
    "status.quiet": ("没有进行中的人工会话。", "No session is with a human."),
    "status.no_accounts": ("还没有读到客服账号。", "No kf account is known yet."),
    "status.well": ("机器人正常，已运行 {uptime}（v{version}）", "The bot is well, up {uptime} (v{version})"),
    "status.unwell": (
        "机器人有问题（已运行 {uptime}，v{version}）：",
        "The bot has problems (up {uptime}, v{version}):",
    ),
    "problem.callback": ("回调未配置，只靠定时轮询", "no callback is configured; only the slow poll looks"),
    "problem.token": ("取不到 access_token：{why}", "no access token: {why}"),
    "problem.channel": ("群通道未就绪：{why}", "the group channel is not ready: {why}"),
    "problem.account": ("账号 {account} 同步失败：{why}", "account {account} does not sync: {why}"),
    "problem.storage": ("数据库不可用：{why}", "the database is not usable: {why}"),
    "state.now": ("当前状态：**{state}** (state={number})", "State now: **{state}** (state={number})"),
    "state.servicer": ("接待人：{servicer}", "Servicer: {servicer}"),
    "state.waiting": ("客户已等待回复 {wait}", "The customer has waited {wait} for an answer"),
    "state.answered": ("客服已回复，最近消息在 {ago}前", "Answered; the last message was {ago} ago"),
    "state.begun": ("会话 #{number} 开始于 {at}，已 {ago}", "Handoff #{number} began {at}, {ago} ago"),
    "state.text": ("客户最后一句：{text}", "The customer's last words: {text}"),
    "state.no_answer": (
        "企业微信没有应答，以下是记录中的状态：",
        "WeCom does not answer; this is what is on record:",
    ),
    "state.how_to_end": ("结束它：`/end {number}`", "To end it: `/end {number}`"),
    "state.last": ("上一次：#{number} {when} 由{by}结束", "Before: #{number} ended {when} by {by}"),
    # -- list
    "list.title": ("**进行中的会话** {shown}/{total}", "**Open sessions** {shown}/{total}"),
    "list.none": ("没有进行中的会话。", "There are no open sessions."),
    "list.no_page": ("没有第 {page} 页，共 {pages} 页。", "There is no page {page}; there are {pages}."),
    "list.row": ("{number}. {who} · {status}{servicer} · {clock}", "{number}. {who} · {status}{servicer} · {clock}"),
    "list.waiting": ("等了 {wait}", "waiting {wait}"),
    "list.idle": ("静默 {wait}", "silent {wait}"),
    "list.more": ("下一页：`/list {kind}{page}`", "Next: `/list {kind}{page}`"),
    "list.act": ("结束：`/end 编号`，例如 `/end {number}`", "To end one: `/end number`, such as `/end {number}`"),
    # -- end
    "end.ended": ("✅ 已结束 {who}，用时 {took}。{closing}", "✅ Ended {who} after {took}. {closing}"),
    "end.new_session": (
        "客户再次发消息将开始新会话。若又直接进入人工，请把接待方式改为「仅智能助手接待」。",
        "The customer's next message starts a new session. If it lands with a human again, set reception to "
        "「仅智能助手接待」 (assistant only) in the console.",
    ),
    "end.already": ("ℹ️ {who} 此前已经结束：{by}，{when}。", "ℹ️ {who} had ended already: by {by}, {when}."),
    "end.already_unknown": (
        "ℹ️ {who} 当前没有人工会话，无需结束。",
        "ℹ️ {who} is in no session with a human; nothing to end.",
    ),
    "end.not_human": (
        "ℹ️ {who} 由智能助手接待（state={state}），没有人工会话可结束。",
        "ℹ️ {who} is with the assistant (state={state}); there is no session with a human to end.",
    ),
    "end.failed": ("❌ 未能结束 {who}，会话仍然打开。", "❌ {who} could not be ended; the session is still open."),
    "end.unknown": (
        "⏳ 企业微信没有应答，不知道 {who} 是否已结束。意图已记录，恢复后我会核对并在这里告知。",
        "⏳ WeCom does not answer, so it is not known whether {who} has ended. The intention is on record; I will "
        "check when WeCom is back and tell you here.",
    ),
    "end.still": (
        "企业微信应答成功，但读回仍是人工接待。请稍后用 /status 核对；也可能客户已开始新会话。",
        "WeCom said ok, yet the session still reads as with a human. Check with /status; the customer may have "
        "begun a new session.",
    ),
    "end.busy": ("另一个结束操作没有成功，请重试。", "Another attempt to end it did not succeed; try again."),
    "end.outdated": (
        "会话在此期间有了新消息，或请求已过期，所以没有结束。需要的话请再发一次。",
        "The conversation went on, or the request is too old, so it was not ended. Ask again if you still want it.",
    ),
    "end.later": ("先前请求结束 {who} 的结果：", "The outcome for {who}, whom you asked me to end:"),
    "end.queue": (
        "排队中的会话接口可能不允许直接结束：先让客服接入，再结束。",
        "WeCom may not let a queued session be ended: have a servicer accept it first, then end it.",
    ),
    "error.wecom": ("企业微信返回 {errcode}：{meaning}。{remedy}", "WeCom says {errcode}: {meaning}. {remedy}"),
    # -- history
    "history.title": ("**最近的会话记录**", "**The last handoffs**"),
    "history.one": ("**{who} 的会话记录**", "**Handoffs of {who}**"),
    "history.none": ("还没有会话记录。", "There are no handoffs yet."),
    "history.row": (
        "#{number} {who} {begun} · {status} · {by} · 历时 {took}",
        "#{number} {who} {begun} · {status} · {by} · {took}",
    ),
    "history.reopened": ("（接续 #{number}）", " (re-opened #{number})"),
    "history.open": ("进行中", "open"),
    "history.ended": ("由{by}结束（{via}）{reason}", "ended by {by} ({via}){reason}"),
    "history.reason": ("，原因：{reason}", ", reason: {reason}"),
    # -- bot.py end
    "script.title": ("🔧 强制结束客服会话", "🔧 End a customer service session"),
    "script.token": ("✅ 获取access_token成功", "✅ Got an access_token"),
    "script.target": ("📋 目标会话:", "📋 Session:"),
    "script.step1": ("📊 步骤1: 查询当前状态", "📊 Step 1: read the state"),
    "script.step2": (
        "🔧 步骤2: 尝试结束会话 (state={before} → state=4)",
        "🔧 Step 2: end the session (state={before} → state=4)",
    ),
    "script.step3": ("📊 步骤3: 确认状态变更", "📊 Step 3: confirm"),
    "script.state": ("✅ 当前状态: {state} (state={number})", "✅ State: {state} (state={number})"),
    "script.servicer": ("   接待人员: {servicer}", "   Servicer: {servicer}"),
    "script.with_servicer": (
        "💡 当前是人工接待状态，添加 servicer_userid: {servicer}",
        "💡 With a human, so servicer_userid is sent along: {servicer}",
    ),
    "script.request": ("📤 请求数据: {body}", "📤 Request: {body}"),
    "script.response": ("📥 响应: {body}", "📥 Response: {body}"),
    "script.no_response": ("没有应答（{why}）", "none ({why})"),
    "script.again": ("💡 再试一次，servicer_userid: {servicer}", "💡 Once more, with servicer_userid: {servicer}"),
    "script.without_servicer": ("💡 不带 servicer_userid 再试一次", "💡 Once more, without servicer_userid"),
    "script.moved": ("✅ 成功！会话已结束", "✅ Done, the session has ended"),
    "script.ended": ("🎉 完美！会话已成功结束", "🎉 The session has ended"),
    "script.already": ("ℹ️ 会话此前已经结束，无需操作", "ℹ️ The session had ended already"),
    "script.not_human": (
        "ℹ️ 会话不在人工接待中，没有可结束的人工会话",
        "ℹ️ The session is not with a human; nothing to end",
    ),
    "script.failed": ("❌ 未能结束，会话仍然打开", "❌ Not ended; the session is still open"),
    "script.unread": ("❌ 读不到会话状态，未执行任何操作", "❌ The state could not be read; nothing was done"),
    "script.internal": ("内部错误，详情见 {folder} 中的日志", "an internal error; see the log in {folder}"),
    "script.unknown": (
        "⏳ 企业微信没有应答，结果未知；意图已记录，机器人运行时会核对",
        "⏳ WeCom does not answer, the outcome is unknown; the intention is on record and the running bot settles it",
    ),
    "script.would": (
        "💡 演练：将把会话转为 state=4，未执行",
        "💡 Dry run: would move the session to state=4; nothing was done",
    ),
    "script.would_not": ("💡 演练：没有人工会话可结束", "💡 Dry run: there is no session with a human to end"),
    "script.several": (
        "该客户在多个客服账号有会话，请用 --kf 指定：{accounts}",
        "this customer is with several kf accounts; choose one with --kf: {accounts}",
    ),
    "script.nobody": (
        "没有客服账号认识客户 {customer}；请检查 external_userid，或用 --kf 指定账号",
        "no kf account knows the customer {customer}; check the external_userid, or name the account with --kf",
    ),
    # -- bot.py status
    "script.no_database": (
        "还没有数据库（{path}）；先运行一次机器人：python bot.py run",
        "there is no database yet ({path}); run the bot once: python bot.py run",
    ),
    "script.status_title": ("进行中的人工会话", "Open handoffs"),
    "script.status_open": ("等待最久的 {shown}/{total}", "Longest waiting {shown}/{total}"),
    "script.column_account": ("客服账号", "account"),
    "script.column_human": ("人工", "human"),
    "script.column_queued": ("排队", "queued"),
    "script.column_waiting": ("等待回复", "waiting"),
    "script.column_oldest": ("最久等待", "oldest wait"),
    "script.column_handoff": ("编号", "number"),
    "script.column_customer": ("客户", "customer"),
    "script.column_status": ("状态", "status"),
    "script.column_servicer": ("接待人", "servicer"),
    "script.column_wait": ("已等", "waits"),
    # -- alarms about the bot itself
    "alarm.kicked": (
        "⚠️ kfbot 已停止接收群命令：另一个程序用同一个机器人建立了长连接（{why}）。请停掉多余的实例，再重启 kfbot。",
        "⚠️ kfbot no longer hears this group: another program has connected with the same bot ({why}). Stop that one, "
        "then restart kfbot.",
    ),
    "alarm.rejected": (
        "⚠️ kfbot 无法登录群机器人（{why}）。请核对 group.aibot.bot_id 与 secret，再重启 kfbot。",
        "⚠️ kfbot cannot log in as the group's bot ({why}). Check group.aibot.bot_id and secret, then restart kfbot.",
    ),
    # -- whoami, bind
    "whoami": ("userid：`{userid}` · 角色：{role}", "userid: `{userid}` · role: {role}"),
    "whoami.chat": ("本群 chatid：`{chat}`", "chatid of this group: `{chat}`"),
    "bind.done": (
        "✅ 已与本群配对。发送 /help 查看我能做的事。",
        "✅ Paired with this group. Send /help to see what I can do.",
    ),
    "bind.wrong": (
        "配对码不对。它在机器人启动时的日志里。",
        "That is not the code. It is in the log, from when the bot started.",
    ),
    "bind.group": ("请在要配对的群里发送。", "Please send this in the group that is to be paired."),
    "bind.already": ("本群已配对。", "This group is paired already."),
}

FULL_WIDTH = str.maketrans("<>[]*`_@\\|~#", "＜＞［］＊ˋ＿＠＼｜～＃")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def plain(text: str, limit: int = 60) -> str:
    """Words of customers and members, safe inside markdown: marks become their full-width twins, lines one line."""
    line = _CONTROL.sub(" ", text).strip().translate(FULL_WIDTH).replace("://", "：//")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def short_id(external_userid: str) -> str:
    """Enough to recognise on a phone; the full id stands in /status."""
    return external_userid if len(external_userid) <= 14 else f"{external_userid[:6]}…{external_userid[-4:]}"


class Words:
    """The wording in one language. `meaning_of` explains errcodes; it belongs to the vendor's adapter."""

    def __init__(self, lang: str, bot_name: str, meaning_of: Callable[[int], tuple[str, str, str, str]]) -> None:
        self.lang, self.bot_name = lang, bot_name
        self._index = 1 if lang == "en" else 0
        self._meaning_of = meaning_of

    def __call__(self, key: str, /, **values: Any) -> str:
        return TEXT[key][self._index].format(**values)

    @staticmethod
    def plain(text: str, limit: int = 60) -> str:
        return plain(text, limit)

    def state(self, state: ServiceState) -> str:
        return STATE_NAMES[state][self._index]

    def error(self, error: WeComError) -> str:
        """Code, meaning and what to do, in one line."""
        meaning = self._meaning_of(error.errcode)
        said, remedy = meaning[self._index], meaning[self._index + 2]
        code = f"{error.errcode}" if error.errcode != -2 else "—"
        return self("error.wecom", errcode=code, meaning=said, remedy=remedy).strip()

    def lasted(self, seconds: float) -> str:
        seconds = max(0, int(seconds))
        if seconds < 60:
            return self("ago.seconds", n=seconds)
        if seconds < 3600:
            return self("ago.minutes", n=seconds // 60)
        if seconds < 86400:
            return self("ago.hours", h=seconds // 3600, m=seconds % 3600 // 60)
        return self("ago.days", d=seconds // 86400, h=seconds % 86400 // 3600)

    def when(self, at: float, now: float) -> str:
        """Local time of the machine; the date only when it is not today's."""
        moment, today = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
        return moment.strftime("%H:%M" if moment.date() == today.date() else "%m-%d %H:%M")

    def who(self, handoff: Handoff | None, external_userid: str, nickname: str = "") -> str:
        """A customer as the group sees them: name, handoff number, shortened id."""
        name = f"**{plain(nickname, 20)}** " if nickname else ""
        number = f"#{handoff.id} " if handoff is not None else ""
        return f"{name}{number}`{short_id(external_userid)}`"

    def ended_by(self, handoff: Handoff) -> str:
        if handoff.via == Via.EXPIRED:
            return self("by.expired")
        if handoff.ended_by is OperatorType.AGENT:
            return plain(handoff.operator_id) if handoff.operator_id else self("by.somebody")
        return self(f"by.{(handoff.ended_by or OperatorType.SYSTEM).value}")
