"""Geometry of the small drawings: sparkline, bars, calibration, identity graph. Templates turn it into SVG.

Every drawing carries a sentence that says what it shows; its table stands beside or below it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spark:
    """A line of at most some dozens of values in ``width`` × ``height``."""

    width: int
    height: int
    points: str
    under: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str
    series: int

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def above(self) -> float:
        return self.y - 4


@dataclass(frozen=True, slots=True)
class BarChart:
    width: int
    height: int
    left: int
    base: float
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    names: tuple[Tick, ...]
    sentence: str

    @property
    def names_y(self) -> float:
        return self.base + 17


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    radius: float


@dataclass(frozen=True, slots=True)
class DotChart:
    """Predicted against actual, with the line where both agree."""

    width: int
    height: int
    left: int
    right: int
    top: float
    base: float
    dots: tuple[Dot, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    sentence: str


def spark_draw(values: Sequence[float], sentence: str, width: int = 92, height: int = 24) -> Spark:
    """A sparkline; fewer than two values give a flat line."""
    shown = list(values) if len(values) > 1 else [*values, *values] or [0.0, 0.0]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    step = width / (len(shown) - 1)
    flat = high == low
    points = " ".join(
        f"{i * step:.1f},{height / 2 if flat else height - 3 - (v - low) / span * (height - 6):.1f}"
        for i, v in enumerate(shown)
    )
    return Spark(width, height, points, f"0,{height} {points} {width},{height}", sentence)


def nice_ceiling(value: float, steps: int) -> tuple[float, float]:
    """(top of the scale, distance of its lines): ``steps`` lines of 1, 2, 2.5 or 5 times a power of ten cover ``value``."""
    if value <= 0:
        return float(steps), 1.0
    rough = value / steps
    power = 10 ** math.floor(math.log10(rough))
    distance = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough - 1e-12)
    return distance * math.ceil(value / distance - 1e-9), distance


def _ticks(top: float, distance: float, base: float, height: float, prefix: str) -> tuple[Tick, ...]:
    count = round(top / distance)
    digits = 0 if distance >= 1 else 2
    return tuple(
        Tick(base - height * i / count, f"{prefix}{distance * i:,.{digits}f}" if i else f"{prefix}0")
        for i in range(count + 1)
    )


def bars_draw(
    names: Sequence[str],
    series: Sequence[Sequence[float]],
    labels: Sequence[Sequence[str]],
    sentence: str,
    *,
    width: int = 460,
    height: int = 282,
    prefix: str = "",
) -> BarChart:
    """One or two series of bars side by side. ``labels`` stand above the bars; ``prefix`` is the unit of the axis."""
    left, top_edge, base = 46, 16.0, height - 24.0
    top, distance = nice_ceiling(max((v for s in series for v in s), default=0.0), 3)
    room = (width - left) / max(len(names), 1)
    bar_width = room * (0.76 if len(series) == 1 else 0.36)
    bars: list[Bar] = []
    for place, values in enumerate(series):
        offset = (room - bar_width * len(series)) / 2 + bar_width * place
        for index, value in enumerate(values):
            tall = (base - top_edge) * value / top if top else 0.0
            bars.append(
                Bar(
                    x=round(left + room * index + offset, 1),
                    y=round(base - tall, 1),
                    width=round(bar_width - (2 if len(series) > 1 else 0), 1),
                    height=round(tall, 1),
                    label=labels[place][index],
                    series=place,
                )
            )
    centres = tuple(Tick(round(left + room * (i + 0.5), 1), name) for i, name in enumerate(names))
    return BarChart(
        width, height, left, base, tuple(bars), _ticks(top, distance, base, base - top_edge, prefix), centres, sentence
    )


def dots_draw(predicted: Sequence[float], actual: Sequence[float], people: Sequence[int], sentence: str) -> DotChart:
    """Calibration: one dot per group, its area by the number of people."""
    width, height, left, right, top_edge, base = 360, 238, 38, 346, 12.0, 204.0
    top, distance = nice_ceiling(max([*predicted, *actual], default=1.0), 5)
    most = max(people, default=1) or 1
    dots = tuple(
        Dot(
            round(left + (right - left) * p / top, 1),
            round(base - (base - top_edge) * a / top, 1),
            round(3.2 + 5.2 * math.sqrt(n / most), 1),
        )
        for p, a, n in zip(predicted, actual, people, strict=True)
    )
    y_ticks = _ticks(top, distance, base, base - top_edge, "")
    count = len(y_ticks) - 1
    x_ticks = tuple(Tick(left + (right - left) * i / count, tick.label) for i, tick in enumerate(y_ticks))
    return DotChart(width, height, left, right, top_edge, base, dots, x_ticks, y_ticks, sentence)
