"""``./run demo`` from nothing: real purchases to a synced audience, and a second start that changes nothing."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST_START_SECONDS, SECOND_START_SECONDS = 300, 60  # the first beside other tests on the same two cores
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def demo(data_dir: Path) -> tuple[str, float]:
    """The demo's output, without serving, and its seconds."""
    environment = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "CDP_TEST_DATABASE_NAME"}}
    environment |= {"CDP_DATA_DIR": str(data_dir), "PYTHONIOENCODING": "utf-8"}
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cdp.launcher", "demo", "--once"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout, time.monotonic() - begun


def section(output: str, title: str) -> list[list[str]]:
    """The rows of one table of the closing output, as words; numbers without their commas."""
    after = output.split(title, 1)[1].splitlines()
    rows = []
    for line in after[1:]:
        if re.match(r"\S", line):
            break
        rows.append(line.replace(",", "").split())
    return [row for row in rows if row]


def numbers(row: list[str]) -> list[int]:
    return [int(word) for word in row if word.isdigit()]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(data_dir: Path) -> tuple[str, float]:
    return demo(data_dir)


@pytest.fixture(scope="module")
def second(first: tuple[str, float], data_dir: Path) -> tuple[str, float]:
    return demo(data_dir)


def test_every_purchase_and_every_person_is_in(first: tuple[str, float]) -> None:
    output, seconds = first
    counted = {" ".join(row[:-1]): row[-1] for row in section(output, "\nImported")}
    assert counted["people"] == "23570"
    assert counted["purchase rows imported"] == "69659"
    assert counted["purchase rows lost"] == "0"
    assert counted["rows rejected all files"] == "0"
    assert seconds < FIRST_START_SECONDS


def test_rfm_cells_add_up(first: tuple[str, float]) -> None:
    rows = [numbers(row[2:]) for row in section(first[0], "\nRFM: people by cell") if row[0] == "r"]
    assert [len(row) for row in rows] == [6] * 5
    assert all(sum(row[:-1]) == row[-1] for row in rows)
    assert sum(row[-1] for row in rows) == 23_570


def test_models_have_a_report_card(first: tuple[str, float]) -> None:
    card = {" ".join(row[:5]): row for row in section(first[0], "\nPredicted value: report card, published")}
    assert "0.819" in card["Mean error per person orders"]
    assert "Intent to buy in 90 days: report card, published" in first[0]
    assert sum(row[-1] for row in map(numbers, section(first[0], "\nGroups of buyers")[:-1]) if row) == 23_570


def audiences(output: str) -> list[list[int]]:
    """Per target: members, no consent, suppressed, held out, no address, sent, on the list, last sync sent."""
    return [
        found for row in section(output, "\nAudiences at the ad-network sandbox") if len(found := numbers(row)) == 8
    ]


def test_what_was_taken_off_and_sent_adds_up(first: tuple[str, float]) -> None:
    rows = audiences(first[0])
    assert len(rows) >= 3
    for members, no_consent, suppressed, held_out, no_address, sent, on_list, again in rows:
        assert members - no_consent - suppressed - held_out - no_address == sent == on_list > 0
        assert no_consent > 0
        assert held_out > 0
        assert again == 0


def test_a_second_start_is_quick_and_changes_nothing(first: tuple[str, float], second: tuple[str, float]) -> None:
    output, seconds = second
    assert seconds < SECOND_START_SECONDS
    assert output.count("imported before") == 4
    assert "computed before" in output
    assert all("sent 0," in line for line in output.splitlines() if line.startswith("sync"))

    def closing(text: str) -> str:
        return text[text.index("\nImported") :]

    assert closing(output) == closing(first[0])


def test_log_in_is_kept_privately(first: tuple[str, float], data_dir: Path) -> None:
    path = data_dir / "demo-login.txt"
    assert path.read_text(encoding="utf-8").startswith("demo / ")
    assert path.stat().st_mode & 0o077 == 0
