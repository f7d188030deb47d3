"""DataFrames on a terminal, or as data for other programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scanner.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

_BETWEEN = "  "
"""What is between two columns of a table, here and where Rich draws it."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LONGEST_ESCAPE = 10
"""Characters that stand for one: nothing is cut off what is for other programs."""


def show(frame: pd.DataFrame, format_name: str, *, nothing: str = "") -> None:
    """Print a frame: as a table for people, or as JSON records (ASCII alone) or CSV.

    `nothing` is what people are told instead of "Nothing yet." where it is empty.
    """
    if format_name == "json":
        click.echo(frame.to_json(orient="records", date_format="iso", indent=2))
    elif format_name == "csv":
        # A cell that a spreadsheet would take for a formula is led by an apostrophe, as OWASP advises.
        click.echo(frame.map(_safe).to_csv(index=False), nl=False)
    elif frame.empty:
        click.echo(nothing or "Nothing yet.", err=True)
    else:
        print_rows([str(name) for name in frame.columns], frame.itertuples(index=False))


def print_rows(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table for people."""
    cells = [[_text(value) for value in row] for row in rows]
    heads = [name.replace("_", " ") for name in names]
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    if sum(widths) + len(_BETWEEN) * (len(widths) - 1) <= console.width:
        # Rich takes seconds for a thousand rows, most of it to find that each is one line.
        click.secho(_line(heads, widths), bold=True)
        click.echo("\n".join(_line(row, widths) for row in cells))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    console.print(table)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _BETWEEN.join(set_cell_size(cell, width) for cell, width in zip(cells, widths, strict=True))


def _text(value: Any) -> str:
    if hasattr(value, "__len__") and not isinstance(value, str):
        return ", ".join(str(item) for item in value)
    if value is None or value != value:  # noqa: PLR0124  # NaN and NaT are the values that differ from themselves
        return ""
    if hasattr(value, "strftime"):
        return f"{value:%Y-%m-%d %H:%M}"
    if hasattr(value, "total_seconds"):
        days, seconds = divmod(int(value.total_seconds()), 86400)
        return f"{days} d {seconds // 3600} h"
    return f"{value:.1f}" if isinstance(value, float) else printable(str(value))


def _safe(value: Any) -> Any:
    if hasattr(value, "__len__") and not isinstance(value, str):
        value = "; ".join(str(item) for item in value)
    if isinstance(value, str):
        value = printable(value, len(value) * _LONGEST_ESCAPE)
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value
