"""What the lab tells whoever started it: one line of JSON, written by the lab and read by its client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, to_builtins

if TYPE_CHECKING:
    from collections.abc import Mapping


class LabServer(Struct, frozen=True, kw_only=True):
    """One server of the lab, as a scanner sees it and as its tests expect it.

    `port` and `http_port` are nominal, as a configuration names them; `actual_port` and `actual_http_port` are where
    the server listens at `address`. `expected` maps rule ids to "pass", "fail", "not-applicable" or "indeterminate".
    """

    name: str
    host: str
    port: int
    http_port: int | None
    address: str
    actual_port: int
    actual_http_port: int | None
    starttls: str | None
    description: str
    expected: Mapping[str, str]
    status: Literal["assessed", "partial", "unreachable"]


class Manifest(Struct, frozen=True, kw_only=True):
    """Everything that the lab serves. File names are those on the lab's machine; `skipped` says why, by case name."""

    ca_file: str
    ct_logs_file: str
    client_certificate_file: str
    client_key_file: str
    servers: tuple[LabServer, ...]
    connect_to: Mapping[str, list[str]]
    skipped: Mapping[str, str]

    def to_json(self) -> str:
        """Write the manifest as one line."""
        return json.dumps(to_builtins(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Manifest:
        """Read the line back; raises `ValueError`, `KeyError` or `TypeError` where it is not a manifest."""
        data = json.loads(line)
        return cls(**{**data, "servers": tuple(LabServer(**server) for server in data["servers"])})
