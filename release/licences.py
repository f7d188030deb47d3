"""The licences of what an installation holds: listed, and each of them compatible with Nightseal's own.

    python -m release.licences    checks, and writes docs/licences.md

A licence is what the package's metadata says. Where that says nothing, or names several without saying how they stand
to each other, somebody read the package and wrote it down here.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing
from packaging.markers import Marker

from release.steps import REPOSITORY

PAGE = REPOSITORY / "docs" / "licences.md"

# What may stand in one program with AGPL-3.0-or-later: permissive licences, those that the FSF lists as compatible with
# GPL-3.0, and GNU licences that allow a later version.
COMPATIBLE = {
    "0BSD", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "GPL-2.0-or-later", "GPL-3.0-or-later", "HPND", "ISC", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only",
    "LGPL-3.0-or-later", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "OFL-1.1", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip

# Metadata from before licence expressions: classifiers and free words.
SPOKEN = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

# Read in the package itself: the metadata says less, or something else.
READ = {
    "pyphen": (
        "GPL-2.0-or-later OR LGPL-2.1-or-later OR MPL-1.1",
        "its LICENSE file: one of the three, as the user chooses",
    ),
    "tls-parser": ("MIT", "its LICENSE file; the metadata names none"),
    "tlslite-ng": ("LGPL-2.1-only", "its LICENSE file; parts are in the public domain"),
}

BUNDLED = """\
| part | licence | where it is |
|---|---|---|
| Inter, Inter Display, JetBrains Mono | OFL-1.1 | `reports/templates/fonts`, with `OFL.txt` |
| IANA's registries of cipher suites, groups and signature schemes | CC0-1.0 | `scanner/probe/data` |
"""


def shipped(requirements: Path = REPOSITORY / "requirements.txt") -> dict[str, str]:
    """The licence expression of each pinned package that this platform installs; "" where the metadata has none.

    Raises:
        importlib.metadata.PackageNotFoundError: A package is not installed here: `make test` installs it.
    """
    found = {}
    for line in requirements.read_text("utf-8").splitlines():
        pinned = re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==[^\s;]+\s*(?:;\s*(.+?))?\s*\\?$", line)
        if pinned and (pinned[2] is None or Marker(pinned[2]).evaluate()):
            found[pinned[1].lower()] = licence(pinned[1])
    return dict(sorted(found.items()))


def licence(name: str) -> str:
    """The licence of one installed package as an SPDX expression; "" where its metadata does not tell."""
    if name.lower() in READ:
        return READ[name.lower()][0]
    metadata = importlib.metadata.metadata(name)
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classified = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier") or ()
        if classifier.startswith("License :: ") and classifier != "License :: OSI Approved"
    ]
    said = classified or [metadata["License"] if "License" in metadata else ""]  # noqa: SIM401  # its type has no get
    # Several classifiers do not say whether all hold or one of them: somebody has to read.
    return SPOKEN.get(said[0], said[0]) if len(said) == 1 else ""


def compatible(expression: str) -> bool:
    """Whether something under this expression may stand in one program with AGPL-3.0-or-later."""
    try:
        parsed = get_spdx_licensing().parse(expression, validate=True)
    except ExpressionError:
        return False
    return parsed is not None and _holds(parsed)


def _holds(parsed: Any) -> bool:
    operator = getattr(parsed, "operator", "").strip()
    if operator == "OR":
        return any(_holds(part) for part in parsed.args)
    if operator == "AND":
        return all(_holds(part) for part in parsed.args)
    return str(parsed) in COMPATIBLE


def problems(found: dict[str, str]) -> list[str]:
    """What keeps these packages from being shipped together; [] where nothing does."""
    return [
        f"{name}: {expression or 'no licence that its metadata tells; read the package and add it to READ'}"
        for name, expression in found.items()
        if not compatible(expression)
    ]


def page(found: dict[str, str]) -> str:
    """The page for readers."""
    rows = "".join(
        f"| {name} | {expression} | {READ[name][1] if name in READ else ''} |\n" for name, expression in found.items()
    )
    return f"""# Licences

Nightseal is under AGPL-3.0-or-later. This page lists what an installation holds besides; `make licences` writes it from
the metadata of the packages in `requirements.txt`, and fails where one is not compatible.

## In the wheel
{BUNDLED}
## Installed with it
| package | licence | remark |
|---|---|---|
{rows}
Packages with compiled parts bring libraries of others (nassl two versions of OpenSSL, vl-convert-python a JavaScript
engine, pyarrow and deltalake Apache Arrow); their licence texts are in those packages.
"""


def main() -> None:
    """Check, and write the page."""
    found = shipped()
    if wrong := problems(found):
        sys.exit("\n".join(["Not to be shipped:", *wrong]))
    PAGE.write_text(page(found), "utf-8")
    print(f"{len(found)} packages, all compatible: {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
