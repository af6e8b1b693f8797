"""kfbot: the map of this package, in the order in which news flows through it.

Four kinds of news come in: a kf callback or a sync page (`server`, `kf_sync`), a message or a tap in the group
(`channels`, `dispatch`), a page or the CLI (`server`, `cli`), and the clock (`scheduler`). Each becomes a value
(`model`), a decision is made by functions of values (`states`, `sessions`, `parsing`), it is recorded (`storage`),
acted upon (`wecom`, `channels`) and settled (`handoffs`, the only way a handoff ends).

    values      model  errors  states
    contracts   ports
    domain      sessions  handoffs  registry  parsing  wording
    flows       dispatch  kf_sync
    adapters    wecom/  channels/  http  and, beside this package, storage/
    edges       server  scheduler  metrics  log
    root        app  (knows everything)  <-  cli  <-  bot.py

`sandbox/` is a small WeCom to run against. It imports nothing of the bot: it stands on the other side of the wire.
Commands live in `commands/`, one file each, and see only `registry`, `model` and `errors`.
"""

__version__ = "0.1.0"
