"""Hosts listed elsewhere than in config.toml: spreadsheets, zones, manifests, what other scanners saw.

A source is read into rows, each with the keys of an endpoint or application and the line that it comes from. Nothing of
it is scanned, or believed to be a host, before the configuration's own form has checked it. All readers are bounded: a
source is at most `MOST_BYTES` large and gives at most `MOST_ROWS` rows.
"""

from __future__ import annotations

from scanner.inventories.networks import count_of, expanded
from scanner.inventories.source import (
    HTTPS_PORT,
    MOST_BYTES,
    MOST_ROWS,
    MOST_TOLD,
    Contents,
    Options,
    Row,
    read_bytes,
    told_of,
)
from scanner.inventories.table import SOURCES, read

__all__ = [
    "HTTPS_PORT",
    "MOST_BYTES",
    "MOST_ROWS",
    "MOST_TOLD",
    "SOURCES",
    "Contents",
    "Options",
    "Row",
    "count_of",
    "expanded",
    "read",
    "read_bytes",
    "told_of",
]
