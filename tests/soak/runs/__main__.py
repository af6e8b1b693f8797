"""`python -m tests.soak.runs 'takes 0 1, trouble 12 2, …'`: plays a sequence again, and tells what each trouble is.

Exit 0: all holds; 1: something does not; 2: there is a step that is none.
"""

from __future__ import annotations

import sys

from tests.soak.runs.people import read
from tests.soak.runs.search import outcome
from tests.soak.runs.trouble import TROUBLE


def main() -> int:
    try:
        sequence = read(" ".join(sys.argv[1:]))
    except ValueError as none:
        print(f"steps stand between commas: 'takes 0 1, trouble 12 2'. {none}", file=sys.stderr)
        return 2
    for each in sequence:
        print(each, f"({TROUBLE[each.numbers[0]]})" if each.name == "trouble" else "")
    wrong = outcome(sequence)
    print("\n".join(wrong) or "all holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
