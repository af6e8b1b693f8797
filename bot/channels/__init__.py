"""Group channels: where staff talk to the bot.

`aibot` is the AI bot's long connection, `webhook` only sends. The other files are what they are made of: `protocol`
(frames), `mention`, `cards` and `cutting` (texts within the vendor's limits), `pacing` (turns per chat), `connection`
(one socket), `line` (dialling again), `delivery` (what goes out, and what to do with each acknowledgement), `pictures`
(uploads), `acks` (patience and refusals), `intake` (handlers in tasks of their own), `posting` (HTTP to secret
addresses), `timing`.

To add a channel, write one file here with a class that keeps the promises of `bot.ports.GroupChannel`:

* `start` returns at once; `ready` and `problem` say at any time how it goes, without secrets;
* what arrives becomes `GroupMessage` or `CardTap` with a `reply_to` that only your channel reads; hand it to the
  handlers in tasks of their own, and hand on duplicates: `dispatch` tells them apart by `msgid`;
* `reply` and the sends return when the other side has acknowledged, else raise `ChannelError`; wait for a turn with
  `pacing.Pace` rather than let the vendor refuse; raise `CardRefused` from `send_card` if there are no cards;
* await `handing.out` right before each try to hand a message over, when all waiting is done, and `handing.back` before
  waiting again with what certainly did not arrive (`tests/contract/test_group_channel.py`);
* take clock, sleep and network functions as arguments, so that tests move time.

Then build it in `bot/app.py`, where `group.channel` names the file.
"""
