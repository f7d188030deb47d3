"""The form of what a scan needs: where data is kept, the policy to judge by, how targets are scanned."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from scanner.config.values import (
    Duration,
    FileMode,
    Form,
    HostOrNetwork,
    MailName,
    NameServer,
    ShortText,
)
from scanner.judgement import Severity

DEFAULT_PATH: Final = Path("config.toml")
DEFAULT_FAIL_ON: Final = Severity.MEDIUM
"""From which severity on a failure makes the exit status 1."""


class NightsealForm(Form):
    """Where data is kept, and the policy to judge by."""

    history: str = "history"
    """Folder or object-store URL of the history tables."""
    output: str = "out"
    """Folder in which the reports are written."""
    output_mode: FileMode | None = None
    """Mode of the reports' files, such as "0644" for a web server of another user; by default the umask decides."""
    policy: str = "https-by-default"
    """Id of a built-in policy, or path of a policy file."""
    waiver_days: int = Field(default=400, ge=1)
    """Maximum number of days until a waiver expires."""


class ScanForm(Form):
    """How targets are scanned."""

    concurrency: int = Field(default=50, ge=1, le=1000)
    """Targets in flight."""
    workers: int = Field(default=0, ge=0, le=256)
    """Processes for what needs a full handshake; 0 allows 12 for each processor. Fewer leave processors to others."""
    connections_per_target: int = Field(default=5, ge=1, le=50)
    """Connections at once to one address; to mail, LDAP, FTP and XMPP servers 2, unless it is set."""
    rate: float | None = Field(default=None, gt=0)
    """Maximum number of new connections per second to one address, over all that share it; no limit by default."""
    vantage: ShortText | None = None
    """Name of the place from which scans are made, for reports."""
    total_rate: float | None = Field(default=None, gt=0)
    """Maximum number of new connections per second over all addresses; no limit by default."""
    deadline: Duration = timedelta(seconds=60)
    """Hard time limit per target, for all probes together."""
    timeout: Duration = timedelta(seconds=5)
    """Time per network operation."""
    addresses: Literal["all", "first", "ipv4", "ipv6"] = "all"
    """Which of a name's addresses are scanned."""
    engine: Literal["survey", "sslyze"] = "survey"
    """What finds cipher suites and groups: the survey, or sslyze with one connection for each suite."""
    trust_store: str = "mozilla"
    """"mozilla", "system", or the path of a PEM file of CAs, which are then trusted as well."""
    intrusive: bool = True
    """false disables probes that look like attacks (ROBOT, Heartbleed, CCS injection, renegotiation, resumption)."""
    proxy: str | None = None
    """Proxy that carries every connection to the targets, as a URL (http or socks5). It resolves their names, too."""
    fetch_from: list[HostOrNetwork] = []
    """Hosts and networks that URLs in answers and certificates may lead to although they are not public."""
    online: bool = True
    """Whether revocation is checked with certificate authorities, at public addresses and those of `fetch_from`."""
    validating_resolver: NameServer | None = None
    """Name server that checks DNSSEC, "IP" or "IP:PORT", preferably on this machine: its answers are trusted."""
    ct_logs: str | None = None
    """File with a newer list of Certificate Transparency logs than the built-in one, in Chrome's format."""
    published_keys: str | None = None
    """File with a list of keys whose private keys have been published, in the format of badkeys' blocklist."""
    helo: MailName | None = None
    """Name for greeting mail servers: a host name, or an address literal, which is the default: "[192.0.2.1]"."""
    contact: ShortText | None = None
    """E-mail address or URL of the operator, sent to the scanned servers in the User-Agent header."""
    connect_to: dict[str, list[str]] = {}
    """Where to connect instead of asking the DNS: "host:port" = ["ip:port", …]."""
