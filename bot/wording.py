"""Everything the group, the pages and the CLI say, in Chinese and English, in one place. Pure.

A text is found by its key and filled with `str.format`; a test holds both languages to the same places to fill.
What customers or members typed goes in through `plain`, which takes away every mark that a client would interpret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

from bot.errors import StorageError, WeComError
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
    "parameter.servicer": ("接待人", "servicer"),
    "parameter.condition": ("条件", "condition"),
    "parameter.confirmation": ("确认码", "CODE"),
    "parameter.parked": ("编号|all", "NUMBER|all"),
    "choice.waiting": ("等待", "waiting"),
    "choice.human": ("人工", "human"),
    "choice.queue": ("排队", "queue"),
    "choice.today": ("今天", "today"),
    "choice.week": ("一周", "week"),
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
        "本群没有与我配对。请管理员把 `{chat}` 加入 settings.yaml 的 group.chat_ids，再重启机器人。"
        "那里要列出所有的群，已经配对的也要写上。",
        "This group is not paired with me. Add `{chat}` to group.chat_ids in settings.yaml and restart me. "
        "All groups have to stand there, those that are paired already too.",
    ),
    "refused.single": (
        "请在配对的客服群里使用命令；单聊只对管理员开放。",
        "Please use commands in the paired group; this chat is open to admins only.",
    ),
    "refused.role": (
        "您不能执行 /{command}：需要「{needed}」角色。有权限的人：{allowed}",
        "You may not run /{command}: it needs the role {needed}. Who may: {allowed}",
    ),
    "refused.tap": ("需要「{needed}」角色。有权限的人：{allowed}", "This needs the role {needed}. Who may: {allowed}"),
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
        "我重启了，之前没能答复 {texts}：可能没有执行，也可能只差答复。请用 /status 核对，需要的话再发一次。",
        "I restarted before I had answered {texts}: it may not have been begun, or may lack only the answer. Check "
        "with /status and, if need be, send it again.",
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
    "help.longer": ("另见：`{usage}` {help}", "See also: `{usage}` {help}"),
    "help.help": ("查看命令，或某条命令的用法", "Show what there is, or how to use one command"),
    "help.status": ("总览，或某个客户的实时状态", "Overview, or one session read live from WeCom"),
    "help.list": ("列出进行中的会话，等待最久的在前", "List open sessions, longest wait first"),
    "help.end": ("结束人工会话，客户会收到结束语", "End a session with a human; the customer gets the closing message"),
    "help.history": ("最近的会话记录：谁结束的、多久", "The last handoffs: who ended them, how long they took"),
    "help.stats": (
        "统计：处理数、等待、时长、谁结束的，附图",
        "Numbers: handled, waits and lengths, ended by whom; with a picture",
    ),
    "help.whoami": ("查看您的 userid 和角色", "Show your userid and role"),
    "help.bind": ("把本群与我配对", "Pair this group with me"),
    "help.end all": (
        "批量结束符合条件的会话：先列出，确认后才结束",
        "List the sessions that a condition fits, and end them all after /confirm",
    ),
    "help.confirm": ("执行 /end all 列出的计划", "Carry out what /end all has listed"),
    "help.transfer": ("把会话转给另一位正在接待的同事", "Hand a session to another servicer who is receiving"),
    "help.servicers": (
        "各账号谁在接待，各有几个会话",
        "Who is receiving in each account, and how many sessions they have",
    ),
    # -- status
    "status.title": ("**客服会话总览**", "**Customer sessions**"),
    "status.account": (
        "> {name}：人工 {human} · 排队 {queued} · 等待回复 {waiting}",
        "> {name}: with a human {human} · queued {queued} · waiting for an answer {waiting}",
    ),
    "status.oldest": ("等待最久：{who}，已等 {wait}", "Waiting longest: {who}, for {wait}"),
    "status.quiet": ("没有进行中的人工会话。", "No session is with a human."),
    "status.not_routed": (
        "本群没有负责任何客服账号（见 settings.yaml 的 group.routes）。",
        "This group serves no kf account (see group.routes in settings.yaml).",
    ),
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
    "problem.webhook": (
        "{host} 不接收事件，恢复后会继续发：{why}",
        "{host} accepts no events, they are sent when it is back: {why}",
    ),
    "problem.parked": ("有 {count} 个事件没能送达，见 /parked", "{count} events were not delivered, see /parked"),
    "problem.unsettled": (
        "有 {count} 个会话没能结束，企业微信不告知状态，见 /parked",
        "{count} sessions could not be ended, WeCom does not tell their state, see /parked",
    ),
    "problem.unread": ("有 {count} 条消息没能读懂，见 /parked", "{count} items could not be read, see /parked"),
    "problem.task": (
        "后台任务 {task} 意外中断（事件编号 {incident}），{seconds} 秒后重启",
        "the task {task} died (incident {incident}), begun again in {seconds} s",
    ),
    "problem.loop": (
        "机器人曾停顿 {seconds} 秒（{ago}前），原因见日志",
        "the bot stood still for {seconds} s, {ago} ago; the log says where",
    ),
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
    "end.skipped": ("ℹ️ {who} 又有新消息，没有结束。", "ℹ️ {who} has new messages, so it was not ended."),
    "end.outdated": (
        "会话在此期间有了新消息，或请求已过期，所以没有结束。需要的话请再发一次。",
        "The conversation went on, or the request is too old, so it was not ended. Ask again if you still want it.",
    ),
    "end.under_way": (
        "⏳ {who} 正在结束中，有了结果会在这里告知，不用重复发送。",
        "⏳ {who} is being ended already. I will tell you here how it comes out; no need to ask again.",
    ),
    "end.later": ("先前请求结束 {who} 的结果：", "The outcome for {who}, whom you asked me to end:"),
    "end.later.many": (
        "先前请求结束的 {count} 个会话，结果：",
        "The outcomes for {count} sessions that you asked me to end:",
    ),
    "end.queue": (
        "这个会话还在排队，企业微信可能不允许直接结束：请先让客服接入，再结束。",
        "WeCom may not let a queued session be ended: have a servicer accept it first, then end it.",
    ),
    "error.silent": ("{meaning}。{remedy}", "{meaning}. {remedy}"),
    "error.wecom": ("企业微信返回 {errcode}：{meaning}。{remedy}", "WeCom says {errcode}: {meaning}. {remedy}"),
    # -- end all, confirm
    "bulk.usage": (
        "用法：`/end all 条件`，写一个条件：\n"
        "> `idle>30m` 或 `空闲>30m`：超过 30 分钟没有人发消息\n"
        "> `waiting>10m` 或 `等待>10m`：客户等回复超过 10 分钟\n"
        "> `open>4h` 或 `接待>4h`：接入超过 4 小时\n"
        "我先列出会话，您确认后才结束。",
        "Usage: `/end all condition`, with one condition:\n"
        "> `idle>30m`: nobody has written for more than 30 minutes\n"
        "> `waiting>10m`: the customer has waited for an answer for more than 10 minutes\n"
        "> `open>4h`: accepted more than 4 hours ago\n"
        "I list the sessions first and end them when you confirm.",
    ),
    "confirm.ended": ("已结束：{numbers}", "Ended: {numbers}"),
    "bulk.one": ("一次只能写一个条件。", "One condition at a time, please."),
    "bulk.unknown": ("看不懂条件 `{condition}`。", "I do not understand the condition `{condition}`."),
    "bulk.condition.idle": ("空闲>{amount}", "idle>{amount}"),
    "bulk.condition.waiting": ("等待>{amount}", "waiting>{amount}"),
    "bulk.condition.open": ("接待>{amount}", "open>{amount}"),
    "bulk.none": (
        "没有符合「{condition}」的会话，未执行任何操作。",
        "No session fits “{condition}”, so nothing was done.",
    ),
    "bulk.title": ("**将结束 {count} 个会话**（{condition}）", "**Sessions to be ended: {count}** ({condition})"),
    "bulk.row": ("> {who} · {servicer} · {clock}", "> {who} · {servicer} · {clock}"),
    "bulk.open": ("已接待 {wait}", "open for {wait}"),
    "bulk.rest": ("> …还有 {count} 个", "> …and {count} more"),
    "bulk.more": (
        "符合条件的不止这些，这次只处理最久的 {count} 个。",
        "There are more; this plan takes the {count} longest.",
    ),
    "bulk.waiting": (
        "⚠️ 其中 {count} 位客户还在等回复。",
        "⚠️ Customers among them who still wait for an answer: {count}.",
    ),
    "bulk.confirm": (
        "请在 60 秒内由您本人在这里发送 `/confirm {code}`；不发就什么都不做。",
        "To go on, send `/confirm {code}` here yourself within 60 s; otherwise nothing is done.",
    ),
    "confirm.used": ("`{code}` 已经用过，没有再次执行。", "`{code}` has been used already; nothing was done again."),
    "confirm.late": (
        "已超过 60 秒，未执行任何操作。请重新列出：`/end all {condition}`",
        "That was more than 60 s, so nothing was done. List them again: `/end all {condition}`",
    ),
    "confirm.others": (
        "这是 {who} 列出的计划，只有本人能确认；未执行任何操作。",
        "This is the plan of {who}, who alone can confirm it; nothing was done.",
    ),
    "confirm.elsewhere": (
        "请在列出计划的地方确认；未执行任何操作。",
        "Please confirm where you asked for the list; nothing was done.",
    ),
    "confirm.none": (
        "没有等您确认的 `{code}`，未执行任何操作。先用 `/end all 条件` 列出会话。",
        "No `{code}` of yours is waiting, so nothing was done. Ask for a list first: `/end all condition`.",
    ),
    "confirm.progress": ("⏳ 批量结束：{done}/{total}", "⏳ Ending sessions: {done} of {total}"),
    "confirm.result": (
        "{mark} 已结束 {ended} · 此前已结束 {already} · 跳过 {skipped} · 失败 {failed} · 待核实 {unknown}",
        "{mark} Ended {ended} · already ended {already} · skipped {skipped} · failed {failed} · unknown {unknown}",
    ),
    "confirm.skipped": (
        "跳过的已不符合条件：有人发了消息。",
        "What was skipped no longer fits: somebody has written.",
    ),
    "confirm.unknown": (
        "待核实：企业微信没有应答，我会核对并在这里告知，不用重复发送。",
        "Unknown: WeCom did not answer; I will check and tell you here, no need to ask again.",
    ),
    "confirm.failed": ("> {who}：{why}", "> {who}: {why}"),
    # -- transfer, servicers
    "transfer.done": ("✅ {who} 已转接：{before} → {servicer}", "✅ {who} transferred: {before} → {servicer}"),
    "transfer.queue": ("排队", "queue"),
    "transfer.same": ("ℹ️ {who} 已由 {servicer} 接待，无需转接。", "ℹ️ {who} is with {servicer} already."),
    "transfer.over": (
        "ℹ️ {who} 的会话已经结束，不能转接。客户再发消息会开始新会话。",
        "ℹ️ {who} has ended and cannot be transferred. The customer's next message starts a new session.",
    ),
    "transfer.not_human": (
        "ℹ️ {who} 当前是「{state}」（state={number}），没有人工会话可转接。",
        "ℹ️ {who} is in the state “{state}” (state={number}); there is no session with a human to transfer.",
    ),
    "transfer.nobody": (
        "❌ 该账号的接待人员里没有 `{servicer}`，未转接。",
        "❌ `{servicer}` is no servicer of this account, so nothing was done.",
    ),
    "transfer.several": (
        "❌ `{servicer}` 匹配到多位接待人员，未转接：{fits}",
        "❌ `{servicer}` fits several servicers, so nothing was done: {fits}",
    ),
    "transfer.away": (
        "❌ {servicer} 没有在接待，{who} 未转接。",
        "❌ {servicer} is not receiving, so {who} was not transferred.",
    ),
    "transfer.refused": ("❌ {who} 未能转给 {servicer}。", "❌ {who} could not be transferred to {servicer}."),
    "transfer.lost": (
        "❌ 企业微信没有应答，{who} 没有转给 {servicer}。可以再试一次。",
        "❌ WeCom did not answer, and {who} was not transferred to {servicer}. You may try again.",
    ),
    "transfer.unknown": (
        "⏳ 企业微信没有应答，还不知道 {who} 是否已转给 {servicer}。请稍后用 /status 核对。",
        "⏳ WeCom does not answer, so it is not known whether {who} is with {servicer} now. Check with /status later.",
    ),
    "transfer.95014": (
        "企业微信返回 95014：{servicer} 不是该账号的接待人员，或未激活企业微信。请换一位。",
        "WeCom says 95014: {servicer} is no servicer of this account, or has not activated WeCom. Choose another.",
    ),
    "transfer.95016": (
        "企业微信返回 95016：会话现在的状态不允许转接。请用 /status 重新查看。",
        "WeCom says 95016: the session's state does not allow it now. Look again with /status.",
    ),
    "transfer.95019": (
        "企业微信返回 95019：{servicer} 已停止接待。请换一位。",
        "WeCom says 95019: {servicer} has stopped receiving. Choose another.",
    ),
    "transfer.receiving": ("正在接待（会话数）：{people}", "Receiving, with open sessions: {people}"),
    "transfer.colleague": ("`{userid}`（{load}）", "`{userid}` ({load})"),
    "transfer.nobody_receiving": ("现在没有别人在接待。", "Nobody else is receiving now."),
    "servicers.title": ("**接待人员**", "**Servicers**"),
    "servicers.account": (
        "{account}：{total} 人中 {receiving} 人正在接待",
        "{account}: {receiving} of {total} receiving",
    ),
    "servicers.row": (
        "> {mark} {servicer} · {reception} · {load} 个会话",
        "> {mark} {servicer} · {reception} · {load} open",
    ),
    "servicers.receiving": ("正在接待", "receiving"),
    "servicers.suspended": ("暂停接待", "suspended"),
    "servicers.stopped": ("停止接待", "stopped"),
    "servicers.untold": ("接待状态未知", "reception not known"),
    "servicers.unlisted": ("不在接待名单", "not in the list"),
    "servicers.more": ("> …还有 {count} 人", "> …and {count} more"),
    "servicers.old": ("以上是 {ago}前读到的。", "This was read {ago} ago."),
    "servicers.none": ("还没有读到接待人员。", "No servicers are known yet."),
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
    # -- alerts and their cards (keys of rows: at most five characters, of buttons ten)
    "rule.customer_waiting": ("等了 {wait}", "waiting {wait}"),
    "rule.queue_waiting": ("排队 {wait}", "queued {wait}"),
    "rule.human_idle": ("{wait}无人发言", "silent {wait}"),
    "rule.human_open": ("人工接待已 {wait}", "open {wait}"),
    "card.customer": ("客户", "who"),
    "card.account": ("账号", "acct"),
    "card.servicer": ("接待", "staff"),
    "card.nobody": ("暂无", "nobody"),
    "card.wait": ("情况", "now"),
    "card.acked": ("跟进", "taken"),
    "card.snoozed": ("稍后", "quiet"),
    "card.expires": ("自动结束", "until"),
    "card.when": ("时间", "when"),
    "card.took": ("历时", "took"),
    "card.ended_by": ("结束人", "by"),
    "card.words": ("「{text}」", "“{text}”"),
    "card.command": ("结束可发：@{bot} /end {number}", "To end it: @{bot} /end {number}"),
    "card.ended": ("✅ {who} 已结束", "✅ {who} ended"),
    "card.by": ("{by} {when}", "by {by} {when}"),
    "card.ending": ("⏳ 正在结束 {who}", "⏳ ending {who}"),
    "card.asked": ("{by} {when} 点了结束", "asked by {by} {when}"),
    "card.refused": ("未执行", "Nothing was done"),
    "button.end": ("结束", "End"),
    "button.snooze": ("稍后", "Snooze"),
    "button.ack": ("跟进", "Take it"),
    "button.refresh": ("刷新", "Refresh"),
    "button.done": ("已处理", "Done"),
    "button.all": ("查看全部", "Show all"),
    "alert.text": ("⏰ {who} {what}", "⏰ {who} {what}"),
    "alert.commands": (
        "结束 `@{bot} /end {number}` · 稍后 `@{bot} /snooze {number} 10m` · 跟进 `@{bot} /ack {number}`",
        "End `@{bot} /end {number}` · snooze `@{bot} /snooze {number} 10m` · take it `@{bot} /ack {number}`",
    ),
    "alert.closed": (
        "✅ {who} 已结束：{by}{via}，{when}，历时 {took}",
        "✅ {who} ended by {by}{via}, {when}, after {took}",
    ),
    "alerts.title": ("{count} 个会话需要处理", "{count} sessions need you"),
    "alerts.text": (
        "⏰ **{count} 个会话需要处理**，等得最久的在前：",
        "⏰ **{count} sessions need somebody**, longest wait first:",
    ),
    "alerts.more": ("还有 {count} 个，发送 /list 查看", "and {count} more: send /list"),
    "alerts.and": ("还有 {count} 个", "and {count} more"),
    "alerts.how": ("结束可发：@{bot} /end 编号", "To end one: @{bot} /end NUMBER"),
    "alerts.closed": ("{count} 个会话已结束：", "{count} sessions have ended:"),
    "alerts.open": ("**{count} 个会话有提醒**，最早的在前：", "**{count} sessions have alerts**, oldest first:"),
    "alerts.row": (
        "> {who} · {what} · {since} 起，已提醒 {sends} 次",
        "> {who} · {what} · since {since}, told {sends}×",
    ),
    "alerts.customer_waiting": ("客户等回复", "customer waits"),
    "alerts.queue_waiting": ("排队", "queued"),
    "alerts.human_idle": ("无人发言", "silent"),
    "alerts.human_open": ("接待过久", "open for long"),
    "alerts.acked": (" · {by} 跟进中", " · {by} takes care"),
    "alerts.snoozed": (" · {until} 后再提醒", " · quiet until {until}"),
    "quiet.over": ("{who} 没有进行中的会话。", "{who} has no open session."),
    "quiet.nothing": ("{who} 目前没有提醒，不需要跟进标记。", "No alert is open for {who}; nothing to take."),
    "ack.done": (
        "👌 {by} 跟进 {who}。到 {until} 还没有新消息，我会再提醒。",
        "👌 {by} takes care of {who}. If nothing is written by {until}, I will remind you.",
    ),
    "ack.already": ("{who} 已由 {by} 在 {when} 接手跟进。", "{by} has taken care of {who} since {when}."),
    "snooze.done": ("👌 {who} 到 {until} 之前不再提醒（{by}）。", "👌 No alerts about {who} until {until} ({by})."),
    "snooze.already": ("{by} 刚把 {who} 推迟到 {until}。", "{by} was faster: {who} is quiet until {until}."),
    "mute.done": (
        "🔕 本群到 {until} 之前不再收到会话提醒；提前恢复：`/mute off`",
        "🔕 No alerts in this group until {until}; `/mute off` brings them back.",
    ),
    "mute.until": (
        "🔕 本群静音到 {until}；恢复：`/mute off`",
        "🔕 This group is muted until {until}; `/mute off` ends that.",
    ),
    "mute.not": ("本群没有静音。静音一小时：`/mute 1h`", "This group is not muted. For an hour: `/mute 1h`"),
    "mute.off": ("🔔 已恢复提醒。", "🔔 Alerts are back."),
    "mute.group": ("请在要静音的群里发送。", "Please send this in the group that is to be muted."),
    "usage.duration": (
        "`{word}` 不是有效的时长：请写 `90s`、`10m`、`2h` 或 `1d`，最长 30 天。",
        "`{word}` is no duration: write `90s`, `10m`, `2h` or `1d`, at most 30 days.",
    ),
    "parameter.duration": ("时长", "10m"),
    "help.ack": (
        "标记跟进：有人处理，先不重复提醒",
        "Say that you follow it up: its alert is not repeated while you do",
    ),
    "help.snooze": ("稍后提醒：先安静一段时间", "Quiet a customer's alert for a time"),
    "help.mute": ("本群静音一段时间；off 恢复", "Have no alerts in this group for a time; `off` takes it back"),
    "help.alerts": ("列出未处理的提醒和跟进人", "List the alerts that are open, and who takes care of them"),
    "alerts.none": ("没有待处理的提醒", "No alert is open"),
    "policy.refused": ("⚠️ 自动结束没有成功，请人工处理：", "⚠️ An automatic end was refused; somebody has to look:"),
    "chat.refused": (
        "⚠️ 客户在聊天里要求结束，没有成功，请人工处理：",
        "⚠️ The customer asked in the chat for the end, which was refused; somebody has to look:",
    ),
    "tap.unknown": ("不认识这个按钮。", "I do not know this button."),
    "tap.no_handoff": ("没有编号为 #{number} 的会话记录。", "There is no handoff #{number}."),
    "tap.unpaired": ("本群没有与我配对。", "This group is not paired with me."),
    "tap.not_allowed": ("{who} 没有权限", "{who} may not do this"),
    "tap.failed": ("未能结束（{who} 点的）", "not ended ({who} asked)"),
    "tap.already": ("{who} 已经操作过", "{who} was faster"),
    "tap.nothing": ("目前没有提醒", "no alert is open"),
    "tap.gone": (
        "{who} 点了「结束」，我正好重启；之后会话有了新消息，所以没有结束 {customer}。需要的话请再点一次。",
        "{who} tapped “End” as I restarted; the conversation went on since, so {customer} was not ended. Tap again if "
        "you still want it.",
    ),
    "alarm.wecom": (
        "⚠️ 企业微信接口没有正常应答。恢复之前不发会话提醒，也不自动结束。{why}",
        "⚠️ WeCom's API does not answer as it should. Until it does I send no alerts and end nothing by myself. {why}",
    ),
    "alarm.wecom.over": ("✅ 企业微信接口已恢复，中断约 {took}。", "✅ WeCom's API is back after about {took}."),
    "alarm.storage": (
        "⚠️ 数据库不可用。恢复之前不发会话提醒，也不结束会话；企业微信会保留消息（3 天），恢复后补上。{why}",
        "⚠️ The database is not usable. Until it is I send no alerts and end nothing; WeCom keeps the messages (3 "
        "days), and I catch up then. {why}",
    ),
    "alarm.storage.over": ("✅ 数据库已恢复，中断约 {took}。", "✅ The database is usable again after about {took}."),
    "alarm.callback": (
        "⚠️ 已有 {took}没有收到企业微信的回调，轮询却读到了消息：提醒会变慢。"
        "请检查回调地址、反向代理和「接收消息」设置，可运行 python bot.py check。",
        "⚠️ No callback from WeCom for {took}, although the poll finds messages: alerts come late. Check the callback "
        "URL, the proxy and the app's 接收消息 setting; python bot.py check helps.",
    ),
    "alarm.callback.over": ("✅ 又收到了企业微信的回调。", "✅ Callbacks from WeCom arrive again."),
    "alarm.clock": (
        "⚠️ 本机时钟与企业微信相差 {took}，等待时间无法判断，暂不提醒、不自动结束。请开启 NTP 对时。",
        "⚠️ This machine's clock is {took} off WeCom's, so waits cannot be told: no alerts and no automatic ends until "
        "it is right. Switch on NTP.",
    ),
    "alarm.clock.over": ("✅ 本机时钟已恢复正常。", "✅ This machine's clock is right again."),
    "alarm.human_first": (
        "⚠️ 「{account}」的会话结束后，客户的下一条消息又直接进了人工（state=3）。后台多半是「人工接待优先」："
        "请到 管理后台 → 微信客服 → {account} → 接待方式，改为「仅智能助手接待」。",
        "⚠️ After a session of “{account}” had ended, the customer's next message went straight to a human again "
        "(state=3). The console is probably set to 人工接待优先 (human first): change it under 微信客服 → {account} → "
        "接待方式 to 「仅智能助手接待」 (assistant only).",
    ),
    "alerts.lifeline": (
        "（与群的长连接断开，此消息由 webhook 发出，暂时不能接收命令和按钮）",
        "(The long connection is down; this comes by webhook, and I cannot hear commands or taps now.)",
    ),
    "alerts.unpaired": (
        "（还没有配对的群，此消息由 webhook 发出，听不到命令。请先配对：在日志里找到配对码，"
        "在群里发送 @{bot} /bind 配对码）",
        "(No group is paired yet; this comes by webhook, and I hear no commands. Pair first: find the code in my log "
        "and send @{bot} /bind CODE in the group.)",
    ),
    # -- stats and the daily report; what begins with `picture` stands in narrow places
    "stats.title.today": ("今日统计", "Today"),
    "stats.title.week": ("近 7 天统计", "The last 7 days"),
    "stats.title.daily": ("客服日报", "Daily report"),
    "stats.head": ("**{title}** {time}{accounts}", "**{title}** {time}{accounts}"),
    "stats.accounts": (" · {names}", " · {names}"),
    "stats.names_and": ("、", ", "),
    "stats.names_more": ("{names}和另外 {more} 个", "{names} and {more} more"),
    "stats.until": ("{day} {weekday} 截至 {until}", "{weekday} {day} until {until}"),
    "stats.between": ("{since} – {until}", "{since} – {until}"),
    "weekday.0": ("周一", "Mon"),
    "weekday.1": ("周二", "Tue"),
    "weekday.2": ("周三", "Wed"),
    "weekday.3": ("周四", "Thu"),
    "weekday.4": ("周五", "Fri"),
    "weekday.5": ("周六", "Sat"),
    "weekday.6": ("周日", "Sun"),
    "stats.none": ("没有结束的会话{compared}{cancelled}", "No handoff ended{compared}{cancelled}"),
    "stats.handled": ("处理 **{count}** 个{compared}{cancelled}", "Handled **{count}**{compared}{cancelled}"),
    "stats.compared": ("（{compared}）", " ({compared})"),
    "stats.compared.today": ("昨天此时 {value}", "{value} by this time yesterday"),
    "stats.compared.week": ("前 7 天 {value}", "{value} the 7 days before"),
    "stats.compared.daily": ("前一天 {value}", "{value} the day before"),
    "stats.cancelled": (" · 排队中取消 {count}", " · cancelled in the queue {count}"),
    "stats.ended": (
        "结束：客户 {user} · 客服 {agent} · 系统 {system}",
        "Ended by customers {user} · staff {agent} · the system {system}",
    ),
    "stats.part": ("（{ways}）", " ({ways})"),
    "stats.by.USER": ("客户", "customer"),
    "stats.by.AGENT": ("客服", "staff"),
    "stats.by.SYSTEM": ("系统", "system"),
    "stats.way": ("{by}·{via}", "{by}, {via}"),
    "stats.enders": ("结束最多：{people}", "Ended most: {people}"),
    "stats.wait": (
        "首次回复：中位 **{median}**，九成在 {p90}内{compared}",
        "First answer: median **{median}**, nine in ten within {p90}{compared}",
    ),
    "stats.length": (
        "会话时长：中位 **{median}**，九成在 {p90}内{compared}",
        "Length: median **{median}**, nine in ten within {p90}{compared}",
    ),
    "stats.longest": ("最长：#{number} {who}，{took}", "Longest: #{number} {who}, {took}"),
    "stats.days": ("每天：{days}", "By day: {days}"),
    "stats.ratings": ("评价：{scores}", "Ratings: {scores}"),
    "rating.good": ("满意", "good"),
    "rating.middling": ("一般", "fair"),
    "rating.bad": ("不满意", "bad"),
    "stats.open": (
        "现在：人工 {human} · 排队 {queued} · 等待回复 {waiting}",
        "Now: with a human {human} · queued {queued} · waiting for an answer {waiting}",
    ),
    "stats.servicer": ("> {who}：处理 {handled} · 手上 {load}", "> {who}: handled {handled} · open {load}"),
    "stats.servicers_more": (
        "> 其余 {people} 人：处理 {handled} · 手上 {load}",
        "> {people} more: handled {handled} · open {load}",
    ),
    "picture.handled": ("处理会话", "handled"),
    "picture.wait": ("回复中位", "median answer"),
    "picture.length": ("时长中位", "median length"),
    "picture.open": ("进行中", "open now"),
    "picture.compared.today": ("昨天 {value}", "yesterday {value}"),
    "picture.compared.week": ("前 7 天 {value}", "before {value}"),
    "picture.compared.daily": ("前一天 {value}", "before {value}"),
    "picture.waiting": ("等回复 {count}", "waiting {count}"),
    "picture.ways": ("谁结束的", "Ended by"),
    "picture.waits": ("首次回复用时", "First answer"),
    "picture.lengths": ("会话时长", "Length"),
    "picture.median": ("半数以内", "half within"),
    "picture.p90": ("九成以内", "90 % within"),
    "picture.days": ("每天处理", "Handled by day"),
    "picture.servicers": ("接待人员", "Servicers"),
    "picture.load": ("{handled}（手上 {load}）", "{handled} (open {load})"),
    "picture.more": ("其余 {people} 人", "{people} more"),
    "picture.ratings": ("客户评价", "Ratings"),
    "picture.other": ("其他", "other"),
    "picture.nobody": ("没有结束的会话", "No handoff ended"),
    "picture.longest": ("最长：#{number} {who}，{took}", "Longest: #{number} {who}, {took}"),
    "picture.cancelled": ("排队中取消：{count}", "Cancelled in the queue: {count}"),
    "brief.hours": ("{h}小时{m}分", "{h}h {m}m"),
    "brief.days": ("{d}天{h}小时", "{d}d {h}h"),
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
    # -- bot.py export
    "export.handoffs": ("人工会话", "handoffs"),
    "export.events": ("事件", "events"),
    "export.done": ("✅ 已写入 {path}，共 {count} 条", "✅ {path} is written, rows: {count}"),
    "export.broken_off": ("已中断，导出不完整", "interrupted; the export is not complete"),
    "export.unreadable": ("数据库读不了：{why}", "the database cannot be read: {why}"),
    "export.unwritable": ("写不了 {path}：{why}", "cannot write {path}: {why}"),
    "export.database": (
        "{path} 属于机器人的数据库，不能覆盖；请换一个文件名",
        "{path} belongs to the bot's database and is not overwritten; name another file",
    ),
    "export.no_account": (
        "记录中没有客服账号 {accounts}；python bot.py status 列出已知账号",
        "there is no kf account {accounts} on record; python bot.py status lists those that are",
    ),
    "export.no_time": (
        "{words!r} 既不是日期（2026-11-01），也不是时间（2026-11-01T08:00:00+08:00）",
        "{words!r} is neither a day (2026-11-01) nor a time (2026-11-01T08:00:00+08:00)",
    ),
    "export.no_span": ("--until 要晚于 --since", "--until must come after --since"),
    "export.no_bom": ("--bom 只用于 CSV", "--bom is for CSV"),
    # -- bot.py audit
    "audit.none": ("没有记录", "There are no rows."),
    "audit.column_number": ("编号", "number"),
    "audit.column_at": ("时间", "time"),
    "audit.column_door": ("入口", "door"),
    "audit.column_who": ("谁", "who"),
    "audit.column_verb": ("动作", "what"),
    "audit.column_on": ("对象", "on what"),
    "audit.column_outcome": ("结果", "outcome"),
    "audit.column_detail": ("细节", "detail"),
    "audit.fits": (
        "✅ 审计日志完整，共 {count} 条，{first} 至 {last}",
        "✅ The audit log fits together, rows: {count}, from {first} to {last}",
    ),
    "audit.head": ("   末条哈希: {head}", "   head: {head}"),
    "audit.pruned": (
        "   #{number} 及以前的记录已按 storage.retention 删除",
        "   Rows up to #{number} were deleted by storage.retention",
    ),
    "audit.tail": (
        "💡 末尾被截掉、或从某条起整段重写，只有与别处记下的末条哈希比较才看得出：机器人启动时和每天都把它写进日志"
        "（audit | head=…），用 --head 比较",
        "💡 Rows cut off at the end, or written anew from some row on, show only against a head that was noted "
        "elsewhere: the bot logs it at its start and daily (audit | head=…); compare it with --head",
    ),
    "audit.changed": (
        "❌ 审计日志第 {number} 条与前一条接不上：它或它的位置被改过。此前的 {count} 条完整",
        "❌ Row {number} of the audit log does not fit the one before it: it was changed, or is not in its place. The "
        "{count} before it fit",
    ),
    "audit.missing": (
        "❌ 审计日志缺少第 {number} 条。此前的 {count} 条完整",
        "❌ Row {number} of the audit log is missing. The {count} before it fit",
    ),
    "audit.head_known": ("✅ 第 {number} 条与记下的哈希一致", "✅ Row {number} is the one that was noted"),
    "audit.head_other": (
        "❌ 第 {number} 条不是当时记下的那一条：日志被截掉或重写过",
        "❌ Row {number} is not the one that was noted: the log was cut off or written anew",
    ),
    "audit.head_gone": (
        "❌ 第 {number} 条已按 storage.retention 删除，无法比较",
        "❌ Row {number} was deleted by storage.retention and cannot be compared any more",
    ),
    "audit.no_head": (
        "应形如 123:0f3a…（编号、冒号、64 位十六进制），即日志里 head= 之后的部分",
        "must look like 123:0f3a… (a number, a colon, 64 hex digits), as it stands behind head= in the log",
    ),
    # -- the database
    "storage.unrecorded": (
        "❌ 无法记录，可能没有完成；恢复后请用 /status 核对。{why}",
        "❌ This cannot be put on record, so it may not be done; check with /status later. {why}",
    ),
    "storage.full": (
        "{path} 所在的磁盘满了，写不进去。请腾出空间；有空间后会自动继续，不用重启。",
        "The disk with {path} is full, so nothing can be recorded. Make room; it goes on by itself then.",
    ),
    "storage.readonly": (
        "{path} 不可写。请让运行 kfbot 的用户（{user}）能写这个文件、同名的 -wal 和 -shm，以及所在的目录；"
        "磁盘也不能是只读挂载的。之后会自动继续，不用重启。",
        "{path} cannot be written. Let the user who runs kfbot ({user}) write it, its -wal and -shm and their folder, "
        "on a disk that is not mounted read-only; it goes on by itself then.",
    ),
    "storage.unreachable": (
        "打不开 {path}（{why}）。请检查目录是否存在、运行 kfbot 的用户（{user}）能否读写。",
        "{path} cannot be opened ({why}). See that its folder is there and that the user who runs kfbot ({user}) may "
        "read and write in it.",
    ),
    "storage.io": (
        "{path} 所在的磁盘读写出错（{why}）。请检查磁盘；恢复后会自动继续。",
        "The disk with {path} fails ({why}). Look after the disk; when it works, kfbot goes on by itself.",
    ),
    "storage.busy": (
        "{path} 被另一个程序占用超过 {seconds} 秒。请关掉打开它的数据库工具，再试一次。",
        "Another program has kept {path} locked for more than {seconds} s. Close database tools that have it open, "
        "then try again.",
    ),
    "storage.damaged": (
        "{path} 已损坏（{why}）。请停机，把最近的备份放到它的位置，删掉同名的 -wal 和 -shm，再启动。"
        "没有备份就把它移走再启动：进行中的会话会从企业微信重新读到，历史记录会丢。",
        "{path} is damaged ({why}). Stop kfbot, put the newest backup in its place, delete its -wal and -shm, start. "
        "Without a backup, move it away and start: open sessions are read anew from WeCom, the history is lost.",
    ),
    "storage.newer": (
        "{path} 是更新版本的 kfbot 写的（{step}）。请升级 kfbot，或换回升级前的备份。",
        "{path} was written by a newer kfbot ({step}). Upgrade kfbot, or put back the backup from before the upgrade.",
    ),
    "storage.foreign": (
        "{path} 是别的程序的数据库。请在 storage.url 里换一个文件。",
        "{path} is the database of another program. Name another file in storage.url.",
    ),
    "storage.empty": (
        "{path} 是空的：机器人还没有在它上面运行过。先运行一次：python bot.py run。"
        "如果里面本来有记录，就停机，把最近的备份放到它的位置，再启动。",
        "{path} is empty: no bot has run on it yet. Run one first: python bot.py run. If there were records in it, put "
        "the newest backup in its place before.",
    ),
    "storage.linked": (
        "{path} 有硬链接，用两个名字写同一个数据库会损坏它。请查找 find . -samefile {path}，删掉别的名字再启动；"
        "要留副本就用 python bot.py backup。",
        "{path} has another name, a hard link, and a database that is written by two names is damaged. Look for it "
        "with find . -samefile {path}, remove the other name, start. For a copy there is python bot.py backup.",
    ),
    "storage.taken": (
        "另一个 kfbot（{holder}）正在使用 {path}。请先停掉它，或在 storage.url 里给这一个换一个文件。",
        "Another kfbot ({holder}) is running on {path}. Stop that one first, or name another file for this one in "
        "storage.url.",
    ),
    # -- bot.py run
    "server.refused": (
        "不能在 {host}:{port} 上监听（{why}）。请看是哪个程序占用了它（ss -ltnp），或修改 server.host、server.port。",
        "cannot listen on {host}:{port} ({why}). See which program has it (ss -ltnp), or change server.host and "
        "server.port.",
    ),
    # -- bot.py demo, bot.py sandbox
    "sandbox.refused": (
        "不能在 {host}:{port} 上监听（{why}）。请看是哪个程序占用了它（ss -ltnp），或用 --port 换一个端口。",
        "cannot listen on {host}:{port} ({why}). See which program has it (ss -ltnp), or name another with --port.",
    ),
    "sandbox.next": (
        "把它存为 sandbox.yaml，chmod 600 sandbox.yaml，再启动机器人：\n"
        "  python bot.py --settings sandbox.yaml      （.env 和 KFBOT_… 变量优先于文件）",
        "Save it as sandbox.yaml, chmod 600 sandbox.yaml, and start the bot:\n"
        "  python bot.py --settings sandbox.yaml      (.env and KFBOT_… variables are stronger than the file)",
    ),
    "sandbox.theirs": (
        "把这两个地址写进 {path}，再启动机器人：\n  python bot.py --settings {path}",
        "Put these two addresses into {path} and start the bot:\n  python bot.py --settings {path}",
    ),
    "sandbox.callback": (
        "要让沙箱发回调，启动它时加上：\n  --callback {url}",
        "To have the sandbox send callbacks, start it with\n  --callback {url}",
    ),
    # -- bot.py backup
    "backup.copying": ("备份", "backup"),
    "backup.done": (
        "✅ 备份完成，已检查（{size} MB）。恢复：停机，用它替换 {database}，删掉同名的 -wal 和 -shm，再启动",
        "✅ Copied and looked through ({size} MB). To restore: stop the bot, put it in the place of {database}, delete "
        "the -wal and -shm of that name, start",
    ),
    "backup.exists": (
        "{path} 已经存在，不会覆盖；请换一个名字",
        "{path} exists and is not overwritten; name another file",
    ),
    "backup.no_room": (
        "{folder} 空间不够：需要 {needed} MB，只有 {free} MB；可用 --to 换一个磁盘",
        "there is no room in {folder}: {needed} MB are needed, {free} MB are free; name another disk with --to",
    ),
    "backup.unwritable": ("写不了 {path}：{why}", "cannot write {path}: {why}"),
    "backup.broken_off": ("已中断，没有留下备份", "interrupted; there is no backup"),
    # -- bot.py forget
    "forget.nobody": (
        "记录中没有客户 {customer}。请写完整的 external_userid，注意大小写",
        "there is nothing on record of the customer {customer}; give the whole external_userid, in its upper and lower "
        "case",
    ),
    "forget.found": ("记录中有客户 {customer}：", "On record of the customer {customer}:"),
    "forget.nickname": ("   昵称 {name}", "   nickname {name}"),
    "forget.handoffs": ("   人工会话 {count}", "   handoffs: {count}"),
    "forget.items": ("   消息和事件 {count}", "   messages and events: {count}"),
    "forget.commands": ("   群命令 {count}", "   group commands: {count}"),
    "forget.others": ("   其他记录 {count}", "   other rows: {count}"),
    "forget.open": (
        "该客户的会话 {numbers} 还没有结束，或正在结束。请先结束它：python bot.py end {customer}。"
        "实在无法结束时加 --force：记录里算作已结束，企业微信里的会话不受影响",
        "their session {numbers} is open, or is just being ended. End it first: python bot.py end {customer}. Where "
        "that cannot be done, --force puts it down as ended; in WeCom it goes on",
    ),
    "forget.ask": (
        "抹去昵称、文字和 ID，只留下匿名的会话记录？无法撤销",
        "Erase name, words and id, and leave nameless handoffs? This cannot be undone",
    ),
    "forget.done": (
        "✅ 已忘记：记录里改用化名 {name}，统计不变",
        "✅ Forgotten: on record they are {name} now, and the numbers are as before",
    ),
    "forget.wiped": ("✅ 数据库文件里已找不到该 ID", "✅ The id stands nowhere in the database's files"),
    "forget.left": (
        "⚠️ 该 ID 仍留在 {files} 的空闲处。请停机后再执行一次",
        "⚠️ The id still stands in unused space of {files}. Run this again with the bot stopped",
    ),
    "forget.running": (
        "⚠️ 机器人正在运行，文件较大，没有重写：空闲处可能还有被删内容的残留。停机后再执行一次即可清除",
        "⚠️ A bot is running and the file is large, so it was not written anew: unused space may still hold pieces of "
        "what was deleted. Run this again with the bot stopped",
    ),
    "forget.no_room": (
        "⚠️ 磁盘空间不够，没有重写文件：空闲处可能还有被删内容的残留。腾出空间后再执行一次即可清除",
        "⚠️ There is no room to write the file anew: unused space may still hold pieces of what was deleted. Make room "
        "and run this again",
    ),
    "forget.beyond": (
        "💡 以下不在它的范围内，请自行处理：",
        "💡 This is out of its reach; look after it yourself:",
    ),
    "forget.backups": ("   备份：{files}", "   backups: {files}"),
    "forget.other_backups": ("   放在别处的备份", "   backups in other places"),
    "forget.logs": (
        "   {folder} 里的日志（有客户 ID）",
        "   logs in {folder} (the id stands there)",
    ),
    "forget.outside": (
        "   群里发过的消息和卡片、收到过事件的 webhook、导出过的文件、企业微信自己的记录",
        "   messages and cards in the group, webhooks that got events, exported files, and what WeCom itself keeps",
    ),
    "forget.memory": (
        "   正在运行的机器人：内存里可能还有最后一句话，十分钟内清除",
        "   a running bot: it may hold the last words in memory for another ten minutes",
    ),
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
    "check.name.files": ("密钥文件", "secret files"),
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
    "check.files.good": ("只有本用户能读取密钥", "nobody else can read the secrets"),
    "check.files.open": (
        "{path} 含有密钥或客户资料，本机任何用户都能读取",
        "{path} holds secrets or customers' names, and everybody on this machine can read it",
    ),
    "check.files.open.remedy": ("chmod 600 {path}", "chmod 600 {path}"),
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
    # -- login
    "login.off": (
        "没有设置 server.public_url，不能用企业微信登录。请用 python bot.py token 生成凭证。",
        "server.public_url is not set, so there is no login by WeCom. Make a token: python bot.py token.",
    ),
    "login.title": ("登录未成功", "Not logged in"),
    "login.again": ("登录没有完成，或已过期。", "The login is not complete, or too old."),
    "login.retry": ("重新登录", "Log in again"),
    "login.token": ("用凭证登录", "Use a token"),
    "login.stranger": (
        "{userid} 不是客服。请管理员把您写入 settings.yaml 的 roles。",
        "{userid} is no agent. Have yourself named in roles of settings.yaml.",
    ),
    "login.outsider": ("只有本企业的成员可以登录。", "Only members of the corp can log in."),
    # -- both pages (texts of pages are filled by the page, and both languages come with it)
    "page.language": ("English", "中文"),
    "page.cancel": ("取消", "Cancel"),
    "page.noscript": (
        "这个页面需要 JavaScript，请在浏览器设置中打开。",
        "This page needs JavaScript; please turn it on.",
    ),
    # -- the customer's page
    "customer.title": ("人工客服", "Customer service"),
    "customer.is.loading": ("正在加载…", "Loading…"),
    "customer.is.PENDING": ("正在排队", "You are in the queue"),
    "customer.is.PENDING.detail": ("轮到您时，客服会在聊天中回复您", "When it is your turn, an agent answers you"),
    "customer.is.ACCEPTED": ("客服已接入", "An agent has been assigned"),
    "customer.is.ACCEPTED.detail": ("客服很快会在聊天中回复您", "You will soon have an answer in the chat"),
    "customer.is.IN_PROGRESS": ("正在与客服对话", "You are talking with an agent"),
    "customer.is.IN_PROGRESS.detail": ("请回到聊天继续对话", "Go back to the chat to write"),
    "customer.is.none": ("当前没有进行中的人工对话", "You are not talking with an agent now"),
    "customer.is.none.detail": (
        "有问题请在聊天中发送消息。转到人工客服后，这里会自动显示。",
        "Write in the chat. When an agent takes over, this page shows it by itself.",
    ),
    "customer.is.expired": ("链接已失效", "This link has expired"),
    "customer.is.expired.detail": (
        "要结束人工对话，请在聊天中发送「{phrase}」。下次转到人工客服时，聊天中会有新链接。",
        "To end the conversation, send 「{phrase}」 in the chat. A new link comes when an agent takes over again.",
    ),
    "customer.expired.next": (
        "下次转到人工客服时，聊天中会有新链接。",
        "A new link comes in the chat when an agent takes over again.",
    ),
    "customer.is.busy": ("访问太频繁", "Too many visits"),
    "customer.is.busy.detail": ("请稍等片刻，再试一次。", "Wait a moment, then try again."),
    "customer.is.unreachable": ("暂时连接不上", "No connection"),
    "customer.is.unreachable.detail": (
        "请检查网络。恢复后会自动显示。",
        "Check the network. The page comes back by itself.",
    ),
    "customer.agent": ("接待人", "Served by"),
    "customer.queued_at": ("开始排队", "In the queue since"),
    "customer.waits": ("已等待", "Waiting for"),
    "customer.began": ("接入时间", "Since"),
    "customer.lasts": ("已持续", "Duration"),
    "customer.over_at": ("结束时间", "Ended at"),
    "customer.lasted": ("历时", "Duration"),
    "customer.seconds": ("{s} 秒", "{s} s"),
    "customer.minutes": ("{m} 分 {s} 秒", "{m} min {s} s"),
    "customer.hours": ("{h} 小时 {m} 分", "{h} h {m} min"),
    "customer.end": ("结束对话", "End the conversation"),
    "customer.ending": ("正在结束…", "Ending…"),
    "customer.or_write": ("也可以在聊天中发送「{phrase}」", "Or send 「{phrase}」 in the chat"),
    "customer.confirm.title": ("结束与客服的对话？", "End the conversation?"),
    "customer.confirm.text": (
        "结束后，客服将不再跟进。以后仍可在聊天中发送消息，重新咨询。",
        "The agent will not follow up. You can write in the chat again at any time.",
    ),
    "customer.ended.USER": ("您已结束与客服的对话", "You have ended the conversation"),
    "customer.ended.AGENT": ("客服已结束本次对话", "The agent has ended the conversation"),
    "customer.ended.SYSTEM": ("本次对话已自动结束", "The conversation has ended automatically"),
    "customer.ended.somehow": ("本次对话已结束", "The conversation has ended"),
    "customer.left.USER": ("您已退出排队", "You have left the queue"),
    "customer.left.AGENT": ("客服已结束本次排队", "You have been taken out of the queue"),
    "customer.left.SYSTEM": ("本次排队已自动结束", "Your place in the queue has lapsed"),
    "customer.left.somehow": ("本次排队已结束", "You are not in the queue any more"),
    "customer.over.detail": (
        "可以关闭此页。还有问题时，在聊天中直接发送消息即可。",
        "You can close this page. If there is anything else, write in the chat.",
    ),
    "customer.trouble.network": (
        "网络不通，没有得到答复。请检查网络后再试一次",
        "There was no answer. Check the network and try again",
    ),
    "customer.trouble.busy": ("操作太频繁，请过 {seconds} 秒再试", "Too many tries; wait {seconds} s and try again"),
    "customer.trouble.refused": (
        "暂时没能确认结束。请稍后再试",
        "The end could not be confirmed. Try again later",
    ),
    "customer.trouble.write": (
        "{trouble}，也可以在聊天中发送「{phrase}」",
        "{trouble}, or send 「{phrase}」 in the chat",
    ),
    "customer.retry": ("重试", "Try again"),
    "customer.offline": ("连接已断开，正在重新连接…", "The connection is lost; trying again…"),
    # -- the agents' console
    "console.title": ("客服工作台 · kfbot", "Console · kfbot"),
    "console.heading": ("客服工作台", "Console"),
    "console.loading": ("正在载入…", "Loading…"),
    "console.unreachable": ("暂时连不上：{why}。正在重试…", "Cannot be reached: {why}. Trying again…"),
    "console.network": ("网络不通，或服务没有应答", "no connection, or no answer"),
    "console.entry.wecom": ("用企业微信登录", "Sign in with WeCom"),
    "console.entry.token": ("或者用访问凭证登录", "Or sign in with a token"),
    "console.entry.hint": ("由管理员在服务器上生成：", "An admin makes one on the server:"),
    "console.entry.send": ("登录", "Sign in"),
    "console.entry.refused": (
        "凭证无效或已过期，请重新生成一个",
        "This token is not valid, or has expired; have a new one made",
    ),
    "console.entry.expired": ("登录已过期，请重新登录", "Your session has expired; please sign in again"),
    "console.logout": ("退出", "Log out"),
    "console.link.live": ("实时", "Live"),
    "console.link.lost": ("重新连接中…", "Reconnecting…"),
    "console.role.agent": ("客服", "agent"),
    "console.role.admin": ("管理员", "admin"),
    "console.table": ("进行中的会话", "Open sessions"),
    "console.kinds": ("会话类型", "Kind of session"),
    "console.kind.all": ("全部", "All"),
    "console.kind.waiting": ("等待回复", "Waiting"),
    "console.kind.human": ("人工中", "Human"),
    "console.kind.queued": ("排队", "Queued"),
    "console.accounts.all": ("全部账号", "All accounts"),
    "console.servicers.all": ("全部接待人", "All servicers"),
    "console.servicers.me": ("我（{who}）", "Me ({who})"),
    "console.search": ("搜索客户、消息…", "Search customers, words…"),
    "console.sort": ("排序", "Order"),
    "console.sort.up": ("{word} ↑", "{word} ↑"),
    "console.sort.down": ("{word} ↓", "{word} ↓"),
    "console.csv": ("导出 CSV", "Export CSV"),
    "console.clear": ("清除筛选", "Clear the filters"),
    "console.empty": ("现在没有进行中的会话", "No session is open now"),
    "console.empty.filtered": ("没有符合条件的会话", "No open session fits the filters"),
    "console.partial": (
        "会话太多，这里只有最新的 5,000 个，其余没有显示",
        "There are too many: these are the newest 5,000, the rest is not shown",
    ),
    "console.column.customer": ("客户", "Customer"),
    "console.column.account": ("账号", "Account"),
    "console.column.servicer": ("接待人", "Servicer"),
    "console.column.status": ("状态", "Status"),
    "console.column.wait": ("已等待", "Waiting"),
    "console.column.open": ("已开始", "Open"),
    "console.column.words": ("最近一句", "Last words"),
    "console.column.actions": ("操作", "Actions"),
    "console.short.wait": ("等待", "waiting"),
    "console.short.open": ("开始", "open"),
    "console.days": ("{d} 天 {rest}", "{d} d {rest}"),
    "console.status.PENDING": ("排队中", "Queued"),
    "console.status.ACCEPTED": ("已接入，未回复", "Accepted"),
    "console.status.IN_PROGRESS": ("人工接待中", "In progress"),
    "console.status.COMPLETED": ("已结束", "Ended"),
    "console.status.CANCELLED": ("排队中取消", "Cancelled in the queue"),
    "console.snoozed": ("{when} 后再提醒", "Quiet until {when}"),
    "console.copy": ("{id}（点击复制）", "{id} (click to copy)"),
    "console.copy.short": ("复制", "Copy"),
    "console.copied": ("已复制客户 ID", "The customer's id is on the clipboard"),
    "console.copy.failed": ("浏览器不允许复制，请手动选取", "The browser does not let us copy; select it by hand"),
    "console.close": ("关闭", "Close"),
    "console.nobody": ("暂无", "nobody yet"),
    "console.about": ("账号：{account} · 接待人：{who}", "Account: {account} · Servicer: {who}"),
    "console.act.end": ("结束", "End"),
    "console.act.snooze": ("稍后", "Snooze"),
    "console.act.transfer": ("转接", "Transfer"),
    "console.ask.end": ("结束「{name}」的会话？", "End the session of {name}?"),
    "console.ask.snooze": ("稍后再提醒「{name}」的会话", "Snooze the alerts of {name}"),
    "console.ask.transfer": ("转接「{name}」", "Transfer {name}"),
    "console.confirm.end": ("结束会话", "End the session"),
    "console.confirm.snooze": ("稍后提醒", "Snooze"),
    "console.confirm.transfer": ("转接", "Transfer"),
    "console.failed.end": ("没能结束「{name}」的会话：{why}", "The session of {name} was not ended: {why}"),
    "console.failed.snooze": ("没能推迟「{name}」的提醒：{why}", "The alerts of {name} were not snoozed: {why}"),
    "console.failed.transfer": ("没能转接「{name}」：{why}", "{name} was not transferred: {why}"),
    "console.end.reason": ("原因（可不填，会记录在案）", "Reason (optional, kept on record)"),
    "console.snooze.how": ("多久以后再提醒", "For how long"),
    "console.minutes": ("{n} 分钟", "{n} min"),
    "console.hours": ("{n} 小时", "{n} h"),
    "console.done.snooze": ("{when} 之前不再提醒「{name}」的会话", "The alerts of {name} are quiet until {when}"),
    "console.done.transfer": ("「{name}」已转接给 {who}", "{name} is with {who} now"),
    "console.transfer.to": ("转给", "To"),
    "console.transfer.nobody": ("这个账号没有其他接待中的人", "Nobody else is receiving on this account"),
    "console.load.here": ("{who} · 接待中 · {load} 个会话", "{who} · receiving · {load} open"),
    "console.load.away": ("{who} · 未在接待 · {load} 个会话", "{who} · not receiving · {load} open"),
    "console.load.unknown": (
        "{who} · 是否接待未知 · {load} 个会话",
        "{who} · not known whether receiving · {load} open",
    ),
    "console.load.theirs": ("{who} · 当前接待人", "{who} · has it now"),
    "console.ended.title": ("刚刚结束", "Just ended"),
    "console.ended.none": ("打开本页以来还没有会话结束", "No session has ended since this page was opened"),
    "console.ended.by": ("{who} · {when}", "{who} · {when}"),
    "console.ended.many": ("{n} 个会话已结束，见「刚刚结束」", "{n} sessions have ended, see Just ended"),
    "console.ended.USER": ("「{name}」的会话已由客户本人结束", "The session of {name} was ended by the customer"),
    "console.ended.AGENT": ("「{name}」的会话已由 {who} 结束", "The session of {name} was ended by {who}"),
    "console.ended.SYSTEM": ("「{name}」的会话已由系统结束", "The session of {name} was ended by the system"),
    "console.ended.staff": ("「{name}」的会话已由客服结束", "The session of {name} was ended by an agent"),
    "console.ended.elsewhere": ("「{name}」的会话已在别处结束", "The session of {name} was ended elsewhere"),
    "console.ended.expired": (
        "「{name}」的会话已由企业微信结束（客户 48 小时未发消息）",
        "The session of {name} was ended by WeCom (48 h without a message)",
    ),
    "console.by.USER": ("客户本人", "the customer"),
    "console.by.AGENT": ("{who}", "{who}"),
    "console.by.SYSTEM": ("系统", "the system"),
    "console.by.staff": ("客服", "an agent"),
    "console.by.elsewhere": ("某人（没有通过机器人）", "somebody, not through the bot"),
    "console.by.expired": ("企业微信（客户 48 小时未发消息）", "WeCom itself (48 h without a message)"),
    "console.by.rule": ("系统（{rule}）", "the system ({rule})"),
    "console.rule.wecom": ("企业微信", "WeCom"),
    "console.rule.on_message": ("规则：客户来消息即结束", "rule: ended at the customer's message"),
    "console.rule.idle": ("规则：长时间无消息", "rule: nobody wrote for long"),
    "console.requested": ("转人工", "Asked for a human"),
    "console.accepted": ("接入", "Accepted"),
    "console.replied": ("首次回复", "First answer"),
    "console.completed": ("结束", "Ended"),
    "console.endedby": ("结束者", "Ended by"),
    "console.way": ("结束方式", "By way of"),
    "console.reason": ("原因", "Reason"),
    "console.length": ("时长", "Length"),
    "console.snoozed.until": ("不提醒，直到", "Quiet until"),
    "console.previous": ("上一段会话", "The session before"),
    "console.log": ("经过", "Log"),
    "console.event.REQUESTED": ("转人工", "Asked for a human"),
    "console.event.ACCEPTED": ("接入", "Accepted"),
    "console.event.PROGRESS": ("首次回复客户", "First answer to the customer"),
    "console.event.TRANSFERRED": ("转接", "Transferred"),
    "console.event.ENDING": ("开始结束", "About to end"),
    "console.event.END_FAILED": ("没能结束", "Could not be ended"),
    "console.event.COMPLETED": ("结束", "Ended"),
    "console.event.GREETING": ("开场提示", "Greeting"),
    "console.event.CLOSING": ("结束语", "Closing message"),
    "console.event.RATED": ("客户评价", "Rated by the customer"),
    "console.fact.via": ("途径：{value}", "by way of: {value}"),
    "console.fact.endedBy": ("结束者：{value}", "ended by: {value}"),
    "console.fact.status": ("状态：{value}", "status: {value}"),
    "console.fact.reason": ("原因：{value}", "reason: {value}"),
    "console.fact.outcome": ("结果：{value}", "outcome: {value}"),
    "console.fact.errcode": ("企业微信错误码：{value}", "WeCom's errcode: {value}"),
    "console.fact.agentId": ("接待人：{value}", "servicer: {value}"),
    "console.fact.fromAgentId": ("原接待人：{value}", "servicer before: {value}"),
    "console.fact.state": ("发送时：{value}", "sent while: {value}"),
    "console.fact.score": ("评分：{value}", "score: {value}"),
    "console.fact.unconfirmed": ("未能核实", "could not be verified"),
    "console.via.command": ("群命令", "group command"),
    "console.via.button": ("卡片按钮", "button of a card"),
    "console.via.cli": ("命令行", "command line"),
    "console.via.api": ("网页或接口", "page or API"),
    "console.via.chat": ("聊天", "chat"),
    "console.via.client": ("企业微信客户端", "WeCom client"),
    "console.via.elsewhere": ("别处", "elsewhere"),
    "console.via.policy": ("自动规则", "policy"),
    "console.via.expired": ("超时", "expiry"),
    "console.via.event": ("企业微信事件", "WeCom's event"),
    "console.via.message": ("消息", "a message"),
    "console.via.state": ("状态查询", "a look at the state"),
    "console.outcome.sent": ("已发送", "sent"),
    "console.outcome.failed": ("未送达", "refused"),
    "console.outcome.expired": ("没来得及发出", "too late to be sent"),
    "console.outcome.unknown": ("不确定", "not known"),
    "console.outcome.skipped": ("未发送", "not sent"),
    "console.state.2": ("排队中", "queued"),
    "console.state.3": ("人工接待中", "with a human"),
    "console.score.good": ("满意", "good"),
    "console.score.middling": ("一般", "middling"),
    "console.score.bad": ("不满意", "bad"),
    "console.figures": ("今日数据", "Today's numbers"),
    "console.numbers.now": ("现在", "Now"),
    "console.numbers.over": ("已结束的会话", "Sessions that ended"),
    "console.numbers.today": ("今天", "Today"),
    "console.numbers.week": ("近 7 天", "7 days"),
    "console.numbers.open.waiting": ("等待回复", "Waiting"),
    "console.numbers.open.human": ("人工中", "With a human"),
    "console.numbers.open.queued": ("排队中", "Queued"),
    "console.numbers.handled": ("已处理", "Handled"),
    "console.numbers.satisfied": ("满意率（{n} 个评价）", "Rated good, of {n}"),
    "console.numbers.wait": ("首次回复（中位数）", "First answer, median"),
    "console.numbers.wait90": ("首次回复（九成以内）", "First answer, 90%"),
    "console.numbers.length": ("会话时长（中位数）", "Length, median"),
    "console.numbers.cancelled": ("排队中取消", "Left the queue"),
    "console.numbers.before.today": ("昨天此时 {value}", "yesterday {value}"),
    "console.numbers.before.week": ("前 7 天 {value}", "week before {value}"),
    "console.numbers.trouble": (
        "暂时读不到最新数据，稍后自动重试",
        "The newest numbers cannot be read now; tried again soon",
    ),
    "console.numbers.empty.today": ("今天还没有结束的会话", "No session has ended today yet"),
    "console.numbers.empty.week": ("近 7 天没有结束的会话", "No session has ended these 7 days"),
    "console.numbers.chart.ended": ("由谁结束", "Ended by"),
    "console.numbers.chart.servicers": ("各接待人处理", "Handled by servicer"),
    "console.numbers.chart.most": ("处理最多的 {n} 位（共 {all} 位）", "Handled most: {n} of {all} servicers"),
    "console.numbers.chart.days": ("每天处理", "Handled by day"),
    "console.numbers.by.USER": ("客户本人", "customer"),
    "console.numbers.by.AGENT": ("客服", "staff"),
    "console.numbers.by.SYSTEM": ("系统", "system"),
    "console.numbers.said": ("{title}：{numbers}", "{title}: {numbers}"),
    "console.numbers.and": ("，", ", "),
    # -- its export
    "console.export.title": ("导出记录", "Export records"),
    "console.export.what": ("内容", "What"),
    "console.export.handoffs": ("人工会话", "Sessions"),
    "console.export.events": ("会话事件", "Events"),
    "console.export.form": ("格式", "Format"),
    "console.export.csv": ("CSV（Excel）", "CSV (Excel)"),
    "console.export.jsonl": ("JSON Lines", "JSON Lines"),
    "console.export.days": ("日期（会话开始或事件发生）", "Days (on which it began or happened)"),
    "console.export.days.today": ("今天", "Today"),
    "console.export.days.7": ("近 7 天", "7 days"),
    "console.export.days.30": ("近 30 天", "30 days"),
    "console.export.days.all": ("全部", "All"),
    "console.export.from": ("从", "From"),
    "console.export.to": ("到", "To"),
    "console.export.order": ("结束日期不能早于开始日期", "The last day is before the first"),
    "console.export.go": ("导出", "Export"),
    "console.export.stop": ("取消导出", "Cancel the export"),
    "console.export.close": ("关闭", "Close"),
    "console.export.again": ("重新选择", "Choose again"),
    "console.export.progress": ("导出进度", "Progress of the export"),
    "console.export.preparing": ("正在准备…", "Preparing…"),
    "console.export.running": (
        "{rows} / {total} 行 · 每秒 {speed} 行",
        "{rows} of {total} rows · {speed} rows/s",
    ),
    "console.export.done": ("已导出 {rows} 行：{name}", "{rows} rows are exported: {name}"),
    "console.export.none": ("所选范围内没有记录", "There are no records of that"),
    "console.export.stopped": ("已取消，没有保存文件", "Cancelled; no file was saved"),
    "console.export.busy": (
        "同时导出的太多了（每人最多两个），请稍后再试",
        "Too many exports are under way (two of yours at most); try again a little later",
    ),
    "console.export.broken": (
        "中断在 {rows} / {total} 行，没有保存文件，请重试",
        "Broken off at {rows} of {total} rows; no file was saved, please try again",
    ),
    "console.export.unsaved": ("文件写不下去了：{why}", "The file could not be written: {why}"),
    "console.keys": ("键盘操作", "Keyboard"),
    "console.keys.button": ("快捷键", "Keys"),
    "console.keys.move": ("上一个 / 下一个会话", "previous / next session"),
    "console.keys.open": ("查看详情", "show it in full"),
    "console.keys.end": ("结束会话", "end it"),
    "console.keys.snooze": ("稍后再提醒", "snooze its alerts"),
    "console.keys.transfer": ("转接", "transfer it"),
    "console.keys.search": ("搜索", "search"),
    "console.keys.kinds": ("切换类型", "choose the kind"),
    "console.keys.help": ("显示本帮助", "this list"),
    "console.keys.close": ("关闭", "close"),
    # -- API
    "token.role": (
        "{userid} 没有「{role}」角色：请先写入 settings.yaml 的 {key}",
        "{userid} has not the role {role}: name them in {key} of settings.yaml first",
    ),
    "api.UNAUTHENTICATED": (
        "请先登录：凭证缺失、无效或已过期",
        "Sign in: there is no token, or it is not valid any more",
    ),
    "api.TOO_MANY_REQUESTS": ("请求太频繁，请稍后再试", "Too many requests; try again a little later"),
    "api.stopping": ("机器人正在重启，请几秒后再试", "The bot is restarting; try again in a few seconds"),
    "api.UNAVAILABLE": ("数据库暂时不可用，请稍后再试", "The database cannot be used now; try again later"),
    "api.NOT_FOUND": ("没有这个地址", "There is nothing at this address"),
    "api.METHOD_NOT_ALLOWED": ("这个地址不支持该方法", "This address does not take that method"),
    "api.BAD_REQUEST": ("请求无法理解", "The request cannot be understood"),
    "api.INTERNAL": (
        "内部错误，可能没有完成。事件编号 {incident}，详情见日志",
        "Something broke, and it may not have been done. Incident {incident}; the log has the details",
    ),
    "api.other_page": (
        "请求没有带 X-Requested-With，可能来自别的网站",
        "There is no X-Requested-With: another site may have sent this",
    ),
    "api.not_found": ("没有这个会话记录", "There is no such handoff"),
    "api.ended": ("该会话已于 {when} 结束：{by}", "It had ended already: by {by}, {when}"),
    "api.not_active": ("该会话当前不在人工接待中", "It is not with a human now"),
    "api.unknown": (
        "企业微信没有应答，还不知道是否成功；恢复后会自动核对",
        "WeCom does not answer, so the outcome is not known yet; it will be looked up when WeCom is back",
    ),
    "api.failed": ("暂时没有成功，请稍后再试", "It did not succeed just now; please try again later"),
    "api.refused": ("没有成功。{why}", "It did not succeed. {why}"),
    "api.transfer.nobody": ("该账号的接待人员里没有 {servicer}", "{servicer} is no servicer of this account"),
    "api.transfer.several": ("{servicer} 匹配到多位接待人员：{names}", "{servicer} fits several servicers: {names}"),
    "api.transfer.away": ("{servicer} 没有在接待", "{servicer} is not receiving"),
    "api.json": ("请求内容须是一个 JSON 对象", "The body must be one JSON object"),
    "api.too_long": ("请求内容超过 {most} KB", "The body is longer than {most} KB"),
    "api.missing": ("缺少 {name}", "{name} is missing"),
    "api.whole": ("{name} 须是整数", "{name} must be a whole number"),
    "api.range": ("{name} 须在 {least} 到 {most} 之间", "{name} must be from {least} to {most}"),
    "api.text": ("{name} 须是文字，最长 {longest} 个字符", "{name} must be a text of at most {longest} characters"),
    "api.choice": ("{name} 须是其中之一：{choices}", "{name} must be one of: {choices}"),
    "api.moment": (
        "{name} 须是日期（2026-11-20）或时间（2026-11-20T16:00:00+08:00，地址里的 + 要写作 %2B）",
        "{name} must be a day (2026-11-20) or a time (2026-11-20T16:00:00+08:00; an address has %2B for its +)",
    ),
    "api.no_span": ("until 须晚于 since", "until must come after since"),
    "api.cursor": ("{name} 不是上一页给出的", "{name} is none that a page has given"),
    # -- parked, replay
    "help.parked": (
        "列出没能送达的 webhook 事件、没能读懂的企业微信消息、没能结束的会话",
        "List events that webhooks did not accept, items from WeCom that could not be read, and ends that failed",
    ),
    "help.replay": (
        "重发没能送达的事件；`all` 还会重读没读懂的消息、重试没能结束的会话",
        "Send dead webhook events again; with `all`, also try again what could not be read or ended",
    ),
    "parked.none": ("没有积压。", "Nothing is parked."),
    "parked.deliveries": ("**没能送达的事件** {count} 个：", "**Events not delivered**, {count}:"),
    "parked.delivery": (
        "> `{number}` · {host} · {event} · {who} · {at} 放弃，试了 {tries} 次：{why}",
        "> `{number}` · {host} · {event} · {who} · given up {at} after {tries} tries: {why}",
    ),
    "parked.items": ("**没能读懂的消息** {count} 条：", "**Items that could not be read**, {count}:"),
    "parked.item": ("> {account} · {since} · {why}", "> {account} · {since} · {why}"),
    "parked.ends": ("**没能结束的会话** {count} 个：", "**Sessions that could not be ended**, {count}:"),
    "parked.end": ("> {who} · {by} · {at} · {why}", "> {who} · {by} · {at} · {why}"),
    "parked.lately": ("刚刚", "just now"),
    "parked.foot": (
        "对方恢复后重发：`/replay {number}`，或 `/replay all` 全部重来",
        "To send one again when the receiver is back: `/replay {number}`; everything: `/replay all`",
    ),
    "parked.foot.items": ("升级后可以再读一次：`/replay all`", "After an upgrade, read again: `/replay all`"),
    "parked.foot.ends": (
        "处理后再试一次：`/replay all`；企业微信长期不认这个会话时，记录会自行结束",
        "To try again afterwards: `/replay all`. If WeCom goes on not to know a session, its record ends by itself",
    ),
    "replay.unknown": ("没有编号为 {number} 的未送达事件，见 /parked", "There is no dead event {number}, see /parked"),
    "replay.sent": ("🔄 {count} 个事件重新发送中", "🔄 {count} events are on their way again"),
    "replay.unnamed": (
        "⚠️ {count} 个事件的 webhook 已不在 settings.yaml 里，不能重发",
        "⚠️ {count} events cannot be sent: settings.yaml does not name their webhook any more",
    ),
    "replay.read": ("✅ {count} 条消息现在能读懂了，已补上", "✅ {count} items could be read now and are taken in"),
    "replay.ends": ("🔄 重新处理 {count} 个没能结束的会话", "🔄 {count} ends are being settled again"),
    "replay.unread": ("⚠️ {count} 条消息仍然读不懂", "⚠️ {count} items still cannot be read"),
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

HTML_LANG = {"zh": "zh-CN", "en": "en"}  # as browsers and what reads pages aloud name them
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
    """The wording in one language. `meaning_of` explains errcodes; it belongs to the vendor's adapter.

    `zone`: of the times that are told; None is the machine's.
    """

    def __init__(
        self,
        lang: str,
        bot_name: str,
        meaning_of: Callable[[int], tuple[str, str, str, str]],
        zone: tzinfo | None = None,
    ) -> None:
        self.lang, self.bot_name, self.zone = lang, bot_name, zone
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

    def storage(self, error: StorageError) -> str:
        """What is the matter with the database and what to do, in one line."""
        return self(f"storage.{error.kind}", **error.details) if error.kind else str(error)

    def unrecorded(self, error: StorageError) -> str:
        """To whoever asked for what could not be put on record."""
        return self("storage.unrecorded", why=self.plain(self.storage(error), 300))

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
        """Local time; the date only when it is not today's."""
        moment, today = (datetime.fromtimestamp(each, UTC).astimezone(self.zone) for each in (at, now))
        return moment.strftime("%H:%M" if moment.date() == today.date() else "%m-%d %H:%M")

    def who(self, handoff: Handoff | None, external_userid: str, nickname: str = "") -> str:
        """A customer as the group sees them: name, handoff number, shortened id."""
        name = f"**{plain(nickname, 20)}** " if nickname else ""
        number = f"#{handoff.id} " if handoff is not None else ""
        return f"{name}{number}`{short_id(external_userid)}`"

    def via(self, handoff: Handoff) -> str:
        """In brackets, or nothing where `ended_by` has said it."""
        if handoff.via in (None, Via.EXPIRED, Via.ELSEWHERE):
            return ""
        return self("history.via", via=self(f"via.{handoff.via}"))

    def ended_by(self, handoff: Handoff) -> str:
        if handoff.via == Via.EXPIRED:
            return self("by.expired")
        if handoff.ended_by is OperatorType.AGENT:
            return plain(handoff.operator_id) if handoff.operator_id else self("by.somebody")
        return self(f"by.{(handoff.ended_by or OperatorType.SYSTEM).value}")
