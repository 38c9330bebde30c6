"""What other slices and edges call to bring audiences to ad networks."""

from segments.activation.connections import (
    ConnectionProblemsError,
    connection_pause,
    connection_resume,
    connection_save,
)
from segments.activation.decisions import sync_approve, sync_cancel, sync_send_additions
from segments.activation.removals import wishes_collect
from segments.activation.running import Turn, batches_poll, target_run
from segments.activation.seeds import sandbox_connections_ensure
from segments.activation.targets import (
    audience_target_save,
    opt_outs_waiting,
    targets_due,
    targets_hasten,
)

__all__ = [
    "ConnectionProblemsError",
    "Turn",
    "audience_target_save",
    "batches_poll",
    "connection_pause",
    "connection_resume",
    "connection_save",
    "opt_outs_waiting",
    "sandbox_connections_ensure",
    "sync_approve",
    "sync_cancel",
    "sync_send_additions",
    "target_run",
    "targets_due",
    "targets_hasten",
    "wishes_collect",
]
