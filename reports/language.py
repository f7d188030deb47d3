"""The language of a report: its words by gettext, its dates, numbers and lists by Babel.

English is what stands in the code and the templates. Every other language is a catalogue, `locales/<language>/
LC_MESSAGES/nightseal.po`, read as it is: there is no compiled file that could be forgotten or be out of date.
`python -m reports.catalogue` gathers the messages.

A report speaks one language from its first sentence to its last, so the language is set once, around all that makes the
report (`speaking`); what is said outside of that is English, as are the terminal and the machine formats.
"""

from __future__ import annotations

import contextlib
import functools
import gettext as _gettext
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from babel import Locale
from babel.dates import format_date, format_skeleton
from babel.lists import format_list
from babel.numbers import format_decimal, format_percent
from msgspec import Struct

from scanner.errors import UsageError, nearest
from scanner.formats import load

_Key = TypeVar("_Key")

LOCALES: Final = Path(__file__).parent / "locales"
CATALOGUE: Final = "LC_MESSAGES/nightseal.po"
SOURCE_LANGUAGE: Final = "en"
_SOURCE_LOCALE: Final = "en_GB"
"""How English reports write dates and numbers: day before month, as everywhere but in one country."""


class UnknownLanguageError(UsageError):
    """There is no catalogue for a language. `known` are those that there are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.known = tuple(known)
        self.hint = nearest(name, known) or f"known are {', '.join(known)}"
        self.problem = f'no report can be written in "{name}"'
        super().__init__(f"{self.problem} ({self.hint})")


class Language(Struct, frozen=True):
    """A language that reports can be written in.

    `tag` is what HTML and PDF call it (BCP 47); `territory` is what dates and numbers are written by (CLDR).
    """

    tag: str
    territory: str
    translations: _gettext.NullTranslations

    @property
    def locale(self) -> Locale:
        """What Babel knows of it."""
        return Locale.parse(self.territory)

    @property
    def is_source(self) -> bool:
        """Whether it is the language that everything is first written in."""
        return self.tag == SOURCE_LANGUAGE


ENGLISH: Final = Language(SOURCE_LANGUAGE, _SOURCE_LOCALE, _gettext.NullTranslations())
_CURRENT: Final[ContextVar[Language]] = ContextVar("language", default=ENGLISH)


def known_languages() -> tuple[str, ...]:
    """The languages that reports can be written in: `en`, and one for each catalogue."""
    found = sorted(path.parent.parent.name for path in LOCALES.glob(f"*/{CATALOGUE}"))
    return (SOURCE_LANGUAGE, *found)


def language_of(name: str) -> Language:
    """The language of a name such as `pt` or `pt-PT`; a variant without a catalogue, `pt-BR`, falls back to `pt`.

    Raises:
        UnknownLanguageError: there is no catalogue for it; names the nearest that there is.
    """
    known = known_languages()
    by_key = {item.casefold(): item for item in known}
    wanted = name.strip().replace("-", "_").casefold()
    found = by_key.get(wanted) or by_key.get(wanted.partition("_")[0])
    if found is None:
        raise UnknownLanguageError(name, known)
    return ENGLISH if found == SOURCE_LANGUAGE else _read(LOCALES / found / CATALOGUE)


@functools.cache
def _read(path: Path) -> Language:
    territory, translations = load("reports.translations:read")(path)
    return Language(territory.replace("_", "-"), territory, translations)


@contextlib.contextmanager
def speaking(language: Language) -> Iterator[Language]:
    """Everything said inside is said in this language."""
    token = _CURRENT.set(language)
    try:
        yield language
    finally:
        _CURRENT.reset(token)


def current() -> Language:
    """The language that is spoken now."""
    return _CURRENT.get()


def gettext(message: str) -> str:
    """The message in the language that is spoken; as it is where the catalogue lacks it."""
    return current().translations.gettext(message) if message else ""


def ngettext(one: str, many: str, number: int) -> str:
    """The form of a message that fits a number."""
    return current().translations.ngettext(one, many, number)


def pgettext(context: str, message: str) -> str:
    """The message in one of several senses, which the context tells apart."""
    return current().translations.pgettext(context, message)


def mark(message: str) -> str:
    """Tell that a text belongs into the catalogue where it cannot be translated yet: it stays as it is."""
    return message


def mark_plural(one: str, many: str) -> tuple[str, str]:
    """The same for a message with a number, in its two English forms."""
    return one, many


class Words(Mapping[_Key, str]):
    """Words for slugs, in the language that is spoken when they are looked up."""

    def __init__(self, words: Mapping[_Key, str]) -> None:
        self._words = dict(words)

    def __getitem__(self, key: _Key) -> str:
        return gettext(self._words[key])

    def __iter__(self) -> Iterator[_Key]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


class English(str):
    """A text that is English whatever the language of the report: a rule wrote it, and the history keeps it so."""

    __slots__ = ()


def told(message: str) -> str:
    """A text of ours that came by data: in the language that is spoken, or marked as English where it is not known."""
    found = gettext(message)
    return English(message) if found == message and not current().is_source else found


def number(value: int) -> str:
    """`1,234`."""
    if current().is_source and abs(value) < 1000:  # noqa: PLR2004  # nothing to group, and most numbers are such
        return str(value)
    return format_decimal(value, locale=current().locale)


def percent(value: float) -> str:
    """A share between 0 and 1 as `87%`: never rounded up to all, nor down to nothing."""
    shown = value
    if 0 < value < 1:
        shown = min(max(value, 0.01), 0.99)
    return format_percent(shown, locale=current().locale)


def day(value: date) -> str:
    """`24 November 2026`."""
    return format_date(value, "long", locale=current().locale)


def short_day(value: date) -> str:
    """A day as tables show it, all of one width: `2026-11-24`."""
    pattern = pgettext("how a table writes a day, as a CLDR pattern", "yyyy-MM-dd")
    return format_date(value, pattern, locale=current().locale)


def moment(value: datetime) -> str:
    """`24 November 2026, 07:05 UTC`."""
    at = value.astimezone(UTC)
    return f"{day(at)}, {at:%H:%M} UTC"


def month(value: date) -> str:
    """`November 2026`."""
    return format_skeleton("yMMMM", value, locale=current().locale)


def duration(value: timedelta) -> str:
    """`4.2 s`, `3 min 12 s`, `2 h 5 min`: the signs of the units are the same in every language."""
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{format_decimal(seconds, '#,##0.0', locale=current().locale)} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def listed(names: Sequence[str], limit: int = 3) -> str:
    """`a, b and c`; what is over the limit is counted: `a, b, c and 9 more`."""
    if len(names) > limit + 1:
        shown = ", ".join(names[:limit])
        return gettext("%(names)s and %(number)s more") % {"names": shown, "number": number(len(names) - limit)}
    return format_list(list(names), locale=current().locale) if names else ""


def chart_time() -> dict[str, Any]:
    """How axes write times, in the words that d3 asks for."""
    locale = current().locale
    days, months = locale.days["stand-alone"], locale.months["stand-alone"]
    week = [6, 0, 1, 2, 3, 4, 5]
    return {
        "dateTime": "%a %e %b %Y %X",
        "date": "%d/%m/%Y",
        "time": "%H:%M:%S",
        "periods": ["AM", "PM"],
        "days": [days["wide"][index] for index in week],
        "shortDays": [days["abbreviated"][index] for index in week],
        "months": [months["wide"][index] for index in range(1, 13)],
        "shortMonths": [locale.months["format"]["abbreviated"][index].rstrip(".") for index in range(1, 13)],
    }


FORMATS: Final[Mapping[str, Callable[..., str]]] = {
    "day": day,
    "short_day": short_day,
    "moment": moment,
    "month": month,
    "duration": duration,
    "number": number,
    "percent": percent,
    "listed": listed,
    "told": told,
}
"""The forms that templates ask for, by the names of their filters."""


def separator_of(language: str) -> str:
    """What stands between the cells of a table where spreadsheets speak the language: no comma that numbers have."""
    symbols = Locale.parse(language.replace("-", "_")).number_symbols["latn"]
    return ";" if symbols["decimal"] == "," else ","
