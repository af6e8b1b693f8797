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
    "choice.waiting": ("等待", "waiting"),
    "choice.human": ("人工", "human"),
    "choice.queue": ("排队", "queue"),
    "by.USER": ("客户本人", "the customer"),
    "by.AGENT": ("{who}", "{who}"),
    "by.SYSTEM": ("系统", "the system"),
    "by.somebody": ("某人（没有通过机器人）", "somebody, not through me"),
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
    "closing.sent": ("结束语已发送", "sent"),
    "closing.failed": ("结束语未送达", "refused"),
    "closing.expired": ("结束语未能在 20 秒内发出", "not sent within its 20 s"),
    "closing.unknown": ("结束语是否送达不确定", "outcome unknown"),
    "closing.sending": ("结束语发送中", "on its way"),
    "closing.skipped": ("未设置结束语", "none is set"),
    # -- amounts
    "ago.seconds": ("{n} 秒", "{n} s"),
    "ago.minutes": ("{n} 分钟", "{n} min"),
    "ago.hours": ("{h} 小时 {m} 分钟", "{h} h {m} min"),
    "ago.whole_hours": ("{h} 小时", "{h} h"),
    "ago.days": ("{d} 天 {h} 小时", "{d} d {h} h"),
    "ago.whole_days": ("{d} 天", "{d} d"),
    # -- refusals at the door
    "refused.unpaired": (
        "本群还没有与我配对。请管理员从机器人日志里找到配对码，在本群发送：`@{bot} /bind 配对码`",
        "This group is not paired with me yet. Find the pairing code in my log and send here: `@{bot} /bind CODE`",
    ),
    "refused.other": (
        "本群没有与我配对。请管理员把 `{chat}` 加入 settings.yaml 的 group.chat_ids，再重启机器人。",
        "This group is not paired with me. Add `{chat}` to group.chat_ids in settings.yaml and restart me.",
    ),
    "refused.single": (
        "请在配对的客服群里使用命令；单聊只对管理员开放。",
        "Please use commands in the paired group; this chat is open to admins only.",
    ),
    "refused.role": (
        "您不能执行 /{command}：需要「{needed}」角色。有权限的人：{allowed}",
        "You may not run /{command}: it needs the role {needed}. Who may: {allowed}",
    ),
    "refused.nobody": ("尚未设置（settings.yaml 的 roles）", "nobody yet (see roles in settings.yaml)"),
    "unknown.command": ("没有 /{name} 这个命令。", "There is no command /{name}."),
    "unknown.near": ("您是不是想用：{near}", "Did you mean: {near}"),
    "unknown.help": ("发送 /help 查看全部命令。", "Send /help to see all commands."),
    "usage": ("用法：`{usage}`", "Usage: `{usage}`"),
    "usage.target": (
        "客户可以写编号（如 `12`）、完整 ID，或 ID 开头至少 4 个字符（如 `wm7l`，须唯一）；"
        "也可以引用一条提到该客户的消息。",
        "Name the customer by number (`12`), by full id, or by its first 4 or more characters (`wm7l`, if unique); "
        "or quote a message that names the customer.",
    ),
    "usage.number": ("`{word}` 不是有效的数字。", "`{word}` is not a valid number."),
    "usage.choice": ("没有 `{word}` 这个选项，可选：{choices}", "`{word}` is none of: {choices}"),
    "usage.extra": ("多出来的 `{word}` 看不懂。", "I do not understand `{word}` here."),
    "usage.missing": ("少了一项。", "Something is missing."),
    "usage.short": (
        "`{word}` 太短：请至少写 ID 开头的 4 个字符，或用编号。",
        "`{word}` is too short: write at least the first 4 characters of the id, or the number.",
    ),
    "target.none": (
        "没有找到客户 `{word}`。发送 /list 查看进行中的会话。",
        "No customer `{word}` is known. Send /list to see the open sessions.",
    ),
    "target.no_handoff": ("没有编号为 #{number} 的会话记录。", "There is no handoff #{number}."),
    "target.many": (
        "`{word}` 匹配到多个客户，未执行任何操作。请改用编号：",
        "`{word}` matches several customers, so nothing was done. Use the number:",
    ),
    "target.more": ("还有更多，请多写几个字符。", "There are more; write more characters."),
    "target.quote_many": (
        "引用的消息提到了多个会话，请写明编号。",
        "The quoted message names several sessions; please give the number.",
    ),
    "target.quote_none": (
        "引用的消息没有提到客户，请写明是哪一位。",
        "The quoted message names no customer; please say which one you mean.",
    ),
    "target.quote_other": (
        "`{word}` 和引用的消息说的不是同一位客户，未执行任何操作。请只写一个。",
        "`{word}` is not the customer of the quoted message, so nothing was done. Please name only one.",
    ),
    "command.lost": (
        "我在处理 `{text}` 时重启了，不确定是否完成。请用 /status 核对，需要的话再发一次。",
        "I restarted while working on `{text}` and cannot tell whether it was done. Check with /status and, if need "
        "be, send it again.",
    ),
    "incident": (
        "❌ 内部错误，可能没有完成，请用 /status 核对。事件编号 `{incident}`，详情见日志。",
        "❌ Something went wrong inside and this may not be done; check with /status. "
        "Incident `{incident}`, details in the log.",
    ),
    # -- help
    "help.title": ("**我能做的事**（您的角色：{role}）", "**What I can do** (your role: {role})"),
    "help.foot": (
        "在群里请先 @{bot} 再写命令。单条用法：`/help 命令`，例如 `/help {example}`",
        "In a group, mention @{bot} first. For one command: `/help {example}`",
    ),
    "help.not_yours": ("/{command} 需要「{needed}」角色。", "/{command} needs the role {needed}."),
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
        "> {name}: with a human {human} · queued {queued} · waiting for an answer {waiting}",
    ),
    "status.oldest": ("等待最久：{who}，已等 {wait}", "Waiting longest: {who}, for {wait}"),
    "status.quiet": ("没有进行中的人工会话。", "No session is with a human."),
    "status.no_accounts": ("还没有读到客服账号。", "No kf account is known yet."),
    "status.well": ("机器人正常，已运行 {uptime}（v{version}）", "The bot is fine, up {uptime} (v{version})"),
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
    "state.answered": ("客服已回复，最近一条消息在 {ago}前", "Answered; the last message was {ago} ago"),
    "state.quiet": ("最近的动静在 {ago}前", "Nothing has happened for {ago}"),
    "state.begun": ("会话 #{number} 开始于 {at}，已 {ago}", "Handoff #{number} began at {at}, {ago} ago"),
    "state.text": ("客户最后一句：{text}", "The customer's last words: {text}"),
    "state.no_answer": (
        "以下是记录中的情况：",
        "This is what is on record:",
    ),
    "state.how_to_end": ("结束它：`/end {number}`", "To end it: `/end {number}`"),
    "state.last": ("上一次：#{number} · {when} 结束：{by}", "Before: #{number}, ended {when} by {by}"),
    # -- list
    "list.title": ("**进行中的会话** {shown}，共 {total}", "**Open sessions** {shown} of {total}"),
    "list.title.waiting": ("**等待回复的会话** {shown}，共 {total}", "**Waiting for an answer** {shown} of {total}"),
    "list.title.human": ("**人工接待的会话** {shown}，共 {total}", "**With a human** {shown} of {total}"),
    "list.title.queue": ("**排队中的会话** {shown}，共 {total}", "**In the queue** {shown} of {total}"),
    "list.none": ("没有进行中的会话。", "There are no open sessions."),
    "list.none.waiting": ("没有客户在等待回复。", "No customer is waiting for an answer."),
    "list.none.human": ("没有人工接待中的会话。", "No session is with a human."),
    "list.none.queue": ("没有排队中的会话。", "Nobody is in the queue."),
    "list.no_page": (
        "没有第 {page} 页，最后一页是第 {pages} 页。",
        "There is no page {page}; the last is page {pages}.",
    ),
    "list.row": ("> {who} · {servicer}{status} · {clock}", "> {who} · {servicer}{status} · {clock}"),
    "list.waiting": ("等了 {wait}", "waiting {wait}"),
    "list.idle": ("{wait}无动静", "quiet for {wait}"),
    "list.more": ("下一页：`/list {kind}{page}`", "Next: `/list {kind}{page}`"),
    "list.act": ("结束用 `/end 编号`，例如 `/end {number}`", "To end one, use its number: `/end {number}`"),
    # -- end
    "end.ended": ("✅ 已结束 {who}，历时 {took}。{closing}", "✅ Ended {who} after {took}.{closing}"),
    "end.closing": ("{closing}。", " Closing message: {closing}."),
    "end.new_session": (
        "客户再发消息会开始新会话；若又直接转人工，请管理员把接待方式改为「仅智能助手接待」。",
        "The customer's next message starts a new session. If it lands with a human again, set reception to "
        "「仅智能助手接待」 (assistant only) in the console.",
    ),
    "end.already": ("ℹ️ {who} 此前已经结束：{by}，{when}。", "ℹ️ {who} had ended already: by {by}, {when}."),
    "end.already_unknown": (
        "ℹ️ {who} 当前没有人工会话，无需结束。",
        "ℹ️ {who} is in no session with a human; nothing to end.",
    ),
    "end.not_human": (
        "ℹ️ {who} 当前是「{state}」（state={number}），没有人工会话可结束。",
        "ℹ️ {who} is in the state “{state}” (state={number}); there is no session with a human to end.",
    ),
    "end.next": (
        "这位客户现在的会话是 #{number}，没有动它。",
        "The customer's session now is #{number}; it was left alone.",
    ),
    "end.failed": ("❌ 未能结束 {who}，会话仍然打开。", "❌ {who} could not be ended; the session is still open."),
    "end.unread": (
        "❌ 读不到 {who} 的状态，未执行任何操作。",
        "❌ The state of {who} cannot be read, so nothing was done.",
    ),
    "end.unsure": (
        "❌ 未能结束 {who}，请稍后用 /status 核对。",
        "❌ {who} could not be ended; check with /status later.",
    ),
    "end.unknown": (
        "⏳ 企业微信没有应答，还不知道 {who} 是否已结束。我已记下，恢复后会核对并在这里告知，不用重复发送。",
        "⏳ WeCom does not answer, so it is not known yet whether {who} has ended. I have noted it, will check when "
        "WeCom is back and tell you here; no need to ask again.",
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
        "这个会话还在排队，企业微信可能不允许直接结束：请先让客服接入，再结束。",
        "WeCom may not let a queued session be ended: have a servicer accept it first, then end it.",
    ),
    "error.silent": ("{meaning}。{remedy}", "{meaning}. {remedy}"),
    "error.wecom": ("企业微信返回 {errcode}：{meaning}。{remedy}", "WeCom says {errcode}: {meaning}. {remedy}"),
    # -- history
    "history.title": ("**最近的会话记录**", "**The last handoffs**"),
    "history.one": ("{who} 的会话记录", "Handoffs of {who}"),
    "history.none": ("还没有会话记录。", "There are no handoffs yet."),
    "history.none_of": ("{who} 还没有人工会话记录。", "{who} has not been with a human yet."),
    "history.row": (
        "> {who} {begun} 开始 · {took} · {how}",
        "> {who} began {begun} · {took} · {how}",
    ),
    "history.reopened": ("（接续 #{number}）", " (re-opened #{number})"),
    "history.one_row": (
        "> #{number} {begun} 开始 · {took} · {how}",
        "> #{number} began {begun} · {took} · {how}",
    ),
    "history.ended": ("结束：{by}{via}{reason}", "ended by {by}{via}{reason}"),
    "history.cancelled": ("排队中结束：{by}{via}{reason}", "ended in the queue by {by}{via}{reason}"),
    "history.via": ("（{via}）", " ({via})"),
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
    # -- bot.py check
    "check.name.settings": ("设置", "settings"),
    "check.name.storage": ("存储", "storage"),
    "check.name.clock": ("时钟", "clock"),
    "check.name.token": ("access_token", "access_token"),
    "check.name.trusted_ip": ("可信IP", "trusted IP"),
    "check.name.accounts": ("客服账号", "kf accounts"),
    "check.name.servicers": ("接待人员", "servicers"),
    "check.name.callback": ("回调", "callback"),
    "check.name.group": ("群通道", "group"),
    "check.name.routing": ("接待方式", "routing"),
    "check.skipped": ("已跳过（skipped）：先解决「{missing}」", "skipped: first mend {missing}"),
    "check.internal": ("检查本身出错（{where}）", "the check itself failed ({where})"),
    "check.internal.remedy": ("这是程序问题，请反馈", "a fault of the program: report it"),
    "check.settings.good": ("有效，企业 {corp_id}，{api_base}", "valid, company {corp_id}, {api_base}"),
    "check.settings.empty": ("{key} 没有填写", "{key} is empty"),
    "check.settings.empty.remedy": (
        "管理后台 → 我的企业 → 企业ID；应用管理 → 自建应用 → Secret",
        "admin console → 我的企业 (My company) → 企业ID; 应用管理 (Apps) → the self-built app → Secret",
    ),
    "check.settings.half": ("{key} 没有填写，与它成对的一项却填了", "{key} is empty while its other half is set"),
    "check.settings.half.remedy": ("两项都填，或都留空", "set both, or neither to do without"),
    "check.storage.good": ("{path} 可读写", "{path} can be read and written"),
    "check.storage.new": ("{path} 还没有，首次运行时创建", "{path} is not there yet; the first run makes it"),
    "check.storage.unwritable": ("无法在 {folder} 下创建 {path}", "cannot make {path} in {folder}"),
    "check.storage.unwritable.remedy": (
        "给运行用户该目录的写权限，或修改 storage.url",
        "let the bot's user write there, or change storage.url",
    ),
    "check.storage.broken": ("{why}", "{why}"),
    "check.storage.broken.remedy": (
        "检查文件权限、磁盘空间和 storage.url；文件损坏就恢复备份",
        "check the file's permissions, disk space and storage.url; restore a backup if it is damaged",
    ),
    "check.clock.good": ("与企业微信相差 {seconds} 秒", "{seconds} s from WeCom's"),
    "check.clock.off": ("本机时钟与企业微信相差 {seconds} 秒", "this machine's clock is {seconds} s from WeCom's"),
    "check.clock.off.remedy": (
        "开启 NTP 对时，例如 timedatectl set-ntp true",
        "switch on NTP, such as timedatectl set-ntp true",
    ),
    "check.clock.unreachable": ("读不到企业微信的时间：{why}", "WeCom's time cannot be read: {why}"),
    "check.clock.unreachable.remedy": (
        "检查网络、DNS、防火墙和 wecom.api_base",
        "check the network, DNS, firewall and wecom.api_base",
    ),
    "check.clock.untold": ("应答里没有 Date，无法比较", "the answer has no Date to compare with"),
    "check.clock.untold.remedy": ("若经过代理，让它保留 Date 头", "if there is a proxy, let it keep the Date header"),
    "check.token.good": ("已取得", "granted"),
    "check.trusted_ip.good": ("本机出口 IP 可以调用接口", "this machine's public IP may call the API"),
    "check.accounts.good": ("{names}", "{names}"),
    "check.accounts.and": ("、", ", "),
    "check.accounts.none": ("没有可管理的客服账号", "no kf account is there to be managed"),
    "check.accounts.none.remedy": (
        "管理后台 → 微信客服 → API → 通过API管理微信客服账号 → 企业内部开发 →「可管理的客服账号」；核对 kf.accounts",
        "admin console → 微信客服 → 通过API管理微信客服账号 → 企业内部开发 → 「可管理的客服账号」 and kf.accounts",
    ),
    "check.accounts.unknown": (
        "kf.accounts 中的 {account} 不存在",
        "kf.accounts names {account}, which does not exist",
    ),
    "check.accounts.unknown.remedy": (
        "应写 wk 开头的 open_kfid，不是链接里的 kfc…；或删去它",
        "write the open_kfid (wk…), not the kfc… of a contact link; or take it out",
    ),
    "check.accounts.denied": ("{account} 没有授权给本应用", "{account} is not granted to this app"),
    "check.accounts.denied.remedy": (
        "管理后台 → 微信客服 → 通过API管理微信客服账号 → 企业内部开发 →「可管理的客服账号」中加入它",
        "admin console → 微信客服 → 通过API管理微信客服账号 → 企业内部开发 → 「可管理的客服账号」: add the account",
    ),
    "check.accounts.stray": ("{key} 中的 {account} 不存在", "{key} names {account}, which does not exist"),
    "check.accounts.stray.remedy": ("核对 open_kfid（wk…）", "check the open_kfid (wk…)"),
    "check.servicers.good": (
        "{account}：{total} 人，{receiving} 人正在接待（{names}）",
        "{account}: {receiving} of {total} receiving ({names})",
    ),
    "check.servicers.none": ("{account}：没有接待人员", "{account}: no servicers"),
    "check.servicers.none.remedy": (
        "管理后台 → 微信客服 → 该账号 → 接待人员 中添加，并确认在应用可见范围内",
        "admin console → 微信客服 → the account → 接待人员: add some, inside the app's visible range",
    ),
    "check.servicers.away": ("{account}：{total} 人都已停止接待", "{account}: none of {total} is receiving"),
    "check.servicers.away.remedy": (
        "请接待人员在企业微信 → 工作台 → 微信客服 中开始接待",
        "let a servicer start receiving: WeCom app → 工作台 (Workbench) → 微信客服",
    ),
    "check.callback.none": ("未配置，只靠定时轮询（kf.poll）", "not configured; only the slow poll (kf.poll) looks"),
    "check.callback.none.remedy": (
        "应用管理 → 自建应用 → 接收消息 → 设置API接收，把 Token 和 EncodingAESKey 填入 callback",
        "应用管理 (Apps) → the app → 接收消息 → 设置API接收: copy Token and EncodingAESKey to callback",
    ),
    "check.callback.down": ("机器人没有运行，{url} 未测试", "the bot does not run, {url} was not tested"),
    "check.callback.down.remedy": (
        "启动机器人（python bot.py run）后再检查一次",
        "start the bot (python bot.py run) and check again",
    ),
    "check.callback.unreachable": (
        "机器人在运行，但 {url} 不通：{why}",
        "the bot runs, but {url} does not answer: {why}",
    ),
    "check.callback.unreachable.remedy": (
        "检查 server.public_url、DNS、反向代理、证书和防火墙",
        "check server.public_url, DNS, reverse proxy, certificate and firewall",
    ),
    "check.callback.keys": ("{url} 拒绝了签名", "{url} refuses the signature"),
    "check.callback.keys.remedy": (
        "运行中的机器人用的是别的 callback 设置：重启它，并与管理后台核对",
        "the running bot has other callback settings: restart it, and compare with the console",
    ),
    "check.callback.foreign": (
        "{url} 答非所问（HTTP {status}）",
        "{url} gives the wrong answer (HTTP {status})",
    ),
    "check.callback.foreign.remedy": (
        "反向代理须把 /callback/kf 原样转给机器人；改过设置就重启机器人",
        "the reverse proxy must hand /callback/kf to the bot as it is; restart the bot if its settings changed",
    ),
    "check.callback.slow": ("{url} 用了 {seconds} 秒", "{url} took {seconds} s"),
    "check.callback.slow.remedy": (
        "企业微信只等 1 秒：检查反向代理和机器负载",
        "WeCom waits 1 s: check proxy and load",
    ),
    "check.callback.local": (
        "{url} 应答正确，但只在本机测试（server.public_url 为空）",
        "{url} answers well, but was tested on this machine only (server.public_url is empty)",
    ),
    "check.callback.local.remedy": (
        "填写 server.public_url，就能测试企业微信所见的地址",
        "set server.public_url to test the address that WeCom sees",
    ),
    "check.callback.good": ("{url} 在 {seconds} 秒内应答正确", "{url} answers well in {seconds} s"),
    "check.group.none": ("未配置群机器人", "no group bot is configured"),
    "check.group.none.remedy": (
        "管理后台 → 智能机器人 → API 模式 → 长连接，填写 group.aibot",
        "admin console → 智能机器人 → API 模式 → 长连接: fill in group.aibot",
    ),
    "check.group.good": ("可以连接和订阅", "connects and subscribes"),
    "check.group.running": ("运行中的机器人已连接", "the running bot is connected"),
    "check.group.bad": ("{why}", "{why}"),
    "check.group.silent": ("{url} 有程序在监听，但没有应答", "something listens at {url} and does not answer"),
    "check.group.bad.remedy": (
        "检查网络，核对 group.aibot 的 bot_id、secret 和 url；同一个机器人只能有一个连接",
        "check the network, and bot_id, secret and url of group.aibot; one bot can have one connection only",
    ),
    "check.routing": ("接口读不到", "no API tells it"),
    "check.routing.remedy": (
        "新会话若直接进入人工（state=3），请在管理后台改为「仅智能助手接待」",
        "if new sessions land with a human (state=3), set 「仅智能助手接待」 (assistant only) in the console",
    ),
    # -- whoami, bind
    "whoami": ("userid：`{userid}` · 角色：{role}", "userid: `{userid}` · role: {role}"),
    "whoami.chat": ("本群 chatid：`{chat}`", "chatid of this group: `{chat}`"),
    "bind.done": (
        "✅ 已与本群配对。发送 /help 查看我能做的事。",
        "✅ Paired with this group. Send /help to see what I can do.",
    ),
    "bind.wrong": (
        "配对码不对。请看机器人日志里最新的一个。",
        "That is not the code. The newest one is in my log.",
    ),
    "bind.group": ("请在要配对的群里发送。", "Please send this in the group that is to be paired."),
    "bind.already": ("本群已配对。", "This group is paired already."),
}

SILENT = -2  # errcode of WeComUnavailable: ours, so it is not shown
FULL_WIDTH = str.maketrans("<>[]*`_@\\|~#&", "＜＞［］＊ˋ＿＠＼｜～＃＆")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


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

    def named(self, key: str, otherwise: str) -> str:
        """The word for a thing that somebody may have added without wording; no places to fill."""
        return self(key) if key in TEXT else otherwise

    @staticmethod
    def plain(text: str, limit: int = 60) -> str:
        return plain(text, limit)

    def state(self, state: ServiceState) -> str:
        return STATE_NAMES[state][self._index]

    def error(self, error: WeComError) -> str:
        """Code, meaning and what to do, in one line."""
        meaning = self._meaning_of(error.errcode)
        said, remedy = meaning[self._index], meaning[self._index + 2]
        if self.lang == "en":
            remedy = remedy[:1].upper() + remedy[1:]
        key = "error.silent" if error.errcode == SILENT else "error.wecom"
        return self(key, errcode=error.errcode, meaning=said, remedy=remedy).strip()

    def lasted(self, seconds: float) -> str:
        seconds = max(0, int(seconds))
        if seconds < 60:
            return self("ago.seconds", n=seconds)
        if seconds < 3600:
            return self("ago.minutes", n=seconds // 60)
        if seconds < 86400:
            hours, minutes = seconds // 3600, seconds % 3600 // 60
            return self("ago.hours" if minutes else "ago.whole_hours", h=hours, m=minutes)
        days, hours = seconds // 86400, seconds % 86400 // 3600
        return self("ago.days" if hours else "ago.whole_days", d=days, h=hours)

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
