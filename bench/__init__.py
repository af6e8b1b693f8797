"""Benchmarks: `python -m bench`, or `python -m bench --only sync`. Prints a table, writes `bench.json`.

Machines are noisy, so a number alone says little. Every subject is measured beside a floor in the same run, the least
work that could do the same job, in short rounds that alternate: noise hits both. A row keeps the medians of its rounds,
and as `ratio` the median of the rounds' own ratios, so it need not be exactly measured / floor.

    callbacks  commands  memory  start  sync     one file a subject; each registers itself with `@bench`
    alerts  calls  taps  watch                   the same, for all that watches and alerts
    api  console  export  sockets                the same, for customers, agents and other programs
    runner                                       rows, goals, the registry
    children  child                              processes beside this one, ended with it whatever happens
    wecom  traffic                               a WeCom that answers at once, and what its sync_msg has to tell
    bots  records  floors                        the real bot as a process, databases to start it on, bare servers
    within                                       the real bot within a process of ours, by a clock of ours

To add a row: yield one more `Row` from a bench, or write a new file here with a function under `@bench(name, steps)`.
"""
