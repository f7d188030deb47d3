"""The picture of when certificates end: what it shows, and that it says what it leaves out."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from msgspec import structs

from reports.charts.run import CERTIFICATES_DRAWN, certificates_chart
from reports.render import render_html
from reports.view import ReportView
from tests.build.records import sample_record
from tests.build.views import view_of


def ending_in(*days: int) -> ReportView:
    """The sample with as many certificates, each with its days left."""
    view = view_of(sample_record())
    first = view.certificates[0]
    made = (
        structs.replace(
            first,
            fingerprint=f"{number:064x}",
            anchor=f"certificate-{number}",
            name=f"c{number}.example.com",
            days_left=left,
            not_after=first.not_after + timedelta(left - first.days_left),
        )
        for number, left in enumerate(days)
    )
    return structs.replace(view, certificates=tuple(made))


def test_one_certificate_of_ten_years_alone_draws_no_axis_of_ten_years() -> None:
    view = ending_in(3_650)

    assert certificates_chart(view) is None
    page = render_html(view)
    chapter = page[page.index('id="certificates"') :]
    assert "Certificates of servers: 1." in chapter
    assert "c0.example.com" in chapter, "the table has it"


def test_one_of_ten_years_beside_one_that_ends_leaves_the_axis_as_it_is() -> None:
    alone, beside = certificates_chart(ending_in(12)), certificates_chart(ending_in(12, 3_650))

    assert alone is not None
    assert beside is not None
    assert alone.screen == beside.screen


@pytest.mark.parametrize("more", [0, 1, 3])
def test_the_picture_says_how_many_it_leaves_out(more: int) -> None:
    page = render_html(ending_in(*range(10, 10 + CERTIFICATES_DRAWN + more)))
    said = re.findall(r"The picture leaves out (\d+) certificates? with later ends\.", page)

    assert said == ([str(more)] if more else [])
