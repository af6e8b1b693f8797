"""The names on /metrics are an interface."""

from __future__ import annotations

from bot.metrics import Metrics

NAMES = {
    "kfbot_callbacks_total",
    "kfbot_wecom_seconds_bucket",
    "kfbot_command_seconds_bucket",
    "kfbot_sync_total",
    "kfbot_channel_total",
    "kfbot_job_runs_total",
    "kfbot_open_handoffs",
    "kfbot_ready",
    "kfbot_sockets",
    "kfbot_live_events_sent_total",
    "kfbot_sockets_dropped_total",
    "kfbot_webhook_tries_total",
}


def test_every_name_is_there_with_its_labels() -> None:
    metrics = Metrics()
    metrics.callbacks.labels("kf").inc()
    metrics.observe_call("kf/sync_msg", "ok", 0.02)
    metrics.observe_command("end", "ok", 0.3)
    metrics.observe_sync("items", 7)
    metrics.observe_channel("message")
    metrics.observe_job("poll", "failed")
    metrics.open.labels("human").set(3)
    metrics.ready.set(True)
    metrics.observe_webhook("dead")
    metrics.observe_socket("agent", "opened", 3)
    metrics.observe_socket("agent", "closed")
    metrics.observe_socket("agent", "sent", 40)
    metrics.observe_socket("customer", "slow")
    text = metrics.text().decode()
    assert {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()} >= NAMES
    for line in (
        'kfbot_callbacks_total{outcome="kf"} 1.0',
        'kfbot_wecom_seconds_count{endpoint="kf/sync_msg",outcome="ok"} 1.0',
        'kfbot_command_seconds_bucket{command="end",le="0.5",outcome="ok"} 1.0',
        'kfbot_sync_total{what="items"} 7.0',
        'kfbot_channel_total{event="message"} 1.0',
        'kfbot_job_runs_total{job="poll",outcome="failed"} 1.0',
        'kfbot_open_handoffs{status="human"} 3.0',
        "kfbot_ready 1.0",
        'kfbot_webhook_tries_total{outcome="dead"} 1.0',
        'kfbot_sockets{door="agent"} 2.0',
        'kfbot_live_events_sent_total{door="agent"} 40.0',
        'kfbot_sockets_dropped_total{door="customer",why="slow"} 1.0',
    ):
        assert line in text


def test_two_bots_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.observe_sync("items", 1)
    assert b"kfbot_sync_total{" not in other.text()
