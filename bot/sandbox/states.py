"""Session states and what service_state/trans allows between them (wecom-kf.md 4.3, 4.4)."""

NEW, ASSISTANT, QUEUED, HUMAN, ENDED = range(5)

ALLOWED: dict[int, frozenset[int]] = {
    NEW: frozenset({ASSISTANT, QUEUED, HUMAN}),
    ASSISTANT: frozenset({QUEUED, HUMAN}),
    QUEUED: frozenset({HUMAN}),
    HUMAN: frozenset({HUMAN, ENDED}),
    ENDED: frozenset(),
}

MAY_SEND = frozenset({NEW, ASSISTANT})


def refusal_of(before: int, after: int) -> int:
    """The errcode of a move by API: 0, 95013 out of an ended session, 95016 for any other forbidden one."""
    if before == ENDED:
        return 95013
    return 0 if after in ALLOWED[before] else 95016
