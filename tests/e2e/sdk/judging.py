"""What must have arrived, whichever client said it and however bad the road was."""

from typing import Any

from tests.e2e.sdk.proxy import Fault, Road

STEPS = [("track", "Step Done", {"step": step, "words": "Grüße 🎈"}) for step in (1, 2, 3)]
SAID: list[tuple[str, str, dict[str, Any]]] = [
    ("track", "Landed", {"from": "newsletter"}),
    ("identify", "", {}),  # traits live with the person
    ("track", "Product Viewed", {"product_id": "p-1", "price": 12.5, "sizes": [41, 42]}),
    ("page", "Checkout", {"step": 2}),
    ("screen", "Basket", {"items": 2}),
    ("group", "", {"group_id": "acme", "traits": {"employees": 40}}),
    ("alias", "", {}),
    *STEPS,
]


def road_judge(road: Road, calls: int) -> None:
    """Every call was delivered exactly once as the client sees it; what failed on the way was really sent again."""
    assert road.refusals == []
    delivered = road.delivered()
    assert len(delivered) == calls
    assert set(delivered.values()) == {1}, "sent again after a 200"
    assert all(e.answer == b'{"success": true}' for e in road.exchanges if e.is_stored)
    failed = [e for e in road.exchanges if e.answered != 200]
    sent_before = {i for e in failed for i in e.message_ids}
    match road.fault:
        case Fault.NONE:
            assert failed == []
        case Fault.ERROR | Fault.LIMIT:
            assert failed
            assert {e.answered for e in failed} == {int(road.fault)}
        case Fault.CUT:
            assert failed
            assert all(e.is_stored and e.answered is None for e in failed), "the server had taken them"
    assert sent_before <= set(delivered)


def told_judge(told: dict[str, Any], road: Road, key: str, said: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Each call is one event with its message id, words and properties, and all of them are one person's."""
    assert (told["waiting"], told["refused"]) == (0, [])
    assert sorted(event["id"] for event in told["events"]) == sorted(road.delivered())
    arrived = [(event["kind"], event["name"], event["properties"]) for event in told["events"]]
    assert sorted((kind, name) for kind, name, _ in arrived) == sorted((kind, name) for kind, name, _ in said)
    for kind, name, properties in said:
        found = [stored for k, n, stored in arrived if (k, n) == (kind, name)]
        assert any(_holds(stored, properties) for stored in found), (kind, name, properties, found)
    (person,) = told["people"]
    assert person["traits"] == {"plan": "gold", "seats": 3}
    assert ["user_id", f"user-{key}"] in person["identifiers"]
    assert ["anonymous_id", f"device-{key}"] in person["identifiers"]


def _holds(stored: dict[str, Any], properties: dict[str, Any]) -> bool:
    """Whether all of ``properties`` arrived as they were said; clients add their own (the page's address)."""
    return properties == {key: stored[key] for key in properties if key in stored}
