"""Section: random runs. `python -m tests.soak.runs '…'` plays a sequence again.

section      so many sequences of a seed
search       plays sequences; of those that fail, the least
people       what they do, as steps with numbers; trouble: what WeCom does to the bot
play         one sequence of steps, on a whole bot and a whole WeCom in this process
leaps        a loop whose time leaps, so that hours of pauses cost nothing
stretches    what this WeCom saw of its sessions, and by whom they were ended; ears: mistakes in the log
agreement    what must hold when the trouble is over
"""
