"""Run every step of deploy/Dockerfile without a container engine, and then the container that it describes.

    python -m release.container [--keep FOLDER]      as root, on Debian, with debootstrap

The base image `debian:bookworm-slim` is what debootstrap makes of Debian's archive, less documentation: here
debootstrap makes it. Each `FROM` is a copy of that root, each `RUN` the same command in it by chroot, each `COPY` a
copy of what the build context has. Then the container's command runs as the container's user, in a network of its own:
a scan that writes an HTML and a PDF report, the service, its health check, its stop signal.

What an instruction may say beyond that is refused, so that nothing in the Dockerfile is left out silently.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from release.steps import REPOSITORY, ReleaseError, call, copy_of_checkout, step, workplace

DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
BASE = "debian:bookworm-slim"
ATTEMPTS = 15

CONFIGURATION = """\
[nightseal]
history = "/var/lib/nightseal/history"
output = "/var/lib/nightseal/out"

[daemon]
state = "/var/lib/nightseal/nightseal.sqlite"
http = "0.0.0.0:9745"

[[environment]]
name = "test"
kind = "on-premises"

  [[environment.endpoint]]
  host = "127.0.0.1"
  port = 9
  role = "server"

[[schedule]]
name = "nightly"
cron = "0 2 * * *"
timezone = "Europe/Lisbon"
"""


@dataclass(slots=True)
class Image:
    """A root and what the container is told about it."""

    root: Path
    workdir: str = "/"
    user: str = "0"
    env: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile in order: the word in capitals, and the rest with continued lines joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found = []
    for line in filter(str.strip, joined.splitlines()):
        word, _, rest = line.strip().partition(" ")
        found.append((word.upper(), " ".join(rest.split())))
    return found


def build(text: str, folder: Path, context: Path) -> Image:
    """Do what the Dockerfile says, instruction by instruction; return the last image.

    Raises:
        ReleaseError: A command failed, or an instruction is none that is understood here.
    """
    stages: dict[str, Image] = {}
    image: Image | None = None
    for word, rest in instructions(text):
        step(f"  {word} {rest[:110]}")
        if word == "FROM":
            image = begin(rest, folder, stages)
        elif image is None:
            raise ReleaseError(f"{word} before FROM")
        elif word == "RUN":
            run(image, ("/bin/sh", "-c", rest))
        elif word == "COPY":
            copy(rest, image, stages, context)
        else:
            describe(image, word, rest)
    if image is None:
        raise ReleaseError("the Dockerfile has no FROM")
    return image


def begin(rest: str, folder: Path, stages: dict[str, Image]) -> Image:
    """Begin a stage: a copy of the base."""
    base, _, name = rest.partition(" AS ")
    if base != BASE:
        raise ReleaseError(f"the base is {base}; debootstrap makes {BASE} alone")
    image = Image(folder / f"stage-{len(stages)}")
    call("cp", "--archive", base_root(folder), image.root)
    stages[name or str(len(stages))] = image
    return image


def base_root(folder: Path) -> Path:
    """Debian's minimal system, made once."""
    root = folder / "base"
    if not root.exists():
        call("debootstrap", "--variant=minbase", "bookworm", root)
    return root


def copy(rest: str, image: Image, stages: dict[str, Image], context: Path) -> None:
    """COPY [--from=STAGE] SOURCE… TARGET."""
    *options, last = shlex.split(rest)
    source_root = context
    if options and options[0].startswith("--from="):
        source_root = stages[options.pop(0).removeprefix("--from=")].root
    target = image.root / os.path.join(image.workdir, last).lstrip("/")  # noqa: PTH118  # an absolute one replaces it
    for name in options:
        source = source_root / name.lstrip("/")
        if not source.exists():
            raise ReleaseError(f"COPY: {name} is not there")
        place = target / source.name if last.endswith("/") and source.is_file() else target
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(source, place)


def describe(image: Image, word: str, rest: str) -> None:
    """What is said about the container that runs later."""
    if word in {"ENTRYPOINT", "CMD", "HEALTHCHECK"}:
        command = tuple(json.loads(rest[rest.index("[") :]))
        setattr(image, {"CMD": "command", "HEALTHCHECK": "health"}.get(word, "entrypoint"), command)
        return
    match word:
        case "WORKDIR":
            image.workdir = rest
            (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                image.env[name] = value.replace("$PATH", image.env["PATH"])
        case "USER":
            image.user = rest
        case "VOLUME":
            if not (image.root / rest.lstrip("/")).is_dir():
                raise ReleaseError(f"VOLUME: {rest} is not a directory of the image")
        case "STOPSIGNAL":
            image.stop_signal = rest
        case _:
            raise ReleaseError(f"{word} is not understood here")


def inside(image: Image, command: tuple[str, ...], *, network: bool) -> list[str]:
    """The command line that runs something in the image: its user, environment and folder, and a /proc of its own."""
    settings = {**image.env, **(machines_settings(image) if network else {})}
    prepare = (
        f"root={shlex.quote(str(image.root))}; {'' if network else 'ip link set lo up; '}"
        "mount -t proc proc $root/proc; mount -t sysfs sysfs $root/sys; mount --bind /dev $root/dev; "
        "mount --bind /dev/pts $root/dev/pts; mount -t tmpfs tmpfs $root/dev/shm; "
        f"exec chroot --userspec={image.user}:{image.user} $root /usr/bin/env --ignore-environment "
        + " ".join(shlex.quote(f"{name}={value}") for name, value in settings.items())
        + f" /bin/sh -c {shlex.quote(f'cd {image.workdir} && exec {shlex.join(command)}')}"
    )
    alone = [] if network else ["--net"]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", *alone, "sh", "-ec", prepare]


def machines_settings(image: Image) -> dict[str, str]:
    """How this machine reaches packages, for the build alone: its resolver, authorities and proxies.

    They are copied: what the build writes to /etc must not be written to this machine's.
    """
    shutil.copyfile("/etc/resolv.conf", image.root / "etc/resolv.conf")
    passed = ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
    settings = {name: os.environ[name] for name in passed if name in os.environ}
    if "PIP_CERT" in os.environ:
        shutil.copyfile(os.environ["PIP_CERT"], image.root / "run/authorities.pem")
        # uv reads other variables than pip.
        settings["PIP_CERT"] = settings["SSL_CERT_FILE"] = "/run/authorities.pem"
    if "PIP_INDEX_URL" in os.environ:
        settings["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    return settings


def run(image: Image, command: tuple[str, ...]) -> None:
    """Run a command of the build in the image."""
    done = subprocess.run(inside(image, command, network=True), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"RUN {shlex.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}"[-4000:])


def try_container(image: Image) -> None:
    """Run what the image is for, without network: reports, the service, its health, its end.

    Raises:
        ReleaseError: Something of that does not work.
    """
    (image.root / "etc/nightseal/config.toml").write_text(CONFIGURATION, "utf-8")
    state = image.workdir
    script = f"""
set -eu
{shlex.join(image.entrypoint)} doctor
{shlex.join(image.entrypoint)} scan 127.0.0.1:9 --quiet --output {state}/page.html || test $? = 3
{shlex.join(image.entrypoint)} scan 127.0.0.1:9 --quiet --output {state}/page.pdf || test $? = 3
head -c 15 {state}/page.html; echo; head -c 5 {state}/page.pdf; echo
{shlex.join((*image.entrypoint, *image.command))} &
service=$!
for attempt in $(seq {ATTEMPTS}); do
  if {shlex.join(image.health)}; then echo healthy; break; fi; sleep 1
done
kill -{image.stop_signal.removeprefix("SIG")} $service
status=0; wait $service || status=$?
echo "ended with $status"
if {shlex.join(image.health)}; then echo "healthy without a service"; fi
"""
    began = time.monotonic()
    done = subprocess.run(
        inside(image, ("/bin/sh", "-c", script), network=False), capture_output=True, text=True, check=False
    )
    wanted = ("<!doctype html>", "%pdf-", "healthy", "ended with 0")
    lines = done.stdout.lower().splitlines()
    if missing := [line for line in wanted if line not in lines]:
        raise ReleaseError(f"the container did not say {missing}\n{done.stdout}{done.stderr}"[-6000:])
    if "healthy without a service" in lines:
        raise ReleaseError("the health check passes without a service")
    step(f"  as user {image.user}, without network: both reports, the service, its health and its end"
         f" ({time.monotonic() - began:.0f} s)")  # fmt: skip


def main(folder: Path) -> None:
    """Build and try the container below a folder."""
    context = folder / "context"
    copy_of_checkout(context)
    step(f"Building {DOCKERFILE.relative_to(REPOSITORY)}:")
    try_container(build(DOCKERFILE.read_text("utf-8"), folder, context))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run the Dockerfile's steps without a container engine.")
    parser.add_argument("--keep", type=Path, help="build in this folder, and leave it (base/ is used again)")
    try:
        with workplace(parser.parse_args().keep) as place:
            main(place)
    except ReleaseError as error:
        sys.exit(f"The container does not work: {error}")
