"""Section: fuzz.

section      three runs, the bot behind them in a process of its own: bot
house        that bot's WeCom, its group (line: the far end of the long connection), its tokens
callbacks    what anybody may send to /callback/kf; calls: to the API, the pages and the live sockets; frames: what
             the group may say
dice         chance with a seed, and what becomes of a valid document in its hands
wire         HTTP and WebSocket by hand, for what no library would send
tally        what is asked, what may be answered, and what was
"""
