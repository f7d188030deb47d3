"""HAProxy, Node.js and Tomcat on loopback, one process of each for many sites: as misconfigured, and with advice.

A site's configuration is in slots: what accepts TLS, what plain HTTP is answered with, what is said of HSTS, and so
on. A mistake fills some of them; whoever follows an advice writes it into its slot.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scanner.rules import all_rules
from tests.build.fix_servers import Ports
from tests.build.remedied import mended_by_word, tomcat_followed
from tests.build.servers import Servers, listens, node, program

Slots = Mapping[str, str]

WEAK_JAVA: Final = "jdk.tls.disabledAlgorithms=NULL\njdk.certpath.disabledAlgorithms=\njdk.tls.legacyAlgorithms=\n"
_LAX: Final = """
openssl_conf = lax
[lax]
ssl_conf = ssl
[ssl]
system_default = system
[system]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""


@dataclass(frozen=True)
class Site:
    """One name that is served, where, and how."""

    host: str
    ports: Ports
    slots: Slots


@dataclass(frozen=True)
class Front:
    """A program: its slots as they should be, what is wrong by the name of the mistake, and how it is started."""

    key: str
    good: Slots
    wrong: Mapping[str, Slots]
    slot_of: Mapping[str, str]
    start: Callable[[Servers, Path, Sequence[Site], int], None]

    def advised(self, slots: Slots, mistake: str, advice: str) -> Slots:
        """The slots after the advice against a mistake was followed."""
        name = self.slot_of[mistake]
        if name == "global" and self.key == "haproxy":
            return {**slots, name: mended_by_word(slots.get(name, ""), _told(advice))}
        if name == "host" and self.key == "tomcat":
            return {**slots, name: tomcat_followed(slots.get(name, ""), _told(advice))}
        return {**slots, name: advice}


def _told(advice: str) -> str:
    """The advice without its comments."""
    return "\n".join(line for line in advice.splitlines() if not re.match(r"\s*(#|//|<!--)", line))


def _advice(rule: str, key: str) -> str:
    return all_rules()[rule].fix.servers[key]


def folder_of(folder: Path, name: str) -> Path:
    """Where a certificate lies as each of the programs wants it: in one file, and in three."""
    home = folder / "as" / name
    if not home.exists():
        home.mkdir(parents=True)
        chain = (folder / f"{name}.pem").read_text()
        key = (folder / ("privkey.pem" if name == "fullchain" else f"{name}.key")).read_text()
        leaf, mark, rest = chain.partition("-----END CERTIFICATE-----\n")
        for file, text in (
            ("site.pem", chain + key), ("fullchain.pem", chain), ("privkey.pem", key), ("key.pem", key),
            ("cert.pem", leaf + mark), ("chain.pem", rest or leaf + mark),
        ):  # fmt: skip
            (home / file).write_text(text, encoding="utf-8")
        shutil.copy(folder / "clients-ca.pem", home)
        if (folder / "staple.ocsp").exists():
            shutil.copy(folder / "staple.ocsp", home)
    return home


def _by(name: str, sites: Sequence[Site]) -> Iterator[tuple[str, list[Site]]]:
    """Sites that may share a process: those with the same in a slot that is for all of it."""
    found: dict[str, list[Site]] = {}
    for site in sites:
        found.setdefault(site.slots.get(name, ""), []).append(site)
    yield from found.items()


def _started(servers: Servers, home: Path, command: Sequence[str], sites: Sequence[Site]) -> None:
    (home / "openssl.cnf").write_text(_LAX, encoding="utf-8")
    servers.run(["env", f"OPENSSL_CONF={home}/openssl.cnf", *command], sites[0].ports.tls)
    end = time.monotonic() + 120
    while not all(listens(site.ports.tls) for site in sites):
        assert time.monotonic() < end, "not every site is served"
        time.sleep(0.1)


def _haproxy(servers: Servers, folder: Path, sites: Sequence[Site], backend: int) -> None:
    for number, (common, some) in enumerate(_by("global", sites)):
        home = folder / f"haproxy-{number}"
        home.mkdir()
        text = f"global\n{common}\ndefaults\nmode http\n"
        text += "".join(f"timeout {kind} 20s\n" for kind in ("client", "server", "connect"))
        for count, site in enumerate(some):
            pem = home / str(count)
            shutil.copytree(folder_of(folder, site.slots["certificate"]), pem)
            bind = site.slots["bind"].partition("  #")[0].replace(":443", f"127.0.0.1:{site.ports.tls}")
            parts = (f"frontend f{count}\nbind 127.0.0.1:{site.ports.plain}", bind, site.slots["redirect"],
                     site.slots["hsts"], site.slots.get("content", ""), f"default_backend {site.slots['page']}")  # fmt: skip
            text += "\n".join(parts).replace("/etc/haproxy", str(pem)) + "\n"
            if script := site.slots.get("staple"):
                advised = script.replace("/etc/haproxy", str(pem))
                _run_as_advised(advised, site.slots["responder"], roots=folder / "ca.pem")
        for page in ("page", "mixed", "cookie"):
            text += f"backend {page}\nhttp-request set-path /{page}\nserver s 127.0.0.1:{backend}\n"
        path = home / "haproxy.cfg"
        path.write_text(text, encoding="utf-8")
        _started(servers, home, [program("haproxy", "haproxy"), "-db", "-f", str(path)], some)


def _run_as_advised(script: str, responder: str, *, roots: Path) -> None:
    """Run it where this authority is trusted as a public one is: without that OpenSSL 3.0.20 fails, and 3.0.19 warns."""
    command = re.sub(r"-url \S+", f"-url {responder}", script)
    trusting = {**os.environ, "SSL_CERT_FILE": str(roots)}
    subprocess.run(["sh", "-ec", command], check=True, capture_output=True, timeout=120, env=trusting)


_NODE = """
process.chdir('{folder}');
{common}
{{
const key = readFileSync('privkey.pem'), cert = readFileSync('fullchain.pem'), ca = readFileSync('clients-ca.pem');
const response = readFileSync('staple.ocsp'), id = 'x';
const handler = (req, res) => {{
  {content}; {hsts}; {cookies}; res.setHeader('Content-Type', 'text/html'); res.end(`<!doctype html>{page}`);
}};
const server = {bind};
{staple}
{redirect}
}}
"""


def _node(servers: Servers, folder: Path, sites: Sequence[Site], _backend: int) -> None:
    for number, (common, some) in enumerate(_by("global", sites)):
        home = folder / f"node-{number}"
        home.mkdir()
        text = "const { readFileSync } = require('fs'), http = require('http'), https = require('https');\n"
        text += "const tls = require('tls');\n"
        for site in some:
            slots = {"content": "", "cookies": "", "staple": "", **site.slots}
            bind = slots["bind"].partition("  //")[0]
            bind = bind if ".listen(" in bind else f"{bind}.listen(443)"
            part = _NODE.format(**{**slots, "bind": bind, "common": common},
                                folder=folder_of(folder, slots["certificate"]))  # fmt: skip
            for told, port in ((443, site.ports.tls), (80, site.ports.plain)):
                part = part.replace(f".listen({told})", f".listen({port}, '127.0.0.1')")
            text += part.replace("www.example.com", site.host)
        path = home / "server.js"
        path.write_text(text, encoding="utf-8")
        _started(servers, home, [node(), "--tls-min-v1.0", str(path)], some)


_WEB_XML = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
{hsts}
<session-config><session-timeout>5</session-timeout>{cookies}</session-config>
{redirect}
</web-app>"""


def _tomcat(servers: Servers, folder: Path, sites: Sequence[Site], _backend: int) -> None:
    for number, (common, some) in enumerate(_by("global", sites)):
        home = folder / f"tomcat-{number}"
        for name in ("conf", "logs", "temp", "webapps", "work"):
            (home / name).mkdir(parents=True)
        shutil.copy("/etc/tomcat10/web.xml", home / "conf" / "web.xml")
        (home / "weak").write_text(WEAK_JAVA, encoding="utf-8")
        options = " ".join(re.findall(r"-D[^\s'\"]+", common))
        where = [f"CATALINA_BASE={home}", "CATALINA_HOME=/usr/share/tomcat10"]
        where.append(f"CATALINA_OPTS=-Djava.security.properties={home}/weak {options}")
        services = "".join(_tomcat_service(folder, home, count, site) for count, site in enumerate(some))
        (home / "conf" / "server.xml").write_text(f'<Server port="-1">{services}</Server>', encoding="utf-8")
        _started(servers, home, [*where, "/usr/share/tomcat10/bin/catalina.sh", "run"], some)


def _tomcat_service(folder: Path, home: Path, count: int, site: Site) -> str:
    slots = {"cookies": "", "host": "", **site.slots}
    pem = folder_of(folder, slots["certificate"])
    web, _, server = slots["redirect"].partition("<!-- server.xml")
    realm = server.partition("-->\n")[2].replace(" … ", "")
    root = home / f"apps{count}" / "ROOT"
    (root / "WEB-INF").mkdir(parents=True)
    text = _WEB_XML.format(**{**slots, "redirect": web})
    (root / "WEB-INF" / "web.xml").write_text(text, encoding="utf-8")
    for name in ("index.html", "app", "api"):
        (root / name).write_text(f"<!doctype html>{slots['page']}", encoding="utf-8")
    attributes = " ".join(f'{name}="{value}"' for name, value in re.findall(r'([\w.-]+)="([^"]*)"', slots["host"]))
    bind = slots["bind"].replace("conf/", f"{pem}/")
    if bind.startswith("<!-- keytool"):
        command, _, bind = bind.removeprefix("<!-- ").partition(" -->\n")
        subprocess.run(["sh", "-ec", command], check=True, capture_output=True, timeout=300)
    if bind.startswith("<Certificate"):
        bind = f"<SSLHostConfig {attributes}>{bind}</SSLHostConfig>"
    bind = bind.replace(" … ", _advice("cert.trusted", "tomcat").replace("conf/", f"{pem}/"))
    if not bind.startswith("<Connector"):
        bind = f'<Connector port="443" protocol="HTTP/1.1" SSLEnabled="true">{bind}</Connector>'
    bind = bind.replace('port="443"', f'address="127.0.0.1" port="{site.ports.tls}"')
    plain = f'<Connector address="127.0.0.1" port="{site.ports.plain}" redirectPort="443"/>'
    if "Remove the Connector of plain HTTP" in slots["redirect"]:
        plain = ""
        (root / "WEB-INF" / "web.xml").write_text(_WEB_XML.format(**{**slots, "redirect": ""}), encoding="utf-8")
    engine = f'<Engine name="e{count}" defaultHost="localhost">{realm}'
    return (
        f'<Service name="s{count}">{bind}{plain}{engine}'
        f'<Host name="localhost" appBase="apps{count}"/></Engine></Service>'
    )


_SLOTS: Final = {
    "NO_TLS": "bind", "SERVED": "redirect", "MOVED_FOR_NOW": "redirect", "SERVED_TO_PROGRAMS": "redirect",
    "NO_HSTS": "hsts", "SHORT_HSTS": "hsts", "NO_PRELOAD": "hsts", "MIXED": "content", "INSECURE_COOKIE": "cookies",
    "ANYBODY": "bind", "SELF_SIGNED": "certificate", "OLD": "certificate", "SHORT_KEY": "certificate",
    "REVERSED": "certificate", "NOT_STAPLED": "staple", "SHA1_SIGNATURES": "bind", "SMALL_PRIME": "global",
    "EARLY": "bind", "RENEGOTIATION_BY_CLIENT": "global",
}  # fmt: skip
_CERTIFICATES: Final = {
    "SELF_SIGNED": {"certificate": "self-signed"},
    "OLD": {"certificate": "old"},
    "REVERSED": {"certificate": "reversed"},
    "SHORT_KEY": {"certificate": "short"},
    "NOT_STAPLED": {"certificate": "staple", "staple": ""},
}
_MIXED: Final = '<script src="http://x.fix.example/a.js"></script>'
_PROXY: Final = "bind :443 ssl crt /etc/haproxy/site.pem"
_HAPROXY_HEADER: Final = 'http-response set-header Strict-Transport-Security "{}"'
_NODE_HEADER: Final = "res.setHeader('Strict-Transport-Security', '{}')"
_OLD: Final = "maxVersion: 'TLSv1.2', ciphers: 'ECDHE+AESGCM:DHE+AESGCM:@SECLEVEL=0', key, cert"

HAPROXY: Final = Front(
    "haproxy",
    {
        "certificate": "fullchain",
        "bind": _advice("cert.trusted", "haproxy"),
        "redirect": _advice("https.redirect", "haproxy"),
        "hsts": _advice("https.hsts", "haproxy"),
        "page": "page",
    },
    {
        **_CERTIFICATES,
        "NO_TLS": {"bind": "bind :443"},
        "SERVED": {"redirect": ""},
        "SERVED_TO_PROGRAMS": {"redirect": ""},
        "MOVED_FOR_NOW": {"redirect": "http-request redirect scheme https unless { ssl_fc }"},
        "NO_HSTS": {"hsts": ""},
        "SHORT_HSTS": {"hsts": _HAPROXY_HEADER.format("max-age=86400")},
        "NO_PRELOAD": {"hsts": _HAPROXY_HEADER.format("max-age=31536000; includeSubDomains")},
        "MIXED": {"page": "mixed"},
        "ANYBODY": {"bind": _PROXY},
        "SMALL_PRIME": {
            "global": "tune.ssl.default-dh-param 1024\nssl-default-bind-options ssl-max-ver TLSv1.2\n"
            "ssl-default-bind-ciphers DHE+AESGCM:ECDHE+AESGCM:@SECLEVEL=0"
        },
        "EARLY": {"bind": f"{_PROXY} allow-0rtt"},
    },
    _SLOTS,
    _haproxy,
)
NODE: Final = Front(
    "node",
    {
        "certificate": "fullchain",
        "bind": _advice("cert.trusted", "node"),
        "redirect": _advice("https.redirect", "node"),
        "hsts": _advice("https.hsts", "node"),
        "page": "<p>fine",
    },
    {
        **_CERTIFICATES,
        "NO_TLS": {"bind": "http.createServer(handler).listen(443)"},
        "SERVED": {"redirect": "http.createServer(handler).listen(80)"},
        "SERVED_TO_PROGRAMS": {"redirect": "http.createServer(handler).listen(80)"},
        "MOVED_FOR_NOW": {"redirect": _advice("https.redirect", "node").replace("301", "302")},
        "NO_HSTS": {"hsts": ""},
        "SHORT_HSTS": {"hsts": _NODE_HEADER.format("max-age=86400")},
        "NO_PRELOAD": {"hsts": _NODE_HEADER.format("max-age=31536000; includeSubDomains")},
        "MIXED": {"page": _MIXED},
        "INSECURE_COOKIE": {"cookies": "res.setHeader('Set-Cookie', 'session=1; Path=/')"},
        "ANYBODY": {"bind": _advice("https.active", "node")},
        "SHORT_KEY": {"certificate": "short", "bind": f"https.createServer({{ {_OLD} }}, handler)"},
        "SHA1_SIGNATURES": {"bind": f"https.createServer({{ sigalgs: 'RSA+SHA1', {_OLD} }}, handler)"},
        "RENEGOTIATION_BY_CLIENT": {
            "global": "tls.CLIENT_RENEG_LIMIT = 1000;",
            "bind": f"https.createServer({{ {_OLD} }}, handler)",
        },
    },
    _SLOTS,
    _node,
)
TOMCAT: Final = Front(
    "tomcat",
    {
        "certificate": "fullchain",
        "bind": _advice("cert.trusted", "tomcat"),
        "redirect": _advice("https.redirect", "tomcat"),
        "hsts": _advice("https.hsts", "tomcat"),
        "page": "<p>fine",
    },
    {
        **_CERTIFICATES,
        "NO_TLS": {"bind": '<Connector port="443" protocol="HTTP/1.1"/>'},
        "SERVED": {"redirect": ""},
        "SERVED_TO_PROGRAMS": {"redirect": ""},
        "MOVED_FOR_NOW": {"redirect": _advice("https.redirect", "tomcat").partition("<!-- server.xml")[0]},
        "NO_HSTS": {"hsts": ""},
        "SHORT_HSTS": {"hsts": _advice("https.hsts", "tomcat").replace("31536000", "86400").replace(">true<", ">false<")},
        "NO_PRELOAD": {"hsts": _advice("https.hsts", "tomcat")},
        "ANYBODY": {"bind": _advice("cert.trusted", "tomcat")},
        "SHA1_SIGNATURES": {
            "global": "-Djdk.tls.server.SignatureSchemes=rsa_pkcs1_sha1", "host": 'protocols="TLSv1.2"',
        },
        "SMALL_PRIME": {
            "global": "-Djdk.tls.ephemeralDHKeySize=1024",
            "host": 'protocols="TLSv1.2" '
            'ciphers="TLS_DHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"',
        },
    },
    {**_SLOTS, "SHA1_SIGNATURES": "global", "NOT_STAPLED": "global", "SMALL_PRIME": "host"},
    _tomcat,
)  # fmt: skip
FRONTS: Final = {front.key: front for front in (HAPROXY, NODE, TOMCAT)}
