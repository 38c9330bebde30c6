"""``manage.py sandbox``: the local stand-in for the ad networks."""

import signal
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from segments.sandbox.server import SandboxServer


class Command(BaseCommand):
    """Serve until interrupted."""

    help = "Serve a local stand-in for Google Customer Match and Meta Custom Audiences."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8090, help="0 takes a free port.")
        parser.add_argument(
            "--state", type=Path, default=None, help="Folder of the lists (default: sandbox under the data folder)."
        )
        parser.add_argument("--record", type=Path, default=None, help="Append every request's body to this file.")
        parser.add_argument("--port-file", type=Path, default=None, help="Write the port that was taken here.")

    def handle(self, *args: object, **options: object) -> None:
        state, record, port_file = options["state"], options["record"], options["port_file"]
        folder = state if isinstance(state, Path) else Path(settings.DATA_DIR) / "sandbox"
        server = SandboxServer(
            int(str(options["port"])), folder, record_path=record if isinstance(record, Path) else None
        )
        if isinstance(port_file, Path):
            draft = port_file.with_suffix(".draft")
            draft.write_text(str(server.server_address[1]), encoding="utf-8")
            draft.rename(port_file)
        self.stdout.write(f"Ad network sandbox at {server.base_url} (a local stand-in; Ctrl-C stops it)")
        self.stdout.flush()

        def stop(_number: int, _frame: FrameType | None) -> None:
            raise KeyboardInterrupt

        signal.signal(signal.SIGTERM, stop)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            self.stdout.write("Sandbox stopped.")
        finally:
            server.server_close()
