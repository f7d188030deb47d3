"""Characters that no font has are told by their code points, on paper, where the claim would be false otherwise."""

from __future__ import annotations

import pytest

from reports.glyphs import drawable
from reports.templating import templates_folder

TEMPLATES = templates_folder()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bank \U0001f512 Ltd", "Bank [U+1F512] Ltd"),
        ("a\U0001f469\u200d\U0001f4bbb", "a[U+1F469][U+1F4BB]b"),
        ("\u2764\ufe0f", "[U+2764]"),
        ("Müller & Søn", "Müller & Søn"),
        ("✓ Ω → ĉ", "✓ Ω → ĉ"),
    ],
)
def test_what_no_font_has_is_written_as_its_code_point(text: str, expected: str) -> None:
    """As on a machine whose only fonts are those of the reports and one with a check mark."""
    assert drawable(f"<p>{text}</p>", [TEMPLATES], lambda one: one in "✓ΩĉΩ→") == f"<p>{expected}</p>"


def test_the_fonts_of_the_machine_are_asked() -> None:
    """DejaVu, which the reports need, has Cyrillic and chess; no font has what Unicode never assigned."""
    assert drawable("Ж ♞", [TEMPLATES]) == "Ж ♞"
    assert drawable("\U000e0fff\u0378", [TEMPLATES]) == "[U+E0FFF][U+0378]"
