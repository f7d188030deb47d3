"""What people type who come from another tool, or slip: told by what they mean, not by what it looks like to a parser.

A TARGET that is nearly one is refused with the one that is meant: `https//host` would be scanned as a host called
https. An option of testssl.sh, sslyze, curl or openssl is answered with what it is called here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import click

from scanner.errors import UsageError

_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)(?P<joint>:/|//|:)(?P<rest>[^/:\s].*)")
_PORTS_BY_COLONS: Final = re.compile(r"(?P<host>[^:/\[\]]*[^0-9A-Fa-f:/\[\]][^:/\[\]]*):(?P<ports>\d+(?::\d+)+)")
_OPTION: Final = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_BY_ITS_NUMBER: Final = re.compile(r"\d+(?:,\d+)*(?:/.*)?")


def refuse_slip(text: str, schemes: Iterable[str]) -> None:
    """See that a TARGET is not nearly one, which would be taken for something else or called what it is not.

    Raises:
        UsageError: it is.
    """
    for meant in _slips(text, frozenset(schemes) | {"http"}):
        raise UsageError(meant)


def _slips(text: str, schemes: frozenset[str]) -> Iterator[str]:
    """What is wrong with a TARGET, and what is meant; the first that holds is the one to tell."""
    before, joint, rest = text.partition("://")
    place = (rest if joint else before).partition("/")[0]
    host, _, ports = place.partition(":")
    if "@" in place:
        # What stands before it may be a password.
        there = place.rpartition("@")[2]
        yield f'TARGET with a user before "@{there}": none is sent (--header "Authorization: …" is)'
    if text.isdecimal():
        yield f'"{text}": is not a host (a port is written behind its host: www.example.com:{text})'
    found = None if joint else _SCHEME.fullmatch(text)
    numbered = found and found["joint"] == ":" and _BY_ITS_NUMBER.fullmatch(found["rest"])
    if found and not numbered and found["scheme"].lower() in schemes:
        yield f'"{text}": did you mean "{found["scheme"]}://{found["rest"]}"?'
    if several := _PORTS_BY_COLONS.fullmatch(place):
        listed = several["ports"].replace(":", ",")
        yield f'"{text}": has several ports (they are separated by commas: {several["host"]}:{listed})'
    if ports in schemes and not joint:
        yield f'"{text}": the port must be a number from 1 to 65535 (did you mean "{ports}://{host}"?)'
    if "," in host or any(part and not part.isdecimal() for part in ports.split(",")[1:]):
        yield f'"{text}": is not one host (TARGETs are separated by spaces, or stand one a line in a file)'
    if re.search(r"\s", place.strip()):
        yield f'"{text}": is not one host (each TARGET is a separate argument)'
    if "*" in place:
        yield f'"{text}": a wildcard is not a host (name the hosts that are meant)'


OTHERS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("-p", "--port"), "a port is written behind the host: www.example.com:8443"),
    **dict.fromkeys(("-connect", "--url", "--host", "--hostname"), "a TARGET needs no option: www.example.com:443"),
    **dict.fromkeys(("-servername", "--servername"), "--sni NAME"),
    **dict.fromkeys(("-starttls", "-t"), "--starttls smtp, or smtp://mail.example.com"),
    "-showcerts": "--pem",
    "-status": "--rule cert.stapled",
    **dict.fromkeys(("-x", "-proxy", "--socks5", "--socks5-hostname", "--https_tunnel"), "--proxy URL"),
    **dict.fromkeys(("-k", "--insecure"), "no certificate ends a scan; --ca-file PEM adds your own CA"),
    **dict.fromkeys(("--cacert", "-CAfile", "--ca", "--add-ca"), "--ca-file PEM"),
    **dict.fromkeys(("--cert", "-cert", "-E"), "--client-cert PEM; the cipher suites are --ciphers"),
    **dict.fromkeys(("--key", "-key"), "--client-key PEM"),
    **dict.fromkeys(("--resolve", "--ip"), "--connect-to HOST:PORT=IP:PORT"),
    **dict.fromkeys(("--interface", "-bind"), "--source-address IP"),
    **dict.fromkeys(("--nameserver", "--dns-servers"), "--resolver IP"),
    **dict.fromkeys(("-I", "--head", "--headers"), "--http, and --header to send one"),
    **dict.fromkeys(("-A", "--user-agent"), '--header "User-Agent: …"'),
    **dict.fromkeys(("-iL", "--targets_in", "--targets"), "--file FILE"),
    **dict.fromkeys(("--json_out", "--jsonfile", "-oJ", "--json"), "--format json, or --output FILE.json"),
    **dict.fromkeys(("--csvfile", "-oC", "--csv"), "--format csv, or --output FILE.csv"),
    **dict.fromkeys(("--htmlfile", "-oH", "--html", "--pdf"), "--output FILE.html or FILE.pdf"),
    "--severity": "--fail-on SEVERITY",
    **dict.fromkeys(("-m", "--timeout", "--max-time", "--connect-timeout", "--openssl-timeout"), "--deadline S"),
    **dict.fromkeys(("-U", "--vulnerable", "--vulnerabilities"), '--rule "vuln.*"'),
    **dict.fromkeys(("--heartbleed", "--robot"), "--rule vuln.heartbleed, --rule vuln.robot"),
    **dict.fromkeys(("-S", "--server-defaults", "--certinfo"), "--certificate"),
    **dict.fromkeys(("-c", "--client-simulation"), "--clients, or nightseal clients HOST"),
    **dict.fromkeys(("-tls1", "-tls1_1", "-tls1_2", "-tls1_3", "--tlsv1.2", "--tlsv1.3"), "--protocols"),
    **dict.fromkeys(("--mozilla_config", "--mozilla-config"), "--policy mozilla-intermediate"),
}
"""Options of testssl.sh, sslyze, curl and openssl, and what stands for them here."""


def options_in(answer: str) -> frozenset[str]:
    """The options of ours that an answer names."""
    return frozenset(_OPTION.findall(answer))


class HintingCommand(click.Command):
    """A command that knows what options of other tools are called here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; an unknown option is answered with ours, where there is one."""
        given = [arg.partition("=")[0] for arg in args]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = {option for parameter in self.params for option in (*parameter.opts, *parameter.secondary_opts)}
            foreign = next((arg for arg in given if arg in OTHERS and arg not in known), None)
            if foreign is None or not foreign.startswith(error.option_name) or not options_in(OTHERS[foreign]) <= known:
                raise
            raise click.UsageError(f"No such option '{foreign}' (here: {OTHERS[foreign]})", ctx) from error
