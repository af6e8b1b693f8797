"""kfbot: the map of this package, in the order in which news flows through it.

Four kinds of news come in: a kf callback or a sync page (`server`, `kf_sync`), a message or a tap in the group
(`channels`, `dispatch`), a page or the CLI (`server`, `cli`), and the clock (`scheduler`). Each becomes a value
(`model`), a decision is made by functions of values (`states`, `sessions`, `parsing`), it is recorded (`storage`),
acted upon (`wecom`, `channels`) and settled (`handoffs`). A handoff gets its end in one function, `sessions.finish`;
whoever asks for an end goes through `handoffs.end`.

    values      model  errors  states  sessions (follow one session)  ending (what an end is made of)
                phrases (what customers' words ask of us)
    contracts   ports
    domain      handoffs  attempt (one run through an end)  codes (messages by single-use codes:)  greeting
                closing (the goodbye)  leaving (ends asked for in the chat)  locate
                targets (whom a command means)  registry  parsing  wording  replies
    flows       dispatch (group)  kf_sync  checks (state reads)  aftermath (what follows a page)  names
                outbox (events to webhooks)  parked (what neither went out nor could be read)
    adapters    wecom/  channels/  http  window  and, beside this package, storage/
    edges       server  scheduler  metrics  log  desk (the bot's own health, pairing)
    root        app  (knows everything)  <-  cli, demo, check, end_script, status_script  <-  bot.py

`sandbox/` is a small WeCom to run against. It imports nothing of the bot: it stands on the other side of the wire.
Commands live in `commands/`, one file each, and see only `registry`, `model` and `errors`.
"""

__version__ = "0.1.0"
