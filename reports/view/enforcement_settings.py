"""The settings that decide how HTTPS is required, said to people who do not have the configuration before them."""

from __future__ import annotations

import functools
import re
from typing import Final

from reports.language import gettext, mark
from reports.wording import ROLES
from scanner.inventory import Role

_SETTINGS: Final = (
    (r"\[\[environment\]\] (?P<name>.*): hsts = true", mark("environment %(name)s: HSTS for every page")),
    (
        r"\[\[environment\]\] (?P<name>.*): force_https_screens = true",
        mark("environment %(name)s: HTTPS for all screens"),
    ),
    (
        r"\[\[environment\]\] (?P<name>.*): force_https_integrations = true",
        mark("environment %(name)s: HTTPS for all integrations"),
    ),
    (r"\[\[environment\]\] (?P<name>.*): default_domain = .*", mark("environment %(name)s: its default domain")),
    (r"\[\[environment\]\] (?P<name>.*): custom_domain = .*", mark("environment %(name)s: its own domain")),
    (r'\[\[environment\.endpoint\]\] .*: role = "(?P<role>[a-z]+)"(?: at .*)?', mark("role of the endpoint: %(role)s")),
    (
        r'\[\[environment\.application\]\] (?P<name>.*): kind = "(?P<kind>[a-z-]+)"',
        mark("application %(name)s: always HTTPS, as %(kind)s"),
    ),
    (
        r"\[\[environment\.application\]\] (?P<name>.*): force_https_screens = true",
        mark("application %(name)s: HTTPS for all its screens"),
    ),
    (
        r"\[\[environment\.application\]\] (?P<name>.*): force_https_integrations = true",
        mark("application %(name)s: HTTPS for all its integrations"),
    ),
    (r"\[\[environment\.application\]\] (?P<name>.*): paths .*: https = .*", mark("application %(name)s: this path")),
    (
        r"\[\[environment\.application\]\] (?P<name>.*): integrations .*: https = .*",
        mark("application %(name)s: this integration"),
    ),
    (
        r"\[\[environment\.application\]\] (?P<name>.*): https = .*",
        mark("application %(name)s: its own setting"),
    ),
)
"""Each line of `scanner.requirements` that can decide, and what it says in words; a test holds the two together."""
_VALUE: Final = re.compile(r"%\((\w+)\)s")


def setting_in_words(line: str) -> str:
    """What a deciding setting sets, in the words of the report's language.

    Args:
        line: the setting in English words, as rules say it, or the line of the configuration, as they did before.

    Returns:
        The line as it is where it is none that is known.
    """
    for pattern, words in _SETTINGS:
        if found := re.fullmatch(pattern, line):
            values = found.groupdict()
            if role := values.get("role"):
                values["role"] = ROLES[Role(role)]
            return gettext(words) % values
        if found := _pattern(words).fullmatch(line):
            values = found.groupdict()
            if role := values.get("role"):
                values["role"] = gettext(role)
            return gettext(words) % values
    return line


@functools.cache
def _pattern(words: str) -> re.Pattern[str]:
    """What was said by words, with what was filled into them."""
    parts = _VALUE.split(words)
    return re.compile("".join(f"(?P<{part}>.*)" if index % 2 else re.escape(part) for index, part in enumerate(parts)))
