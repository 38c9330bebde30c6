"""How numbers, times, masks and drawings come out on the admin's pages."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdp.identity.masking import trait_mask, value_mask
from cdp.screen import words
from cdp.screen.charts import bars_draw, dots_draw, nice_ceiling, spark_draw
from cdp.screen.graph import graph_draw
from cdp.screen.listing import number_or_none, page_of
from cdp.screen.remember import remembered, remembered_forget
from cdp.templatetags.ui import measure

NOW = dt.datetime(2026, 11, 23, 14, 2, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.number(23_570), "23,570"),
        (words.number(None), "–"),
        (words.number(-484), "−484"),
        (words.share(0.0519), "5.2\u00a0%"),
        (words.share(None), "–"),
        (words.money(Decimal("120.4"), "USD"), "$120"),
        (words.money(Decimal("-3.5"), "USD", 2), "−$3.50"),
        (words.money(7, "CHF"), "CHF\u00a07"),
        (words.signed(312), "+312"),
        (words.signed(0), "0"),
        (words.factor(0.857), "×0.86"),
        (words.duration(0.84), "0.8\u00a0s"),
        (words.duration(218), "3\u00a0min\u00a038"),
        (words.duration(11_520), "3\u00a0h\u00a012"),
        (words.counted(1, "person", "people"), "1 person"),
        (words.counted(0, "person", "people"), "0 people"),
        (words.ago(None, NOW), "never"),
        (words.ago(NOW - dt.timedelta(minutes=14), NOW), "14 min ago"),
        (words.ago(NOW - dt.timedelta(days=1, hours=2), NOW), "1 day ago"),
        (words.day(dt.date(2026, 11, 23), NOW.date()), "today"),
        (words.day(dt.date(2025, 10, 3), NOW.date()), "3 Oct 2025"),
    ],
)
def test_words(shown: str, expected: str) -> None:
    assert shown == expected


def test_short_id_leaves_the_time_out() -> None:
    one, other = UUID("01a209f9-98f4-75d5-a8d0-8b027efff58f"), UUID("01a209f9-98f4-75d5-a8d0-8b0212345678")
    assert words.short_id(one) == "p_7eff…8f"
    assert words.short_id(one) != words.short_id(other)


@pytest.mark.parametrize(
    ("kind", "value", "masked"),
    [
        ("email", "jane.doe@gmail.co.uk", "j•••@g•••.uk"),
        ("phone", "+33612345641", "+33 •• •• 41"),
        ("anonymous_id", "9c1a7b3e-aaaa-bbbb-cccc-1234567890e2", "9c1a7…e2"),
        ("device_id", "short", "sh•••"),
        ("user_id", "u_365", "u_365"),
        ("user_id", "jane@x.de", "ja•••"),
        ("email", "", ""),
    ],
)
def test_masks(kind: str, value: str, masked: str) -> None:
    assert value_mask(kind, value) == masked


@given(st.emails())
def test_a_masked_address_reaches_nobody(address: str) -> None:
    name, _, host = address.partition("@")
    masked = value_mask("email", address)
    assert len(name) == 1 or name not in masked.split("@")[0]
    assert host not in masked


def test_trait_mask() -> None:
    assert trait_mask("Anna") == "A•••"
    assert trait_mask("") == ""


@given(st.lists(st.integers(0, 10**9), max_size=60))
def test_sparklines_stay_inside_their_box(values: list[int]) -> None:
    spark = spark_draw(values, "")
    for pair in spark.points.split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= spark.width
        assert 0 <= y <= spark.height


@given(st.floats(0.01, 1e9), st.integers(2, 6))
def test_scales_cover_the_value_with_even_lines(value: float, steps: int) -> None:
    top, distance = nice_ceiling(value, steps)
    assert top >= value * (1 - 1e-9)
    assert abs(top / distance - round(top / distance)) < 1e-6
    assert round(top / distance) <= steps + 1


def test_bars_stand_on_the_base_and_carry_their_labels() -> None:
    chart = bars_draw(["0", "5"], [[0, 13_491]], [["0", "13,491"]], "sentence")
    assert [bar.label for bar in chart.bars] == ["0", "13,491"]
    assert chart.bars[0].height == 0
    assert all(round(bar.y + bar.height, 1) == round(chart.base, 1) for bar in chart.bars)
    assert chart.ticks[-1].label == "15,000"
    assert bars_draw([], [[]], [[]], "nothing").bars == ()


def test_larger_groups_get_larger_dots() -> None:
    small, large = dots_draw([1, 2], [1, 2], [10, 1_000], "").dots
    assert small.radius < large.radius
    assert dots_draw([0], [0], [0], "").dots[0].radius > 0


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=60)), max_size=30))
def test_identity_graph_has_room_for_ten_and_counts_the_rest(items: list[tuple[str, str]]) -> None:
    drawing = graph_draw(items, "")
    assert len(drawing.boxes) + drawing.more == len(items)
    assert all(0 <= box.y <= drawing.height - 56 for box in drawing.boxes)


def test_pages_of_a_long_table() -> None:
    assert page_of([3, 2, 1], 2, [3, 2, 1], is_first=True).older_no == 2
    assert page_of([3, 2], 2, [3, 2], is_first=True).older_no is None
    assert [number_or_none(text) for text in ("12", "", None, "-1", "1e3", "９")] == [12, None, None, None, None, None]


def test_a_figure_is_counted_once_until_it_is_old() -> None:
    remembered_forget()
    counts: list[int] = []

    def count() -> int:
        counts.append(1)
        return len(counts)

    assert remembered("x", 10, NOW, count).value == 1
    assert remembered("x", 10, NOW + dt.timedelta(seconds=9), count).value == 1
    assert remembered("x", 10, NOW + dt.timedelta(seconds=11), count).value == 2
    remembered_forget()


def test_scores_that_differ_look_different() -> None:
    assert [measure(value, "score") for value in (0.0890, 0.0894, 0.8384, 0.8312, None)] == [
        *("0.0890", "0.0894", "0.838", "0.831", "–"),
    ]
