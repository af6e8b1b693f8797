"""What nobody waits for in `make test`: `make soak` runs each section of this package, and writes soak.json.

    runner       sections, how far they are, their figures
    kills        section: the crash sweep, every fault point of the code again and again
    points       the fault points, read from the source
    cradle       a process from which bots are forked, so that a life does not wait for imports; nursery speaks to it
    moved        one time for a bot and its WeCom, which leaps
    house        one WeCom, one database, one life of the bot after the other
    record       what stands in the database, looked at from outside
    scenes       what people do, each scene on its own; they go on where the bot has died
    truth        what must hold afterwards, against the WeCom's own ledger
    sweep        which kills there are, and one of them carried out

`tests/scenario/test_crash_sweep.py` carries out some of the kills.
"""
