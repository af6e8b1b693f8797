"""sync_msg pages gone wrong, each still a well-formed answer (wecom-kf.md 3.2, 8.4). Pure."""

from .fields import Body, optional_text
from .ids import fresh
from .kf_calls import Answer, sync_msg, sync_page
from .world import World


def twisted(kind: str, world: World, body: Body) -> Answer:
    """The answer to a good sync_msg call with this fault in it."""
    cursor = optional_text(body, "cursor")
    if kind == "forget_cursor":
        return sync_msg(world, {**body, "cursor": ""})
    page = sync_page(world, body)
    stream = world.account(body["open_kfid"]).stream
    start = stream.position(cursor)
    spelling = fresh(size=6) if kind == "repeat_page" else "0"
    items = [] if kind == "empty_page" else page.items
    return {"next_cursor": stream.cursor(start, spelling), "has_more": 1, "msg_list": items}
