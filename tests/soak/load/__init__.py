"""Section: load with faults.

section      the figures, and how good they must be
shape        how much, who takes part, what goes wrong
run          one load, seen from here: the bot as it is shipped (seen: whether it answers, what it takes), and its WeCom
wecom        that WeCom and its crowd, in a process of its own; pushes: its callbacks
leaving      those who end a session over the API
truth        what must hold afterwards
"""
