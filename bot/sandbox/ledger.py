"""What the bot did to this WeCom, kept for comparison with what the bot says it did."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

Entry = dict[str, Any]


class Ledger:
    """Append-only. An entry: n, at (unix s), kind, args (as received), errcode, answer.

    Kinds: trans, send_msg, send_msg_on_event; group_send, group_respond, group_welcome, group_update (with the
    frame's req_id among their args); response_url, webhook. `calls` counts every call per path or command.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.calls: Counter[str] = Counter()

    def write(self, kind: str, at: float, args: Mapping[str, Any], errcode: int, answer: Mapping[str, Any]) -> None:
        self.entries.append(
            {
                "n": len(self.entries) + 1,
                "at": at,
                "kind": kind,
                "args": dict(args),
                "errcode": errcode,
                "answer": {name: value for name, value in answer.items() if name not in ("errcode", "errmsg")},
            }
        )

    def finder(self, predicate: Callable[[Entry], object], after: int = 0) -> Callable[[], Entry | None]:
        """Called again and again, looks at each entry once; for waiting."""
        place = after

        def look() -> Entry | None:
            nonlocal place
            while place < len(self.entries):
                place += 1
                if predicate(self.entries[place - 1]):
                    return self.entries[place - 1]
            return None

        return look

    def of(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["kind"] in kinds]
