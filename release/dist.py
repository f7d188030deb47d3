"""Make what is released, and try it where nothing of the checkout is.

    python -m release.dist [FOLDER]

A source distribution; the wheel, built from it; both built twice, in other folders and by other settings of the
shell, and the same byte for byte; the wheel installed with the pinned dependencies into a fresh environment, where the
demo scans its lab and writes both reports; what that environment holds as a CycloneDX SBOM; digests of all of it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from release import licences
from release.steps import REPOSITORY, ReleaseError, call, copy_of_checkout, step, uv

DIGESTS = "SHA256SUMS"


def built_twice(folder: Path) -> tuple[Path, Path]:
    """Build the source distribution and the wheel twice; return those of the first time, which are in the folder.

    Raises:
        ReleaseError: The second time gave other bytes, or something else than the two files.
    """
    when = {"SOURCE_DATE_EPOCH": call("git", "log", "-1", "--format=%ct").strip()}
    with tempfile.TemporaryDirectory() as temporary:
        first = build(Path(temporary) / "first" / "checkout", Path(temporary) / "1", when)
        # What must not matter: the path, the time zone, the language and the hashes of the process.
        other = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
        second = build(Path(temporary) / "the second" / "somewhere else", Path(temporary) / "2", {**when, **other})
        for one, two in zip(first, second, strict=True):
            if one.name != two.name or one.read_bytes() != two.read_bytes():
                raise ReleaseError(f"{one.name} is not the same when it is built again")
        folder.mkdir(parents=True, exist_ok=True)
        kept = [folder / path.name for path in first]
        for path, target in zip(first, kept, strict=True):
            target.write_bytes(path.read_bytes())
    source, wheel = kept
    return source, wheel


def build(checkout: Path, out: Path, env: dict[str, str]) -> tuple[Path, Path]:
    """Build a source distribution from a copy of the checkout, and the wheel from that distribution alone."""
    copy_of_checkout(checkout)
    # The backend is pinned like every other dependency, so that it is the same one next year.
    uv("build", "--quiet", "--build-constraints", REPOSITORY / "requirements-dev.txt", "--require-hashes",
       "--out-dir", out, checkout, env=env)  # fmt: skip
    (source,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return source, wheel


def fresh_environment(folder: Path, wheel: Path) -> Path:
    """Install the wheel with the pinned dependencies and nothing else; return the environment's Python."""
    python = folder / "venv" / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, python.parents[1])
    uv("pip", "install", "--quiet", "--python", python, "--constraints", REPOSITORY / "requirements.txt", wheel)
    return python


def try_demo(python: Path, wheel: Path, folder: Path) -> list[Path]:
    """Let the installed demo scan its lab; return the two reports that it wrote.

    Raises:
        ReleaseError: One of them is missing, or is not what its name says.
    """
    uv(
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraints",
        REPOSITORY / "requirements.txt",
        f"{wheel}[lab]",
    )
    out = call(python.parent / "nightseal", "demo", "--quiet", cwd=folder)
    # The demo ends by naming what it wrote.
    reports = [folder / line.removeprefix("Report: ") for line in out.splitlines() if line.startswith("Report: ")]
    beginnings = {path.suffix: path.read_bytes()[:15].lower() for path in reports}
    if not beginnings.get(".pdf", b"").startswith(b"%pdf-") or beginnings.get(".html") != b"<!doctype html>":
        raise ReleaseError(f"the demo of the installed wheel wrote {beginnings}\n{out}")
    return reports


def bill_of_materials(python: Path, target: Path) -> int:
    """Write a CycloneDX SBOM of an environment; return how many components it names."""
    call(sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", REPOSITORY / "pyproject.toml",
         "--mc-type", "application", "--output-reproducible", "--output-format", "JSON", "--output-file", target,
         python)  # fmt: skip
    return len(json.loads(target.read_text("utf-8"))["components"])


def write_digests(folder: Path, files: list[Path]) -> Path:
    """Write the digests in the form that `sha256sum --check` reads; a signature of this file signs all of them."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(files)]
    (folder / DIGESTS).write_text("".join(lines), "utf-8")
    return folder / DIGESTS


def main(folder: Path) -> None:
    """Do all of it, and tell each step."""
    commit = call("git", "rev-parse", "--short", "HEAD").strip()
    changed = " and changes that are not committed" if call("git", "status", "--porcelain").strip() else ""
    step(f"Building from {commit}{changed}.")
    source, wheel = built_twice(folder)
    for path in (source, wheel):
        step(f"  {path.name}: {path.stat().st_size:,} bytes, built twice, the same byte for byte")
    with tempfile.TemporaryDirectory() as temporary:
        python = fresh_environment(Path(temporary), wheel)
        materials = folder / f"{source.name.removesuffix('.tar.gz')}.cdx.json"
        step(f"  {materials.name}: {bill_of_materials(python, materials)} components in a fresh environment")
        for report in try_demo(python, wheel, Path(temporary)):
            step(f"  {report.name}: {report.stat().st_size:,} bytes, written by the demo of the installed wheel")
    found = licences.shipped()
    problems = licences.problems(found)
    if problems:
        raise ReleaseError("\n".join(problems))
    step(f"  licences: {len(found)} packages, all of them compatible with AGPL-3.0-or-later (docs/licences.md)")
    digests = write_digests(folder, [source, wheel, materials])
    step(f"  {digests.name}: sign this file; its signature goes to {digests.name}.asc beside it")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve())
    except ReleaseError as error:
        sys.exit(f"No release: {error}")
