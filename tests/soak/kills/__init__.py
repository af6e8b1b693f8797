"""Section: the crash sweep.

section      every kill there is, and what became of it
points       the fault points, read from the source
cradle       a process from which bots, and verbs beside them, are forked, so that none waits for imports; nursery
             speaks to it
moved        one time for a bot and its WeCom, which leaps
house        one WeCom, one database, one life of the bot after the other
scenes       what people do, each scene on its own; they go on where the bot has died. These end sessions;
             scenes_group: lists, alerts, reports; scenes_record: history, ratings, old records, verbs
truth        what must hold afterwards, against the WeCom's own ledger; truth_group, truth_record: what a scene adds
sweep        which kills there are, and one of them carried out
"""
