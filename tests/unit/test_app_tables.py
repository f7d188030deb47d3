"""Tables for people: the quick way for what fits gives the same lines as Rich, which draws what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from scanner.app import tables

words = st.text(st.sampled_from("ab1é漢-:. "), max_size=12).map(str.strip)


def by_rich(names: list[str], rows: list[list[str]]) -> str:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(highlight=False, width=200)
    with console.capture() as said:
        console.print(table)
    return said.get()


@given(rows=st.lists(st.tuples(words, words, words).map(list), min_size=1, max_size=6))
def test_what_fits_is_as_rich_draws_it(rows: list[list[str]]) -> None:
    names = ["run id", "host", "not met"]
    with pytest.MonkeyPatch.context() as patch:
        told: list[str] = []
        patch.setattr(tables.click, "echo", told.append)
        patch.setattr(tables.click, "secho", lambda text, **_: told.append(text))
        patch.setattr(tables.Console, "print", None)
        tables.print_rows(names, rows)
    assert "\n".join(told) + "\n" == by_rich(names, rows)


def test_what_does_not_fit_is_folded_and_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_rows(["before", "after"], [["then " * 30, "word " * 30], ["short", "short"]])
    said = capsys.readouterr().out
    assert (said.count("then"), said.count("word")) == (30, 30)
    assert max(map(len, said.splitlines())) <= 200
