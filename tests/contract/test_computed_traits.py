"""What every group of computed traits must do. A new file in ``computed_traits/groups`` is picked up by itself."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from segments.computed_traits.contract import (
    ARROW_TYPES,
    ComputedTraitGroup,
    TraitInputs,
    TraitOutcome,
    groups_find,
)
from segments.computed_traits.models import ModelRun
from segments.computed_traits.orders_summary import Orders, orders_by_day
from tests.computed_samples import CDNOW_LAST_DAY, cdnow_orders

GROUPS = groups_find()
UNITS = {"", "days", "currency", "score", "share"}


def inputs_make(orders: Orders, day: int) -> TraitInputs:
    return TraitInputs(order_days=orders_by_day(orders), as_of_day=day, currency="USD", seed=11)


@pytest.fixture(scope="module")
def real() -> TraitInputs:
    """CDNOW: 23,570 real people."""
    return inputs_make(cdnow_orders("master"), CDNOW_LAST_DAY)


@pytest.fixture(scope="module")
def few() -> TraitInputs:
    """Twenty people, who ordered within a week."""
    people = np.repeat(np.arange(1, 21), 2)
    days = np.tile(np.array([100, 104]), 20).astype(np.int32)
    return inputs_make(Orders(people, days, np.full(40, 100_000)), 106)


@pytest.fixture(scope="module")
def outcomes(real: TraitInputs) -> dict[str, TraitOutcome]:
    return {name: group.compute(real) for name, group in GROUPS.items()}


@pytest.fixture(params=GROUPS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def group(name: str) -> ComputedTraitGroup:
    return GROUPS[name]


def test_it_is_declared_in_full(name: str, group: ComputedTraitGroup) -> None:
    assert name == group.GROUP
    assert name in dict(ModelRun._meta.get_field("group").choices or ())
    assert group.TITLE[0].isupper()
    keys = [spec.key for spec in group.SPECS]
    assert len(set(keys)) == len(keys) > 0
    for spec in group.SPECS:
        assert spec.key.isidentifier() and spec.key.islower() and "__" not in spec.key
        assert 0 < len(spec.title) <= 80 and 0 < len(spec.description) <= 200
        assert spec.unit in UNITS
        assert spec.value_type in ARROW_TYPES


def test_positions_are_unique() -> None:
    assert len({group.POSITION for group in GROUPS.values()}) == len(GROUPS)
    assert list(GROUPS)[:4] == ["rfm", "ltv", "cluster", "intent"]


def test_it_publishes_on_real_purchases(name: str, outcomes: dict[str, TraitOutcome]) -> None:
    outcome = outcomes[name]
    assert (outcome.verdict, outcome.reason) == ("published", "")
    assert outcome.people == 23_570
    assert 0 < len(outcome.method) <= 40
    assert outcome.unit in {"day", "week"}


def test_its_table_has_what_it_declares_and_one_row_a_person(
    name: str, group: ComputedTraitGroup, outcomes: dict[str, TraitOutcome]
) -> None:
    table = outcomes[name].table
    assert table is not None
    declared = {"profile_no": pa.int64()} | {spec.key: ARROW_TYPES[spec.value_type] for spec in group.SPECS}
    assert {field.name: field.type for field in table.schema} == declared
    numbers = table["profile_no"].to_numpy()
    assert (np.diff(numbers) > 0).all()
    assert len(numbers) == 23_570
    assert all(column.null_count == 0 for column in table.columns)
    for spec in group.SPECS:
        if spec.value_type == "number":
            values = table[spec.key].to_numpy()
            assert np.isfinite(values).all()
            if spec.unit == "share":
                assert 0 <= values.min() <= values.max() <= 1


def test_its_report_and_parameters_are_json(name: str, outcomes: dict[str, TraitOutcome]) -> None:
    outcome = outcomes[name]
    text = json.dumps([outcome.parameters, outcome.report], allow_nan=False)
    report = json.loads(text)[1]
    assert report["headline"]
    assert report["input"]["people"] == 23_570
    assert (report["input"]["first_day"], report["input"]["last_day"]) == ("1997-01-01", "1998-06-30")
    for measure in report.get("measures", []):
        assert set(measure) == {"key", "title", "unit", "model", "baselines", "reading", "tone"}
        assert len(measure["baselines"]) == len(report["baselines"]) == 2
    if "gate" in report:
        assert all(check["holds"] for check in report["gate"]["checks"])


def test_the_same_inputs_give_the_same_outcome(
    name: str, group: ComputedTraitGroup, real: TraitInputs, outcomes: dict[str, TraitOutcome]
) -> None:
    again = group.compute(real)
    first = outcomes[name]
    assert again.table is not None
    assert again.table.equals(first.table)
    assert json.dumps([again.parameters, again.report]) == json.dumps([first.parameters, first.report])


def test_its_own_parameters_are_a_fair_start(
    name: str, group: ComputedTraitGroup, real: TraitInputs, outcomes: dict[str, TraitOutcome]
) -> None:
    """What a run stores comes back to the next one: on the same orders the values stay."""
    stored = json.loads(json.dumps(outcomes[name].parameters))
    again = group.compute(replace(real, last_parameters=stored))
    assert again.table is not None
    assert again.table.equals(outcomes[name].table)


def test_too_little_data_is_refused_in_words_or_needs_no_more(group: ComputedTraitGroup, few: TraitInputs) -> None:
    outcome = group.compute(few)
    json.dumps([outcome.parameters, outcome.report], allow_nan=False)
    if outcome.verdict == "published":
        assert outcome.table is not None and outcome.table.num_rows == 20
    else:
        assert outcome.table is None
        assert outcome.reason.startswith("Not enough data:")
        assert outcome.report["headline"] == outcome.reason
