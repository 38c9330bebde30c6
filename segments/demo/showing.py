"""Print the demo's sections: tables and colours on a terminal, plain lines elsewhere."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from segments.demo.closing import Section

PLAIN_WIDTH = 140


def console_open() -> Console:
    """A console for standard output; wide and without colour when nobody watches."""
    watched = Console()
    return watched if watched.is_terminal else Console(width=PLAIN_WIDTH, color_system=None, highlight=False)


def sections_show(console: Console, sections: Iterable[Section]) -> None:
    """Every section as a table with its numbers to the right."""
    for section in sections:
        table = Table(
            title=section.title,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            show_header=any(section.heads),
        )
        for position, head in enumerate(section.heads):
            table.add_column(head, justify="left" if position == 0 or head == "verdict" else "right")
        for row in section.rows:
            table.add_row(*row)
        console.print(table)
        if section.note:
            console.print(f"  {section.note}", style="dim", highlight=False)
