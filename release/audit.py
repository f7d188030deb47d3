"""Known vulnerabilities of the pinned dependencies, by pip-audit: and whether they were looked up at all.

    python -m release.audit [--required]

pip-audit skips what its service does not answer for, and then ends with "no known vulnerabilities found". A package
that was not looked up is told here, and with `--required` is a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from release.steps import REPOSITORY, ReleaseError, step

SECONDS = 300


@dataclass(frozen=True, slots=True)
class Audit:
    """What pip-audit found.

    Attributes:
        looked_up: Packages that the service answered for.
        skipped: Packages that it did not answer for.
        vulnerable: One line for each known vulnerability.
    """

    looked_up: tuple[str, ...]
    skipped: tuple[str, ...]
    vulnerable: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One sentence that claims no more than was looked up."""
        total = len(self.looked_up) + len(self.skipped)
        if self.vulnerable:
            return f"{len(self.vulnerable)} known vulnerabilities"
        if not self.looked_up:
            return (
                f"NOT AUDITED: no service of advisories answered for any of {total} packages (is this machine offline?)"
            )
        if self.skipped:
            return f"NOT AUDITED IN FULL: nothing was answered for {len(self.skipped)} of {total} packages"
        return f"no known vulnerabilities in {total} packages"


def read(printed: str) -> Audit:
    """Read what `pip-audit --format json` printed.

    Raises:
        ValueError: It is not that.
    """
    packages = json.loads(printed)["dependencies"]
    return Audit(
        tuple(package["name"] for package in packages if "skip_reason" not in package),
        tuple(package["name"] for package in packages if "skip_reason" in package),
        tuple(
            f"{package['name']} {package['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or '-'}"
            for package in packages
            for found in package.get("vulns", ())
        ),
    )


def audit() -> Audit:
    """Ask for everything that `requirements.txt` pins.

    Raises:
        ReleaseError: pip-audit failed otherwise than by being offline.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", "-r", str(REPOSITORY / "requirements.txt"), "--disable-pip",
             "--require-hashes", "--progress-spinner", "off", "--format", "json"],
            capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Audit((), ("everything",), ())
    try:
        return read(done.stdout)
    except (ValueError, KeyError):
        if "Connection" in done.stderr or "resolve" in done.stderr:
            return Audit((), ("everything",), ())
        raise ReleaseError(f"pip-audit failed: {done.stderr[-1000:]}") from None


def main(*, required: bool) -> int:
    """Print the verdict; return the exit status."""
    found = audit()
    for line in found.vulnerable:
        step(line)
    step(f"pip-audit: {found.verdict}")
    return 1 if found.vulnerable or (required and found.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(required="--required" in sys.argv[1:]))
