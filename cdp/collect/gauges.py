"""What waits, for /metrics: the inbox, the outbox, rejects, files on their way."""

from cdp.access.metrics import Gauge, gauge_register

GAUGES = (
    Gauge(
        "cdp_inbox_calls", "Acknowledged calls that wait for their effects.", (), "SELECT count(*) FROM cdp_inboxevent"
    ),
    Gauge(
        "cdp_inbox_oldest_seconds",
        "Age of the oldest call in the inbox.",
        (),
        "SELECT coalesce(extract(epoch FROM now() - min(received_at)), 0) FROM cdp_inboxevent",
    ),
    Gauge(
        "cdp_outbox_messages",
        "Open messages between slices.",
        ("topic",),
        "SELECT topic, count(*) FROM cdp_outboxmessage WHERE done_at IS NULL GROUP BY topic",
    ),
    Gauge(
        "cdp_outbox_oldest_seconds",
        "How long the oldest open message has been due.",
        ("topic",),
        "SELECT topic, greatest(0, extract(epoch FROM now() - min(due_at))) FROM cdp_outboxmessage "
        "WHERE done_at IS NULL GROUP BY topic",
    ),
    Gauge(
        "cdp_rejects_last_hour",
        "Calls and lines refused in the last hour.",
        ("code",),
        "SELECT code, count(*) FROM cdp_reject WHERE received_at > now() - interval '1 hour' GROUP BY code",
    ),
    Gauge(
        "cdp_source_silent_seconds",
        "Time since a source was last heard of.",
        ("source",),
        "SELECT key, extract(epoch FROM now() - last_event_at) FROM cdp_source WHERE last_event_at IS NOT NULL",
    ),
    Gauge(
        "cdp_imports_running",
        "Files on their way in.",
        (),
        "SELECT count(*) FROM cdp_importrun WHERE state = 'running'",
    ),
    Gauge(
        "cdp_heartbeat_seconds",
        "Time since the last sign of life.",
        ("process",),
        "SELECT process, extract(epoch FROM now() - at) FROM cdp_heartbeat",
    ),
)


def gauges_register() -> None:
    """Called once, when the app is ready."""
    for gauge in GAUGES:
        gauge_register(gauge)
