"""What nobody waits for in `make test`: `make soak` runs each section, a package here, and writes soak.json.

    runner    sections, how far they are, their figures
    record    what stands in the database of a bot, looked at from outside
    kills     the bot dies at every fault point of the code, again and again
    runs      people and trouble at random, until the record and WeCom have to agree
    fuzz      junk at each of the three doors
    load      500 callbacks a second while calls to WeCom fail

`tests/scenario/test_crash_sweep.py` carries out some of the kills, `test_random_faults.py` some sequences,
`test_fuzz.py` and `test_load_with_faults.py` a small fuzz and a small load.
"""
