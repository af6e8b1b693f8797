"""What browsers see of the bot: live events over WebSockets, the API, and the pages of customers and agents.

`sockets` has the routes and tells every event to those who may hear it: `gates` says who that is, `peer` is one of
them, `frames` what goes over the wire, `room` how many there may be.
"""
