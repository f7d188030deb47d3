"""Networks and ranges of addresses, which become hosts only where somebody said that they should, and how many."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from msgspec import structs

from scanner.counting import counted
from scanner.errors import Problem
from scanner.inventories.source import HTTPS_PORT, Contents, Row, located, problem

MOST_ADDRESSES: Final = 65_536
_RANGE: Final = re.compile(r"([0-9A-Fa-f.:]+)\s*-\s*([0-9A-Fa-f.:]+)")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def expanded(contents: Contents, *, agreed: int | None, how: str) -> Contents:
    """A source with every network and range as its addresses.

    Args:
        contents: what was read.
        agreed: how many hosts all of it is known to come to; None where networks are not to be expanded.
        how: says how it is agreed to, with `{count}` in the place of the number.

    Returns:
        The same without its networks, and a problem of each, where there is one although none is to be expanded; with
        one problem, where it comes to another number of hosts.
    """
    found = {index: count for index, row in enumerate(contents.rows) if (count := count_of(row.host)) is not None}
    if not found:
        return contents
    total = _total(contents.rows, found)
    possible = total <= MOST_ADDRESSES
    if agreed == total and possible:
        return structs.replace(contents, rows=list(_all(contents.rows, found)))
    most = "" if possible else f", and at most {MOST_ADDRESSES} can be taken"
    hint = how.format(count=total) if possible else "leave out what is not scanned"
    if agreed is None:
        problems = [_not_agreed(contents, index, count, most, hint) for index, count in found.items()]
    else:
        other = f", not to {agreed}" if agreed != total else ""
        message = f"comes to {counted(total, 'host')} with its networks{other}{most}"
        problems = [problem("", message, hint, contents.name)]
    rows = [row for index, row in enumerate(contents.rows) if index not in found]
    return structs.replace(contents, rows=rows, problems=[*contents.problems, *problems])


def _not_agreed(contents: Contents, index: int, count: int, most: str, hint: str) -> Problem:
    row = contents.rows[index]
    what = "network" if "/" in row.host else "range"
    message = f'"{row.host}" is a {what} of {counted(count, "host")}{most}'
    return problem("", message, hint, located(contents.name, row.line, row.part))


def count_of(text: str) -> int | None:
    """How many hosts a network or range of addresses comes to; None where the text is neither."""
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


def _total(rows: Sequence[Row], networks: Collection[int]) -> int:
    """How many hosts rows come to: what several networks, or a network and a row of its own, have is counted once."""
    spans: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for index in networks:
        if bounds := _bounds(rows[index].host):
            spans.setdefault(_beside(rows[index], bounds[0].version), []).append((int(bounds[0]), int(bounds[1])))
    merged = {key: _merged(those) for key, those in spans.items()}
    total = len(rows) - len(networks) + sum(last - first + 1 for those in merged.values() for first, last in those)
    named = {item for index, row in enumerate(rows) if index not in networks and (item := _named(row)) is not None}
    return total - sum(any(first <= at <= last for first, last in merged.get(key, ())) for key, at in named)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def _beside(row: Row, version: int) -> tuple[object, ...]:
    """What besides the address tells one host from another."""
    said = (str(row.values.get(key, "")) for key in ("role", "application", "environment"))
    return (version, str(row.values.get("port", HTTPS_PORT)), *said)


def _named(row: Row) -> tuple[tuple[object, ...], int] | None:
    try:
        address = ipaddress.ip_address(row.host)
    except ValueError:
        return None
    return _beside(row, address.version), int(address)


def _all(rows: Sequence[Row], networks: Collection[int]) -> Iterator[Row]:
    """All hosts in the order of their rows, each once: a row of its own says more of a host than its network does."""
    seen = {item for index, row in enumerate(rows) if index not in networks and (item := _named(row)) is not None}
    for index, row in enumerate(rows):
        bounds = _bounds(row.host) if index in networks else None
        if bounds is None:
            yield row
            continue
        kind, key = type(bounds[0]), _beside(row, bounds[0].version)
        for number in range(int(bounds[0]), int(bounds[1]) + 1):
            if (key, number) not in seen:
                seen.add((key, number))
                yield Row({**row.values, "host": str(kind(number))}, row.line, row.part)
