"""Hostile text is harmless once it has entered the evidence."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.untrusted import TEXT_LIMIT, printable, unturned, unturned_utf8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\r\nb\tc", r"a\x0d\x0ab\x09c"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", r"\u2028"),
        ("\U000e0041", r"\U000e0041"),
        (b"\xff\x00ok", r"\xff\x00ok"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_examples(text: str | bytes, expected: str) -> None:
    assert printable(text) == expected


ACTING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""The categories of what acts in a terminal or a page. A text at random seldom has one."""


def test_no_character_that_acts_gets_through() -> None:
    acting = [character for character in map(chr, range(0x110000)) if unicodedata.category(character) in ACTING]

    assert len(acting) > 2000
    assert [character for character in acting if character in printable(f"a{character}b")] == []


@given(
    st.text(st.characters() | st.one_of(*(st.characters(categories=[name]) for name in sorted(ACTING)))) | st.binary(),
    st.integers(min_value=1, max_value=400),
)
def test_nothing_unprintable_and_never_longer_than_allowed(text: str | bytes, limit: int) -> None:
    result = printable(text, limit)

    assert len(result) <= limit
    assert not [character for character in result if unicodedata.category(character) in ACTING]
    result.encode()


def test_megabytes_take_no_time() -> None:
    assert len(printable("\x1b" * 50_000_000)) == TEXT_LIMIT


def test_text_and_its_utf8_are_unturned_alike() -> None:
    characters = [chr(code) for code in range(0x3000)]
    turning = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}

    assert {character for character in characters if unturned(character) != character} == turning
    for character in characters:
        assert unturned_utf8(f"é{character}é".encode()) == unturned(f"é{character}é").encode()
    assert unturned("a\u202eb") == "a\\u202eb"
