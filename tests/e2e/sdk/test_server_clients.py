"""Four unmodified server clients over good and bad roads: everything arrives once, nothing is sent again after a 200."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.sdk.conftest import SERVER_CLIENTS, Collector
from tests.e2e.sdk.judging import SAID, road_judge, told_judge
from tests.e2e.sdk.proxy import RETRY_AFTER_SECONDS, Fault, road_open

CLIENTS = Path(__file__).parent / "clients"
WAITS_AS_TOLD = {"segment_python", "segment_node", "rudder_node"}  # rudder-sdk-python has a clock of its own
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def command_of(client: str, request: pytest.FixtureRequest) -> list[str]:
    """How the client's program starts; JavaScript asks for node."""
    if client.endswith("_python"):
        return [sys.executable, "-W", "error", str(CLIENTS / f"{client}.py")]
    return ["node", str(CLIENTS / f"{client}.mjs"), str(request.getfixturevalue("installed"))]


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("client", SERVER_CLIENTS)
def test_everything_arrives_once(
    collector: Collector, request: pytest.FixtureRequest, client: str, fault: Fault
) -> None:
    key = f"{client}-{fault}"
    with road_open(collector.origin, fault) as road:
        command = [*command_of(client, request), road.origin, key]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    road_judge(road, len(SAID))
    if fault is Fault.LIMIT and client in WAITS_AS_TOLD:
        (failed,) = [e for e in road.exchanges if e.answered == 429]
        again = next(e for e in road.exchanges if e.answered == 200 and set(e.message_ids) & set(failed.message_ids))
        assert again.at - failed.at >= RETRY_AFTER_SECONDS
    told_judge(collector.tell(key), road, key, SAID)


@pytest.mark.parametrize("client", SERVER_CLIENTS)
def test_a_wrong_key_is_told_once(collector: Collector, request: pytest.FixtureRequest, client: str) -> None:
    with road_open(collector.origin, Fault.NONE) as road:
        command = [*command_of(client, request), road.origin, "nobodys-key"]
        subprocess.run(
            command, capture_output=True, timeout=60, check=False
        )  # how loud it fails is the client's affair
    assert {e.answered for e in road.exchanges} == {401}
    sent = [i for e in road.exchanges for i in e.message_ids]
    assert len(sent) == len(set(sent)), "no client tries a wrong key again"
