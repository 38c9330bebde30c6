"""``./run check``, ``./run test`` and ``./run bench``: is this version good enough to ship?

Tests run against a throw-away database on the private server (or on ``DATABASE_URL``'s), with their own data folder.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdp.config import BASE_DIR, Config, load_config
from cdp.local_postgres import postgres_start, postgres_stop
from cdp.postgres_account import CHILD, LocalPostgresError
from cdp.supervisor import say

PYTHON = sys.executable
TIDY_SECONDS = 90
STATIC_CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", ("-m", "ruff", "format", "--check", "--quiet", ".")),
    ("lint", ("-m", "ruff", "check", "--quiet", ".")),
    ("import arrows", ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")),
    ("types", ("-m", "mypy", "--no-error-summary", "cdp", "segments")),
)
DATABASE_CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("system checks", ("manage.py", "check", "--fail-level", "WARNING")),
    ("migrations", ("manage.py", "makemigrations", "--check", "--dry-run", "--verbosity", "1")),
    ("settings table", ("manage.py", "settings_table", "--check")),
    ("API document", ("manage.py", "openapi", "--check")),
)


@contextmanager
def database(config: Config) -> Iterator[dict[str, str]]:
    """Environment for programs that need the database server; a private one that was started here is stopped here."""
    environment = {"CDP_DATA_DIR": str(config.cdp_data_dir / "test")}
    if config.database_url:
        yield environment
        return
    server = postgres_start(config.cdp_data_dir, with_parent=True, say=say)
    try:
        yield environment | {"DATABASE_URL": server.url}
    finally:
        if server.process:
            postgres_stop(config.cdp_data_dir, server.process)
            server.process.wait()


def run(arguments: tuple[str, ...] | list[str], environment: dict[str, str], *, quiet: bool) -> int:
    """One Python program; ``quiet`` shows its output only when it fails. Asked to end, it may tidy up; killed, it is told."""
    parent = ["--parent", str(os.getpid()), "--signal", str(int(signal.SIGINT))]
    with subprocess.Popen(  # noqa: S603
        [PYTHON, "-I", str(CHILD), *parent, "--", PYTHON, *arguments],
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        start_new_session=True,  # Ctrl-C reaches it through us, once
    ) as process:
        try:
            output, _ = process.communicate()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TIDY_SECONDS)
            raise
    if quiet and process.returncode:
        say(output.decode(errors="replace").rstrip())
    return process.returncode


def step(title: str, arguments: tuple[str, ...], environment: dict[str, str]) -> bool:
    """Run one check and print its line."""
    begun = time.monotonic()
    failed = run(arguments, environment, quiet=True) != 0
    say(f"{'FAILED' if failed else 'ok':>6}  {title} ({time.monotonic() - begun:.1f} s)")
    return not failed


def check(config: Config, arguments: list[str]) -> int:
    """Everything that is quick; goes on after a failure, so that one run shows all."""
    argparse.ArgumentParser(prog="./run check", description=check.__doc__).parse_args(arguments)
    passed = [step(title, command, {}) for title, command in STATIC_CHECKS]
    with database(config) as environment:
        passed += [step(title, command, environment) for title, command in DATABASE_CHECKS]
        passed.append(step("fast tests", ("-m", "pytest", "-q", "-n", "2", "tests/unit"), environment))
    say("everything is in order" if all(passed) else "something needs a look; see above")
    return 0 if all(passed) else 1


def test(config: Config, arguments: list[str]) -> int:
    """The test suite; further words go to pytest (paths, -k …)."""
    parser = argparse.ArgumentParser(prog="./run test", description=test.__doc__)
    parser.add_argument("--long", action="store_true", help="also soaks, kill rounds, thousands of random examples")
    options, rest = parser.parse_known_args(arguments)
    command = ["-m", "pytest", "-n", "2", "--dist", "loadfile", "--create-db", "-ra", "-q"]
    command += ["-m", "long or not long", "--timeout", "3600"] if options.long else []
    with database(config) as environment:
        environment["CDP_TEST_DATABASE_NAME"] = "test_run"
        if options.long:
            environment["CDP_TEST_LONG"] = "1"
        return run(command + rest, environment, quiet=False)


def bench(config: Config, arguments: list[str]) -> int:
    """Measure beside DESIGN's figures, on a database of its own; writes docs/benchmarks.md."""
    with database(config) as environment:
        return run(["-m", "tests.benchmarks", *arguments], environment, quiet=False)


def interrupt(_number: int, _frame: object) -> None:
    """A polite request to end counts as Ctrl-C."""
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run one command."""
    commands = {"check": check, "test": test, "bench": bench}
    config = load_config()
    (Path(config.cdp_data_dir) / "test").mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        return commands[arguments[0]](config, arguments[1:])
    except LocalPostgresError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("stopped")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
