"""The forms of sources that can be read: one table, by name and by what files are called."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from scanner.inventories.source import Contents, Options, refused

Reader = Callable[[str, bytes, Options], Contents]


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """A form of sources: what people call it, the suffixes of its files, and what reads it (`module:function`)."""

    name: str
    title: str
    reader: str
    suffixes: tuple[str, ...] = ()

    def load(self) -> Reader:
        """Import what reads it; each parser loads when it is needed."""
        module, _, function = self.reader.partition(":")
        found: Reader = getattr(importlib.import_module(f"scanner.inventories.{module}"), function)
        return found


SOURCES: Final[Mapping[str, SourceFormat]] = {
    item.name: item
    for item in (
        SourceFormat("csv", "CSV", "tabular:read_csv", ("csv", "tsv")),
        SourceFormat("xlsx", "Excel workbook", "workbook:read_xlsx", ("xlsx", "xlsm")),
        SourceFormat("list", "plain list", "tabular:read_list", ("txt", "lst", "list")),
        SourceFormat("nmap", "nmap XML", "scanners:read_nmap", ("xml",)),
        SourceFormat(
            "port-lines", "JSON lines of masscan, naabu, tlsx", "scanners:read_port_lines", ("jsonl", "ndjson")
        ),
        SourceFormat("zone", "DNS zone file", "zone:read_zone", ("zone", "db")),
        SourceFormat("kubernetes", "Kubernetes manifests", "manifests:read_kubernetes"),
        SourceFormat("terraform", "Terraform state", "terraform:read_terraform", ("tfstate",)),
        SourceFormat("certificates", "certificates", "certificates:read_certificates", ("pem", "crt", "cer", "der")),
        SourceFormat("crt.sh", "search in certificate transparency logs", "scanners:read_crt_sh"),
        SourceFormat("prometheus", "Prometheus targets (file_sd)", "manifests:read_prometheus"),
        SourceFormat("sslyze", "sslyze JSON", "scanners:read_sslyze"),
        SourceFormat("testssl", "testssl.sh JSON", "scanners:read_testssl"),
    )
}
"""Every form by its name."""


def read(name: str, data: bytes, options: Options, form: str | None = None) -> Contents:
    """Read a source.

    Args:
        name: of the file, for messages, and to tell its form by.
        data: its bytes.
        options: how it is read.
        form: its form, where it is not to be told by name and contents.

    Raises:
        ConfigError: its form cannot be told, or it is not of it.
    """
    chosen = form or form_of(name, data)
    if chosen is None:
        raise refused(name, "is of no known format", hint=f"name it with format: {', '.join(SOURCES)}")
    return SOURCES[chosen].load()(name, data, options)


def form_of(name: str, data: bytes) -> str | None:
    """The form of a file by its suffix, or by its beginning where several have the same; None where nothing tells."""
    suffix = PurePath(name).suffix[1:].lower()
    found = next((item.name for item in SOURCES.values() if suffix in item.suffixes), None)
    if found is None and PurePath(name).name.startswith("db."):
        return "zone"
    return found or (_by_beginning(data[:_BEGINNING]) if suffix in {"json", "yaml", "yml"} else None)


_BEGINNING: Final = 1 << 20
_SIGNS: Final = (
    ("terraform", rb'"terraform_version"\s*:'),
    ("sslyze", rb'"server_scan_results"\s*:'),
    ("testssl", rb'"scanResult"\s*:|"finding"\s*:'),
    ("crt.sh", rb'"name_value"\s*:'),
    ("kubernetes", rb'(?m)^\s*"?apiVersion"?\s*:|^\{"apiVersion"'),
    ("prometheus", rb'(?m)"targets"\s*:|^\s*(?:- )?targets\s*:'),
    ("port-lines", rb'"(?:ip|host)"\s*:[^\n]*"ports?"\s*:|"ports?"\s*:[^\n]*"(?:ip|host)"\s*:'),
)
"""What each form says and no other."""


def _by_beginning(data: bytes) -> str | None:
    return next((form for form, sign in _SIGNS if re.search(sign, data)), None)
