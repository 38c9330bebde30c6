"""Pictures of a run: the heat map, the histogram of predicted value, tenths, calibration. All from its stored report."""

from dataclasses import dataclass
from typing import Any

from cdp.screen.charts import BarChart, DotChart, bars_draw, dots_draw
from cdp.screen.words import number
from segments.computed_traits.models import ModelRun


@dataclass(frozen=True, slots=True)
class HeatCell:
    r: int
    f: int
    name: str
    people: int
    amount_median: float | None
    level: int


@dataclass(frozen=True, slots=True)
class HeatRow:
    score: int
    span: str
    cells: tuple[HeatCell, ...]
    total: int


@dataclass(frozen=True, slots=True)
class HeatMap:
    run_no: int
    columns: tuple[tuple[int, str, int], ...]
    """(frequency score, its order days, people)."""
    rows: tuple[HeatRow, ...]
    names: tuple[tuple[str, int], ...]
    total: int


def heat_level(people: int, total: int) -> int:
    """0 to 5 on a fixed scale: shares of 0.5, 2, 4, 6.5 and 14 % of everybody, so that two pages can be compared."""
    share = people / total if total else 0.0
    return sum(share >= edge for edge in (0.005, 0.02, 0.04, 0.065, 0.14))


def heat_map(run: ModelRun) -> HeatMap | None:
    """Recency × frequency from the report of an RFM run; None when the run carries no cells."""
    cells = {(c["r"], c["f"]): c for c in run.report.get("cells", [])}
    if not cells:
        return None
    total = sum(c["people"] for c in cells.values())
    spans = run.report.get("score_ranges", {})

    def span(axis: str, score: int, unit: str) -> str:
        found = (spans.get(axis) or [None] * 5)[score - 1]
        if found is None:
            return "–"
        low, high = found
        if axis == "f" and score == 5:
            return f"{number(low)} + {unit}".strip()
        return (f"{number(low)} {unit}" if low == high else f"{number(low)}–{number(high)} {unit}").strip()

    def cell(r: int, f: int) -> HeatCell:
        found = cells[(r, f)]
        people = found["people"]
        return HeatCell(r, f, found["name"], people, found["amount_median"], heat_level(people, total))

    scores = range(1, 6)
    lines = tuple(
        HeatRow(
            r,
            span("r", r, "days" if r == 5 else ""),
            tuple(cell(r, f) for f in scores),
            sum(cells[(r, f)]["people"] for f in scores),
        )
        for r in (5, 4, 3, 2, 1)
    )
    columns = tuple(
        (f, span("f", f, "day" if f == 1 else "days"), sum(cells[(r, f)]["people"] for r in scores)) for f in scores
    )
    names = tuple((n["name"], n["people"]) for n in run.report.get("names", []) if n["people"])
    return HeatMap(run.run_no, columns, lines, names, total)


@dataclass(frozen=True, slots=True)
class ValuePicture:
    """Predicted value over 12 months: total, histogram, and how well the model did on held-out time."""

    run: ModelRun
    total: float
    median: float
    mean: float
    top_people: int
    top_share: float
    top_share_holds: float
    held_out_ratio: float | None
    beats_both: bool
    chart: BarChart
    table: tuple[tuple[str, int], ...]


def value_picture(run: ModelRun, *, wide: bool = False) -> ValuePicture | None:
    """From the report of an LTV run; None when it carries no values. ``wide`` is drawn for a card of the full width."""
    value = run.report.get("value")
    if not value:
        return None
    measures = {m["key"]: m for m in run.report.get("measures", [])}
    bins = value["histogram"]
    people = sum(b["people"] for b in bins)
    names = [number(b["from"]) for b in bins]
    counts = [b["people"] for b in bins]
    chart = bars_draw(
        names,
        [counts],
        [[number(c) for c in counts]],
        f"Histogram of predicted value of {number(people)} people, median {number(value['median'])}. The table says the same.",
        width=1_080 if wide else 460,
    )
    error = measures.get("amount_mae", {})
    return ValuePicture(
        run=run,
        total=value["total"],
        median=value["median"],
        mean=value["mean"],
        top_people=max(round(people * value["top_share"]), 1),
        top_share=value["top_share"],
        top_share_holds=value["top_share_holds"],
        held_out_ratio=measures.get("amount_total", {}).get("model"),
        beats_both=error.get("tone") == "ok",
        chart=chart,
        table=tuple(zip(names, counts, strict=True)),
    )


@dataclass(frozen=True, slots=True)
class TenthsPicture:
    """Mean predicted and actual per tenth of people, lowest prediction first."""

    chart: BarChart
    rows: tuple[tuple[int, int, float, float], ...]
    """(tenth, people, predicted, actual)."""
    top_share: float | None
    is_amount: bool


def tenths_picture(report: dict[str, Any], currency_symbol: str) -> TenthsPicture | None:
    """None when the report has no tenths. Amounts carry the currency on the axis, probabilities a percentage."""
    found = report.get("tenths")
    if not found or not found.get("rows"):
        return None
    rows = found["rows"]
    is_amount = found.get("of") == "amount"
    scale = 1.0 if is_amount or found.get("of") == "orders" else 100.0
    predicted, actual = [r["predicted"] * scale for r in rows], [r["actual"] * scale for r in rows]
    names = [str(i) for i in range(1, len(rows) + 1)]
    names[0], names[-1] = "1 low", f"{len(rows)} high"
    digits = 0 if max([*predicted, *actual], default=0) >= 10 else 1
    chart = bars_draw(
        names,
        [predicted, actual],
        [[number(v, digits) for v in predicted], [number(v, digits) for v in actual]],
        "Mean predicted and actual per tenth of people. The table below says the same.",
        width=740,
        height=330,
        prefix=currency_symbol if is_amount else "",
    )
    table = tuple((i, r["people"], r["predicted"], r["actual"]) for i, r in enumerate(rows, start=1))
    return TenthsPicture(chart, table, found.get("top_share"), is_amount)


def calibration_picture(report: dict[str, Any]) -> DotChart | None:
    """Predicted against actual by group; None when the report has none."""
    rows = report.get("calibration", {}).get("rows")
    if not rows:
        return None
    return dots_draw(
        [r["predicted"] for r in rows],
        [r["actual"] for r in rows],
        [r["people"] for r in rows],
        "Predicted against actual by group; on the dashed line both agree. The table below says the same.",
    )


type ParameterLine = tuple[str, object, object]
"""(name, in use, learned on the test's first half)."""
HIDDEN_PARAMETERS = frozenset({"tolerance", "next_id"})  # of the bookkeeping, not of the model


def parameter_tables(parameters: dict[str, Any]) -> list[tuple[str, list[ParameterLine]]]:
    """Per part of the model its numbers: (title, [(name, in use, learned on the test's first half)])."""
    test = parameters.get("test") or {}
    tables: list[tuple[str, list[ParameterLine]]] = []
    for part, values in parameters.items():
        if part == "test" or not isinstance(values, dict):
            continue
        compared: dict[str, Any] = found if isinstance(found := test.get(part), dict) else {}
        lines: list[ParameterLine] = [
            (name, value, compared.get(name))
            for name, value in flat(values)
            if isinstance(value, int | float) and name not in HIDDEN_PARAMETERS
        ]
        kind = str(values.get("kind", "")).replace("_", "-")
        if lines:
            tables.append((f"{part.capitalize()}{': ' + kind if kind else ''}", lines))
    loose: list[ParameterLine] = [
        (name, value, None)
        for name, value in parameters.items()
        if isinstance(value, int | float) and name not in HIDDEN_PARAMETERS
    ]
    return [*tables, ("Settings", loose)] if loose else tables


def flat(values: dict[str, Any]) -> list[tuple[str, object]]:
    """Names and numbers one level deep."""
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += [(f"{name} {inner}", number) for inner, number in value.items()]
        else:
            found.append((name, value))
    return found
