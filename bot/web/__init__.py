"""What browsers see of the bot: live events over WebSockets, the API, and the pages of customers and agents.

`entrance` is where connections come in, before anything is asked.

`sockets` has the routes and tells every event to those who may hear it: `gates` says who that is, `peer` is one of
them, `frames` what goes over the wire, `room` how many there may be.

`api` serves what the table in `calls` offers: `doors` says who asks and how often they may (`limits`), `fields` what a
request carries, `views` and `figures` how things are shown, `errors` what failures are told as, `openapi` all of it,
in `schemas`. `login` is the agents' way in by WeCom, `notice` the page for whoever it turns away; `site` puts these
together.
"""
