"""Dockerfile and compose.yaml: linted, of the right shape, and their start commands run as they stand.

No container engine is needed: the commands run here, in production mode, against the private PostgreSQL.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import psycopg
import pytest
import yaml

from cdp.config import Config
from cdp.supervisor import port_free

ROOT = Path(__file__).resolve().parents[2]
WORDS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SERVICE = {
    "type": "object",
    "properties": {
        "build": {"const": "."},
        "image": {"type": "string", "pattern": r"^[\w./-]+:[\w.-]+$"},
        "restart": {"enum": ["unless-stopped", "no"]},
        "init": {"type": "boolean"},
        "env_file": {"const": [{"path": ".env", "required": False}]},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "command": WORDS,
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[a-z]+:/"}},
        "ports": WORDS,
        "depends_on": {"type": "object"},
        "tmpfs": WORDS,
        "healthcheck": {"type": "object"},
        "stop_grace_period": {"type": "string"},
        "shm_size": {"type": "string"},
    },
    "required": ["image", "restart"],
    "additionalProperties": False,
}
SHAPE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object"},
    },
    "patternProperties": {"^x-": {}},
    "required": ["services", "volumes"],
    "additionalProperties": False,
}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def image_instruction(name: str) -> list[str]:
    """The last ``CMD [...]`` or the like of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    words: list[str] = json.loads(re.findall(rf"^\s*{name} (\[.*\])$", text, re.MULTILINE)[-1])
    return words


def command_of(service: str) -> list[str]:
    words: list[str] = compose()["services"][service].get("command") or image_instruction("CMD")
    return words


def test_dockerfile_lint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_final_image_has_no_build_tools_and_no_root() -> None:
    final = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert not re.search(r"\b(pip|apt-get|gcc|curl|npm)\b", final)
    assert re.search(r"^USER \d+:\d+$", final, re.MULTILINE)
    assert "HEALTHCHECK" in final


def test_compose_shape() -> None:
    jsonschema.validate(compose(), SHAPE)
    assert set(compose()["services"]) == {"migrate", "web", "worker", "beat", "postgres", "valkey"}


def test_compose_waits_for_what_it_names_and_mounts_what_it_declares() -> None:
    document = compose()
    for service in document["services"].values():
        assert set(service.get("depends_on", {})) <= set(document["services"])
        assert {v.partition(":")[0] for v in service.get("volumes", [])} <= set(document["volumes"])


def test_compose_sets_only_variables_that_exist_and_example_names_those_it_asks_for() -> None:
    known = {name.upper() for name in Config.model_fields} | {"CDP_DATABASE_POOL", "PROMETHEUS_MULTIPROC_DIR"}
    for name in ("migrate", "web", "worker", "beat"):
        assert set(compose()["services"][name]["environment"]) <= known
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text(encoding="utf-8")))
    offered = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert asked == offered


def test_compose_hands_every_variable_of_the_env_file_over() -> None:
    for name in ("migrate", "web", "worker", "beat"):
        assert compose()["services"][name]["env_file"] == [{"path": ".env", "required": False}]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Production variables as compose sets them, with a database of its own on the private server."""
    from django.conf import settings

    url = settings.DATABASE_URL
    name = f"compose_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    plain = dict(compose()["services"]["web"]["environment"])
    values = {key: value for key, value in plain.items() if "${" not in value}
    values |= {
        "CDP_SECRET_KEY": secrets.token_urlsafe(32),
        "CDP_ENCRYPTION_KEYS": f"1:{secrets.token_urlsafe(32)}",
        "CDP_INDEX_KEY": secrets.token_urlsafe(32),
        "CDP_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "DATABASE_URL": urlsplit(url)._replace(path=f"/{name}").geturl(),
        "CELERY_BROKER_URL": "",
        "PROMETHEUS_MULTIPROC_DIR": "",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CDP_", "DJANGO_"))}
    yield {**kept, **values}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def broker(environment: dict[str, str]) -> Iterator[None]:
    """Valkey (or Redis) by compose's own command when this machine has one; else the database, as by default."""
    words = command_of("valkey")
    program = shutil.which(words[0]) or shutil.which("redis-server")
    if program is None:
        yield
        return
    port = port_free(0)
    command = [program, *words[1:], "--port", str(port), "--dir", environment["CDP_DATA_DIR"]]
    environment["CELERY_BROKER_URL"] = f"redis://127.0.0.1:{port}/0"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        yield
        process.terminate()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as got:  # noqa: S310
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.timeout(400)
def test_start_commands_run_as_they_stand(environment: dict[str, str], broker: None, tmp_path: Path) -> None:
    """migrate, then web, worker and beat: ready within a minute, health check green, all end on SIGTERM."""
    build = ["python", "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    assert build[:3] == re.findall(r"(python manage\.py collectstatic)", (ROOT / "Dockerfile").read_text())[0].split()
    for command in (build, command_of("migrate")):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    port = str(port_free(0))
    running = []
    for name in ("web", "worker", "beat"):
        command = [port if word == "8000" else word.replace("0.0.0.0", "127.0.0.1") for word in command_of(name)]  # noqa: S104
        counters = {"CDP_DATABASE_POOL": "1", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        own = {**environment, **(counters if name == "web" else {})}
        with (tmp_path / name).open("wb") as log:
            running.append(subprocess.Popen(command, cwd=ROOT, env=own, stdout=log, stderr=log, start_new_session=True))
    try:
        deadline = time.monotonic() + 60
        while (state := get(f"http://127.0.0.1:{port}/readyz"))[0] != 200:
            assert time.monotonic() < deadline, state
            time.sleep(0.2)
        health = [word.replace(":8000", f":{port}") for word in healthcheck()]
        assert subprocess.run(health, cwd=ROOT, env=environment, check=False).returncode == 0
        status, page = get(f"http://127.0.0.1:{port}/admin/login/")
        assert status == 200
        assert "/static/" in page
        for process in running:
            process.terminate()
        assert [process.wait(40) for process in running] == [0, 0, 0]
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def healthcheck() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    words: list[str] = json.loads(re.findall(r"HEALTHCHECK.*\\\n\s*CMD (\[.*\])", text)[0])
    return words


def test_image_command_is_what_the_supervisor_starts(tmp_path: Path) -> None:
    """One way to start the web server, but for address, port and the time given to end."""
    from cdp.supervisor import web

    def options(words: list[str]) -> set[str]:
        flags = {"--interface", "wsgi", "--workers", "2", "--blocking-threads", "4", "--no-ws", "--http", "1"}
        return flags & set(words)

    assert options(list(web(8000, tmp_path / "metrics").command)) == options(image_instruction("CMD"))
    assert command_of("beat")[-1] == "--pidfile="
