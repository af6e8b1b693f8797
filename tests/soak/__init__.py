"""What nobody waits for in `make test`: `make soak` runs each section of this package, and writes soak.json.

    runner       sections, how far they are, their figures
    kills        section: the crash sweep, every fault point of the code again and again
    points       the fault points, read from the source
    cradle       a process from which bots, and verbs beside them, are forked, so that none waits for imports; nursery
                 speaks to it
    moved        one time for a bot and its WeCom, which leaps
    house        one WeCom, one database, one life of the bot after the other
    record       what stands in the database, looked at from outside
    scenes       what people do, each scene on its own; they go on where the bot has died. These end sessions;
                 scenes_group: lists, alerts, reports; scenes_record: history, ratings, old records, verbs
    truth        what must hold afterwards, against the WeCom's own ledger; truth_group, truth_record: what a scene adds
    sweep        which kills there are, and one of them carried out
    runs         section: people and trouble at random, until the record and WeCom have to agree; plays one again
    people       what they do, as steps with numbers; trouble: what WeCom does to the bot
    play         one sequence of steps, on a whole bot and a whole WeCom in this process
    leaps        a loop whose time leaps, so that hours of pauses cost nothing
    stretches    what this WeCom saw of its sessions, and by whom they were ended; ears: mistakes in the log
    agreement    what must hold when the trouble is over
    load         section: 500 callbacks a second while calls to WeCom fail. load_shape: how much; load_wecom: its crowd,
                 in a process of its own (load_pushes: its callbacks); load_run: one load, seen from here (load_seen,
                 load_leaving: who leaves over the API); load_truth: what must hold afterwards

`tests/scenario/test_crash_sweep.py` carries out some of the kills, `test_load_with_faults.py` a small load.
"""
