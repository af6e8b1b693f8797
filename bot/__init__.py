"""kfbot: the map of this package, in the order in which news flows through it.

Four kinds of news come in: a kf callback or a sync page (`server`, `kf_sync`), a message or a tap in the group
(`channels`, `dispatch`, `taps`), a page or the CLI (`server`, `cli`), and the clock (`scheduler`). Each becomes a value
(`model`), a decision is made by functions of values (`states`, `sessions`, `rules`, `parsing`), it is recorded
(`storage`), acted upon (`wecom`, `channels`) and settled (`handoffs`). A handoff gets its end in one function,
`sessions.finish`; whoever asks for an end goes through `handoffs.end`. At every tick `watch` asks the rules what stuck
sessions want: `speaker` tells the group, `policies` ends.

    values      model  errors  states  sessions (follow one session)  ending (what an end is made of)  hours
                phrases (what customers' words ask of us)  faults (where the crash sweep may kill the process)
    contracts   ports
    domain      handoffs  attempt (one run through an end)  untold (ends that only the state has shown so far)
                strays (moves that went unanswered)
                codes (messages by single-use codes:)  greeting
                closing (the goodbye)  leaving (ends asked for in the chat)  transfer  bulk (many ends)  locate
                outcomes (what chats are owed)  targets (whom a command means)  teams (which group serves whom)
                registry  parsing  wording  replies
                audit (rows and their chain)  audited (each door enters who tries what, before it lets them)
    alerts      rules (what is due)  books (each account's)  watch (the tick)  policies (automatic ends)
                speaker (whom to tell)  cards  subjects  last_words  notices (the way through)  handing (how far it is)
                attention (ack, snooze, mute)  taps
    trust       upstream (is WeCom there)  skew (the clocks)  silence (callbacks)  alarms (tell of it)
    numbers     period  stats  summary (words)  picture  chart (a process of its own)  report
    customers   service (what pages and programs may do with a handoff)  tokens (who they are)
    told        live (what an event says)  feed (the log as it grows)  outbox (to webhooks)  parked (what neither went
                out nor could be read)  addresses (which are public)  export (rows as CSV and JSON lines)
    flows       dispatch (group)  kf_sync  checks (state reads)  aftermath (what follows a page)  names  newcomers
                (accounts that nobody has told us of)
    adapters    wecom/  channels/  http  window  and, beside this package, storage/
    edges       server  web/ (API, pages, live sockets, login)  scheduler  metrics  log  desk (own health, pairing)
    door        replays (callbacks sent twice)  folded (log lines anybody can cause)  exposed (files anybody can read)
    life        health (what keeps it from its work)  supervisor (what dies comes back)  watchdog (of the event loop)
                drain (how it all ends)
    root        app  (knows everything)  core  alerting  <-  cli, demo, check, *_script  <-  bot.py

`sandbox/` is a small WeCom to run against. It imports nothing of the bot: it stands on the other side of the wire.
Commands live in `commands/`, one file each, and see only `registry`, `model` and `errors`.
"""

__version__ = "0.1.0"
