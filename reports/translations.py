"""A catalogue of translations, read as it is; loaded where a report is not in English (`reports.language`)."""

from __future__ import annotations

import gettext
import io
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po


def read(path: Path) -> tuple[str, gettext.GNUTranslations]:
    """The territory that a catalogue is for, and its translations."""
    with path.open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return str(catalogue.locale_identifier), gettext.GNUTranslations(compiled)
