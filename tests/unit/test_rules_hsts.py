"""Strict-Transport-Security by RFC 6797 section 6.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.rules.https.hsts_header import LONGEST, Hsts, HstsError, parse_hsts

_TOKEN = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~", min_size=1, max_size=12
)
_KNOWN = {"max-age", "includesubdomains", "preload"}


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("max-age=31536000", Hsts(31536000)),
        ("max-age=15768000 ; includeSubDomains", Hsts(15768000, include_subdomains=True)),  # RFC 6797 section 6.2
        ('max-age="31536000"', Hsts(31536000)),
        ("max-age=0", Hsts(0)),
        ('max-age="0"; includeSubDomains', Hsts(0, include_subdomains=True)),
        ("MAX-AGE=5;INCLUDESUBDOMAINS;PRELOAD", Hsts(5, include_subdomains=True, preload=True)),
        (" ;; max-age = 5 ;\t", Hsts(5)),
        ('max-age=5; future="a;b"; other=1', Hsts(5)),
        ("max-age=5; preload=yes", Hsts(5)),
        ("max-age=" + "9" * 400, Hsts(10**18)),
        ("max-age=" + "9" * 18, Hsts(10**18 - 1)),
        ("max-age=" + "9" * 19, Hsts(10**18)),
        ("max-age=" + "0" * 400 + "7", Hsts(7)),
    ],
)
def test_valid(value: str, parsed: Hsts) -> None:
    assert parse_hsts(value) == parsed


@pytest.mark.parametrize(
    "value",
    ["", "includeSubDomains", "max-age", "max-age=", "max-age=abc", "max-age=-1", "max-age=1.5", "max-age=٣",
     "max-age=1; max-age=1", "max-age=1; includeSubDomains; INCLUDESUBDOMAINS", "max-age=1; x; x",
     "max-age=1 includeSubDomains", "max-age=1, includeSubDomains", 'max-age="1', "max-age=1; includeSubDomains=1",
     "max-age=1;\r\ninjected", "max-age=1; " + "a" * LONGEST],
)  # fmt: skip
def test_what_browsers_ignore(value: str) -> None:
    with pytest.raises(HstsError):
        parse_hsts(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("max-age=1 includeSubDomains", 11),
        ("max-age=1, x", 10),
        ("=", 1),
        ("max-age@1", 8),
        ("max-age=,", 9),
        ("max-age= ?", 10),
    ],
)
def test_where_it_is_malformed_is_said(value: str, number: int) -> None:
    with pytest.raises(HstsError, match=f"malformed at character {number}$"):
        parse_hsts(value)


@given(st.text(max_size=200))
def test_any_text_gives_a_policy_or_the_one_error(value: str) -> None:
    try:
        parsed = parse_hsts(value)
    except HstsError:
        return
    assert parsed.max_age >= 0
    assert "max-age" in value.lower()


@given(
    seconds=st.integers(0, 10**12),
    subdomains=st.booleans(),
    quoted=st.booleans(),
    extra=st.lists(st.tuples(_TOKEN, st.none() | _TOKEN), max_size=4, unique_by=lambda item: item[0].lower()),
    spaces=st.lists(st.sampled_from(["", " ", "\t", "  "]), min_size=12, max_size=12),
    order=st.randoms(use_true_random=False),
)
def test_whatever_a_correct_server_writes_is_read_back(  # noqa: PLR0913, PLR0917  # each is a freedom of the grammar
    seconds: int,
    subdomains: bool,  # noqa: FBT001  # the strategies give it by name
    quoted: bool,  # noqa: FBT001  # the same
    extra: list[tuple[str, str | None]],
    spaces: list[str],
    order: object,
) -> None:
    directives = [("Max-Age", f'"{seconds}"' if quoted else str(seconds))]
    directives += [("includeSubDomains", None)] if subdomains else []
    directives += [(name, value) for name, value in extra if name.lower() not in _KNOWN]
    order.shuffle(directives)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    blank = iter(spaces)
    text = ";".join(
        f"{next(blank)}{name}{next(blank)}" + ("" if value is None else f"={value}") for name, value in directives
    )
    assert parse_hsts(text) == Hsts(seconds, subdomains, preload=False)
