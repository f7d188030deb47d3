"""Networks and ranges of addresses, which become hosts only where somebody said that they should, and how many."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Final

from scanner.counting import counted
from scanner.inventories.source import Contents, Row, located, problem, raise_all

MOST_ADDRESSES: Final = 65_536
_RANGE: Final = re.compile(r"([0-9A-Fa-f.:]+)\s*-\s*([0-9A-Fa-f.:]+)")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def expanded(contents: Contents, *, agreed: int | None, how: str) -> Contents:
    """A source with every network and range as its addresses.

    Args:
        contents: what was read.
        agreed: how many hosts all of it is known to come to; None where networks are not to be expanded.
        how: says how it is agreed to, with `{count}` in the place of the number.

    Raises:
        ConfigError: it has a network although none is to be expanded, or comes to another number of hosts.
    """
    found = {index: counts for index, row in enumerate(contents.rows) if (counts := _counted(row.host)) is not None}
    if not found:
        return contents
    total = len(contents.rows) - len(found) + sum(found.values())
    if agreed is not None and total == agreed and total <= MOST_ADDRESSES:
        rows = [item for row in contents.rows for item in _each(row)]
        return Contents(contents.name, rows, contents.left_out)
    if agreed is None:
        hint = how.format(count=total)
        problems = [
            problem("", f'"{contents.rows[index].host}" is {counted(count, "address", "addresses")}, not a host', hint,
                    located(contents.name, contents.rows[index].line))
            for index, count in found.items()
        ]  # fmt: skip
    else:
        most = f", and at most {MOST_ADDRESSES} can be" if total > MOST_ADDRESSES else ""
        message = f"comes to {counted(total, 'host')} with its networks, not to {agreed}{most}"
        problems = [problem("", message, how.format(count=total) if not most else None, contents.name)]
    raise_all(contents.name, problems)
    return contents


def _counted(text: str) -> int | None:
    """How many addresses a network or range has; None where the text is neither."""
    bounds = _bounds(text)
    return None if bounds is None else int(bounds[1]) - int(bounds[0]) + 1


def _bounds(text: str) -> tuple[Address, Address] | None:
    try:
        if "/" in text:
            network = ipaddress.ip_network(text, strict=False)
            # The first and the last of an IPv4 network are nobody's (RFC 1122 section 3.2.1.3), but of two or one.
            inner = network.version == 4 and network.num_addresses > 2  # noqa: PLR2004  # see above
            return network[1 if inner else 0], network[-2 if inner else -1]
        found = _RANGE.fullmatch(text)
        if found is None:
            return None
        first, last = ipaddress.ip_address(found[1]), ipaddress.ip_address(_whole(found[1], found[2]))
    except ValueError:
        return None
    return (first, last) if first.version == last.version and int(first) <= int(last) else None


def _whole(first: str, last: str) -> str:
    """The end of a range: 10.0.0.1-9 is 10.0.0.1-10.0.0.9."""
    return f"{first.rpartition('.')[0]}.{last}" if last.isdecimal() and "." in first else last


def _each(row: Row) -> Iterator[Row] | Sequence[Row]:
    bounds = _bounds(row.host)
    if bounds is None:
        return [row]
    kind = type(bounds[0])
    numbers = range(int(bounds[0]), int(bounds[1]) + 1)
    return (Row({**row.values, "host": str(kind(number))}, row.line) for number in numbers)
