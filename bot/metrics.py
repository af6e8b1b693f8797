"""What `/metrics` shows, as Prometheus text. Names are an interface: only add."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One registry a process, so that tests may have many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.callbacks = Counter(
            "kfbot_callbacks", "Callbacks from WeCom by outcome", ["outcome"], registry=self.registry
        )
        self.wecom = Histogram(
            "kfbot_wecom_seconds", "Calls to WeCom", ["endpoint", "outcome"], buckets=SECONDS, registry=self.registry
        )
        self.commands = Histogram(
            "kfbot_command_seconds", "Group commands", ["command", "outcome"], buckets=SECONDS, registry=self.registry
        )
        self.sync = Counter("kfbot_sync", "Items of the message stream", ["what"], registry=self.registry)
        self.channel = Counter("kfbot_channel", "Events of the group channel", ["event"], registry=self.registry)
        self.jobs = Counter("kfbot_job_runs", "Scheduled jobs by outcome", ["job", "outcome"], registry=self.registry)
        self.restarts = Counter(
            "kfbot_task_restarts", "Tasks of the bot that died and were begun again", ["task"], registry=self.registry
        )
        self.stalls = Counter(
            "kfbot_loop_stalls", "Times the event loop stood still for seconds", registry=self.registry
        )
        self.alerts = Counter("kfbot_alerts", "Alerts sent, by rule and way", ["rule", "way"], registry=self.registry)
        self.webhooks = Counter(
            "kfbot_webhook_tries", "Tries to deliver events to webhooks", ["outcome"], registry=self.registry
        )
        self.sockets = Gauge("kfbot_sockets", "Open WebSockets", ["door"], registry=self.registry)
        self.live = Counter("kfbot_live_events_sent", "Live events, once per socket", ["door"], registry=self.registry)
        self.dropped = Counter(
            "kfbot_sockets_dropped", "WebSockets turned away or given up", ["door", "why"], registry=self.registry
        )
        self.api = Histogram(
            "kfbot_api_seconds", "Requests to the API", ["route", "status"], buckets=SECONDS, registry=self.registry
        )
        self.open = Gauge("kfbot_open_handoffs", "Open handoffs", ["status"], registry=self.registry)
        self.parked = Gauge("kfbot_parked", "What waits for /replay", ["what"], registry=self.registry)
        self._call, self._route = cache(self.wecom.labels), cache(self.api.labels)  # seen thousands of times a second
        self.ready = Gauge("kfbot_ready", "1 when /readyz says so", registry=self.registry)

    def observe_call(self, endpoint: str, outcome: str, seconds: float) -> None:
        self._call(endpoint, outcome).observe(seconds)

    def observe_command(self, command: str, outcome: str, seconds: float) -> None:
        self.commands.labels(command, outcome).observe(seconds)

    def observe_sync(self, what: str, count: int) -> None:
        self.sync.labels(what).inc(count)

    def observe_channel(self, event: str) -> None:
        self.channel.labels(event).inc()

    def observe_alert(self, rule: str, way: str) -> None:
        self.alerts.labels(rule, way).inc()

    def observe_webhook(self, outcome: str) -> None:
        """`outcome`: accepted, failed, dead."""
        self.webhooks.labels(outcome).inc()

    def observe_socket(self, door: str, what: str, count: int = 1) -> None:
        """`what`: opened, closed, sent, or why it is given up."""
        if what in ("opened", "closed"):
            self.sockets.labels(door).inc(count if what == "opened" else -count)
        elif what == "sent":
            self.live.labels(door).inc(count)
        else:
            self.dropped.labels(door, what).inc(count)

    def observe_api(self, route: str, status: int, seconds: float) -> None:
        self._route(route, str(status)).observe(seconds)

    def observe_job(self, job: str, outcome: str) -> None:
        self.jobs.labels(job, outcome).inc()

    def observe_restart(self, task: str) -> None:
        self.restarts.labels(task).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
