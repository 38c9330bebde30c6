"""The rules of the house that no linter knows: sizes, words, generated documents, plain modules."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdp.management.commands.settings_table import PATH as SETTINGS_TABLE
from cdp.management.commands.settings_table import settings_table

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FILE, LONG_FILE, LONGEST_FUNCTION = 500, 300, 60
LONG_FILES_WITH_A_REASON: dict[str, str] = {}
FORBIDDEN_FILE_WORDS = {"utils", "helpers", "common", "manager", "misc", "util", "helper"}
PRODUCT = "google_data_manager"  # the network's own name for it
BANNED_NAMES = {"recency", "frequency"}
BANNED_CLASS_WORDS = {"Cohort", "Contact", "Integration", "Customer", "Manager"}
READS_THE_ENVIRONMENT = {"cdp/access/metrics.py"}  # prometheus_client takes its folder from a variable only
FRAMEWORKS = {"django", "rest_framework", "celery"}


def sources() -> list[Path]:
    return [p for app in ("cdp", "segments") for p in sorted((ROOT / app).rglob("*.py")) if "migrations" not in p.parts]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that the code gives to something of its own: assigned, defined, taken as an argument."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.ClassDef(name=name):
                yield name, node.lineno


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_size(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= LONGEST_FILE
    assert lines <= LONG_FILE or name_of(path) in LONG_FILES_WITH_A_REASON, (
        f"{lines} lines, and no reason is written here"
    )
    too_long = [f.name for f in functions(ast.parse(text)) if (f.end_lineno or 0) - f.lineno >= LONGEST_FUNCTION]
    assert not too_long


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_words(path: Path) -> None:
    own_parts = path.relative_to(ROOT).with_suffix("").parts
    words = {word for part in own_parts for word in part.replace(PRODUCT, "").split("_")}
    assert not words & FORBIDDEN_FILE_WORDS
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [(name, line) for name, line in identifiers(tree) if name in BANNED_NAMES]
    if "sandbox" in own_parts:
        return  # speaks the ad networks' words
    classes = {n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    assert not {c for c in classes for word in BANNED_CLASS_WORDS if word in c.replace("DataManager", "")}


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module begins with what it answers"


def test_long_file_reasons_are_still_needed() -> None:
    for name in LONG_FILES_WITH_A_REASON:
        assert (ROOT / name).read_text(encoding="utf-8").count("\n") > LONG_FILE, name


def test_plain_modules_are_named_in_the_contract_and_exist() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    plain = next(c for c in contracts if c["name"].startswith("5 "))
    for module in plain["source_modules"]:
        base = ROOT / module.replace(".", "/").removesuffix("/*")
        assert base.is_dir() or base.with_suffix(".py").exists(), f"{module} is gone; take it out of pyproject.toml"
    assert set(plain["forbidden_modules"]) == FRAMEWORKS


@pytest.mark.parametrize("path", sources(), ids=name_of)
def test_the_environment_is_read_at_the_edge(path: Path) -> None:
    """Slices get their configuration from settings, so that docs/settings.md names every variable."""
    slice_name = path.relative_to(ROOT).parts[1]
    if slice_name.endswith(".py") or slice_name == "management" or name_of(path) in READS_THE_ENVIRONMENT:
        return
    assert "os.environ" not in path.read_text(encoding="utf-8"), "take it from django.conf.settings"


def test_settings_table_is_current() -> None:
    assert SETTINGS_TABLE.read_text(encoding="utf-8") == settings_table(), "Next: ./run manage settings_table"


def test_locked_files_agree_and_name_no_host() -> None:
    pins = {}
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text
        pins[name] = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))
    runtime, dev = pins["requirements.lock"], pins["requirements-dev.lock"]
    assert {name: dev.get(name) for name in runtime} == runtime, "Next: ./run lock"


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_scripts_are_executable_and_parse(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    shell = "sh" if script == "run" else "bash"
    assert subprocess.run([shell, "-n", str(path)], check=False).returncode == 0
