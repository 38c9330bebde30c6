"""What ``./run`` does once Python and the packages are there: ``python -m cdp.launcher demo | serve | stop | reset``.

Checks and tests stand in ``cdp.quality``. Every failure names the next step; nothing is asked.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from cdp.config import Config, load_config
from cdp.postgres_account import LocalPostgresError
from cdp.supervisor import (
    AlreadyRunningError,
    Supervisor,
    beat,
    port_free,
    sandbox,
    say,
    supervisor_stop,
    web,
    worker,
)

SANDBOX_PORT = 8090


def serve_all(supervisor: Supervisor, config: Config, *, extra: str = "") -> int:
    """Start web, worker and beat, say where, and keep them until a signal."""
    port = port_free(config.cdp_port)
    supervisor.address = f"http://127.0.0.1:{port}/"
    supervisor.start(web(port, config.cdp_data_dir / "metrics"), worker(), beat())
    if not supervisor.wait_for(f"{supervisor.address}healthz"):
        say(
            f"The web server does not answer. Its log is {config.cdp_data_dir / 'logs' / 'web.log'}; try `./run doctor`."
        )
        return 1
    say(f"\nOpen {supervisor.address}admin/{extra}\nCtrl-C stops everything.")
    supervisor.keep()
    say("stopping")
    return 0


def migrate(supervisor: Supervisor) -> bool:
    """Bring the database to this version."""
    if supervisor.run("manage.py", "migrate", "--noinput", "--verbosity", "0") == 0:
        return True
    say("The database could not be migrated; the error stands above. Next: `./run doctor`.")
    return False


def serve(config: Config, _arguments: list[str]) -> int:
    """``./run serve``: everything on this machine, with your own data."""
    with Supervisor(config.cdp_data_dir, private_postgres=not config.database_url) as supervisor:
        return serve_all(supervisor, config) if migrate(supervisor) else 1


def demo(config: Config, arguments: list[str]) -> int:
    """``./run demo [--once]``: real purchases to a synced audience, then serve."""
    parser = argparse.ArgumentParser(prog="./run demo", description=demo.__doc__)
    parser.add_argument("--once", action="store_true", help="end after the closing table")
    once = parser.parse_args(arguments).once or os.environ.get("CDP_DEMO_EXIT") == "1"
    environment, quiet = {"CDP_DEMO": "1"}, {"CDP_LOG_LEVEL": os.environ.get("CDP_LOG_LEVEL", "WARNING")}
    with Supervisor(
        config.cdp_data_dir, private_postgres=not config.database_url, environment=environment
    ) as supervisor:
        if not migrate(supervisor):
            return 1
        port = port_free(SANDBOX_PORT)
        supervisor.start(sandbox(port))
        if not supervisor.wait_for(f"http://127.0.0.1:{port}/sandbox/lists"):
            say(f"The ad-network sandbox does not answer. Its log is {config.cdp_data_dir / 'logs' / 'sandbox.log'}.")
            return 1
        if status := supervisor.run("manage.py", "demo", "--sandbox-url", f"http://127.0.0.1:{port}", **quiet):
            return status
        if once:
            return 0
        login = (config.cdp_data_dir / "demo-login.txt").read_text(encoding="utf-8").strip()
        return serve_all(supervisor, config, extra=f"   log in as {login}")


def stop(config: Config, _arguments: list[str]) -> int:
    """``./run stop``: end what runs from this checkout."""
    done = list(supervisor_stop(config.cdp_data_dir))
    say("\n".join(done) or "Nothing was running.")
    return 0


def reset(config: Config, _arguments: list[str]) -> int:
    """``./run reset``: stop, and remove everything the service stored under the data folder."""
    stop(config, [])
    if (config.cdp_data_dir / "keys").exists() or (config.cdp_data_dir / "postgres").exists():
        shutil.rmtree(config.cdp_data_dir)
        say(f"Removed {config.cdp_data_dir}. `./run demo` starts afresh.")
    if config.database_url:
        say("DATABASE_URL is set: that database was left as it is.")
    return 0


COMMANDS: dict[str, Callable[[Config, list[str]], int]] = {"demo": demo, "serve": serve, "stop": stop, "reset": reset}


def main(arguments: list[str]) -> int:
    """Run one command; known failures become one line and exit status 1."""
    try:
        return COMMANDS[arguments[0]](load_config(), arguments[1:])
    except (AlreadyRunningError, LocalPostgresError) as error:
        say(str(error))
    except ValidationError as error:
        for problem in error.errors(include_input=False):
            say(f"{'.'.join(map(str, problem['loc'])).upper()}: {problem['msg']}")
    except OSError as error:
        say(f"{error.strerror or error}: {error.filename or Path.cwd()}. Next: `./run doctor`.")
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
