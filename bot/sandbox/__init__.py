"""A small WeCom to run the bot against: kf API, customers, servicers, an internal group, and a page.

It imports nothing of the bot: it stands on the other side of the wire. Section numbers in
docstrings are those of the two protocol notes, wecom-kf.md and wecom-group.md.

    config       what a sandbox is told; `settings_for` says what to tell the bot
    server       `Sandbox`: start and stop, addresses; `serve_forever`
    actions      its other half: everything people and trouble can do, and waiting for the bot
    seed         the demo cast
    clock        the time here, moved and run faster
    script       a busy afternoon as a table of steps (steps), played on a sandbox (player)

  kf (pure)                          group (pure)
    world        accounts, sessions    groups           groups, members, messages
    states       moves by API          cards            what a template card may be
    sessions     one session           bot_messages     what the bot may say
    stream       sync_msg's items      bot_commands     what each command does
    codes        one-use codes         replies          which callback a reply answers
    tokens       access, sync          uploads          chunked media
    outgoing     what may be sent      callback_frames  what the bot is told
    kf_calls     what each call does   staff            what members do
    people       what people do
    captions     grey lines on the page
    login_codes  who has logged in

  shared (pure)                      edges
    refusals     codes and envelope    kf_api           HTTP of kf
    fields       reading requests      group_api        HTTP of the robot, response_url
    faults       trouble on demand     long_connection  the bot's WebSocket
    page_faults  sync pages gone wrong callbacks        encrypted pushes (crypto, notices)
    ledger       what the bot did      control          /sandbox/api
    limits media ids snapshot changes  watchers page    the demo page
                                       trouble          faults on an HTTP call (uploading)
                                       logins           WeCom's web login
"""

from .config import SandboxConfig, settings_for
from .faults import Fault
from .groups import GroupMessage
from .script import LENGTH as SCRIPT_MINUTES
from .server import Sandbox, serve_forever
from .world import NotPossible

__all__ = [
    "SCRIPT_MINUTES",
    "Fault",
    "GroupMessage",
    "NotPossible",
    "Sandbox",
    "SandboxConfig",
    "serve_forever",
    "settings_for",
]
