"""A person in the middle, identifiers at both sides: geometry for one small drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

ROW = 70
SIDES = 5


@dataclass(frozen=True, slots=True)
class GraphBox:
    x: int
    y: int
    title: str
    note: str
    path: str

    @property
    def text_x(self) -> int:
        return self.x + 14

    @property
    def title_y(self) -> int:
        return self.y + 24

    @property
    def note_y(self) -> int:
        return self.y + 43


@dataclass(frozen=True, slots=True)
class Graph:
    height: int
    hub_y: int
    boxes: tuple[GraphBox, ...]
    more: int
    """Identifiers that found no room."""
    sentence: str

    @property
    def hub_title_y(self) -> int:
        return self.hub_y + 31

    @property
    def hub_note_y(self) -> int:
        return self.hub_y + 51


def fitted(text: str, most: int) -> str:
    """The text, or its beginning when it would leave the box."""
    return text if len(text) <= most else text[: most - 1].rstrip(" ,") + "…"


def graph_draw(items: Sequence[tuple[str, str]], sentence: str) -> Graph:
    """(title, note) of each identifier, strongest first: the first half stands left, the rest right."""
    shown = items[: SIDES * 2]
    left_count = (len(shown) + 1) // 2
    most = max(left_count, len(shown) - left_count, 1)
    height = most * ROW + 2
    middle = height // 2
    boxes = []
    for index, (title, note) in enumerate(shown):
        is_left = index < left_count
        place, count = (index, left_count) if is_left else (index - left_count, len(shown) - left_count)
        y = middle - count * ROW // 2 + place * ROW + 7
        centre = y + 28
        path = (
            f"M181 {centre} C197 {centre} 197 {middle} 214 {middle}"
            if is_left
            else f"M461 {centre} C445 {centre} 445 {middle} 428 {middle}"
        )
        boxes.append(GraphBox(1 if is_left else 461, y, fitted(title, 22), fitted(note, 25), path))
    return Graph(height, middle - 35, tuple(boxes), len(items) - len(shown), sentence)
