"""Server programs as they are misconfigured, and with the advice for them: settings put into a real configuration.

A setting is one line of the program's own configuration. Whoever follows the advice replaces those lines that it names
and adds the rest, and starts the program again; nothing else happens between the two looks.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.build.fix_servers import mended
from tests.build.ports import free_port
from tests.build.programs import PROGRAMS, Command
from tests.build.servers import HOST, Servers, node, program

_BASES = {item.name: item for item in PROGRAMS}
_LAX = """
openssl_conf = lax
[lax]
ssl_conf = ssl
[ssl]
system_default = system
[system]
MinProtocol = TLSv1
CipherString = ALL:@SECLEVEL=0
"""
_WEAK_JAVA = "jdk.tls.disabledAlgorithms=NULL\njdk.certpath.disabledAlgorithms=\njdk.tls.legacyAlgorithms=\n"

Put = Callable[[Command, Path, str], Command]
"""Given the command of the program as it ships, its folder and the settings: puts them where they belong."""


@dataclass(frozen=True)
class Remedied:
    """A program that advice is tried on: how settings reach it, and what is wrong before, by the topic of the advice.

    `mistakes` are by topic; the empty topic stands for those that have none of their own.
    """

    key: str
    base: str
    put: Put
    mistakes: Mapping[str, str] = field(default_factory=dict)
    starttls: str | None = None

    def mistake(self, topic: str) -> str | None:
        """What is wrong before the advice on a topic is followed; None where it cannot be made wrong."""
        return self.mistakes.get(topic, self.mistakes.get(""))


def start(item: Remedied, servers: Servers, settings: str) -> int:
    """Start the program with the settings, and return its port."""
    port = free_port()
    # Sockets in it may have paths of a hundred characters, and some servers give up root before they read it.
    home = Path(servers.enter(tempfile.TemporaryDirectory(prefix=f"nightseal-{port}-", ignore_cleanup_errors=True)))
    home.chmod(0o755)
    pem = home / "server.pem"
    base = _BASES.get(item.base)
    shutil.copy(servers.identities[base.key if base else "rsa"], pem)
    pem.chmod(0o644)
    (home / "openssl.cnf").write_text(_LAX, encoding="utf-8")
    command = base.starts(home, port, pem) if base else ["", str(port), str(pem)]
    # What is weak in any way needs the lowest level of OpenSSL's own precautions, as such sites had when they were set up.
    lax = ["env", f"OPENSSL_CONF={home}/openssl.cnf"]
    servers.run([*lax, *item.put(command, home, settings)], port)
    return port


def followed(item: Remedied, wrong: str, advice: str) -> str:
    """The settings after the advice was followed, its comments left out."""
    lines = [re.sub(r"\s+(#|//) .*", "", line) for line in advice.splitlines()]
    told = "\n".join(line for line in lines if line and not re.match(r"\s*(#|;|//|<!--)", line))
    if item.key in {"caddy", "go", "node", "gnutls", "squid"}:
        return told  # one setting, which is replaced as a whole
    if item.key == "java":
        given = {part.partition("=")[0]: part for part in f"{wrong} {told}".split()}
        return " ".join(given.values())
    if item.key == "tomcat":
        return tomcat_followed(wrong, told)
    return mended(wrong, told) if item.key != "haproxy" else _haproxy_followed(wrong, told)


def tomcat_followed(wrong: str, told: str) -> str:
    """Attributes of SSLHostConfig and options of the virtual machine, each in place of that of its name."""
    given = dict(re.findall(r'([\w.-]+)="([^"]*)"', wrong)) | dict(re.findall(r'([\w.-]+)="([^"]*)"', told))
    options = {part.partition("=")[0]: part for part in re.findall(r"-D[^\s']+", f"{wrong} {told}")}
    return " ".join([*(f'{name}="{value}"' for name, value in given.items()), *options.values()])


def _haproxy_followed(wrong: str, told: str) -> str:
    """Lines of the section global; `ssl-min-ver` and such are words of one line."""
    return mended_by_word(wrong, told)


def mended_by_word(wrong: str, told: str) -> str:
    """Lines whose first word is among those of the advice give way to it."""
    named = {line.split()[0] for line in told.splitlines()}
    return "\n".join([*(line for line in wrong.splitlines() if line.split()[0] not in named), told])


def _appended(name: str) -> Put:
    """Settings at the end of the file."""

    def put(command: Command, home: Path, settings: str) -> Command:
        path = home / name
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{settings}\n", encoding="utf-8")
        return command

    return put


def _before(name: str, mark: str) -> Put:
    """Settings before the line that begins with a mark."""

    def put(command: Command, home: Path, settings: str) -> Command:
        path = home / name
        text = path.read_text(encoding="utf-8")
        assert mark in text
        path.write_text(text.replace(mark, f"{settings}\n{mark}", 1), encoding="utf-8")
        return command

    return put


def _caddy(command: Command, home: Path, settings: str) -> Command:
    path = home / "Caddyfile"
    text = path.read_text(encoding="utf-8")
    head, mark, rest = text.partition("  tls ")
    files, _, tail = rest.partition("\n")
    inside = re.search(r"tls (\{.*\})", settings, re.DOTALL)
    path.write_text(f"{head}{mark}{files} {inside[1] if inside else ''}\n{tail}", encoding="utf-8")
    return command


def _squid(command: Command, home: Path, settings: str) -> Command:
    path = home / "squid.conf"
    words = " ".join(settings.split()[3:])
    text = re.sub(r"^(https_port .*)$", rf"\1 {words}", path.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    return command


def _postgres(command: Command, home: Path, settings: str) -> Command:
    (home / "settings").write_text(f"{settings}\n", encoding="utf-8")
    *before, script = command
    return [*before, script.replace("&& exec", f"&& cat {home}/settings >> {home}/data/postgresql.conf && exec")]


def _gnutls(command: Command, _home: Path, settings: str) -> Command:
    return [*command, f"--priority={settings}"]


def _tomcat(command: Command, home: Path, settings: str) -> Command:
    path = home / "conf" / "server.xml"
    attributes = " ".join(f'{name}="{value}"' for name, value in re.findall(r'([\w.-]+)="([^"]*)"', settings))
    path.write_text(path.read_text().replace("<SSLHostConfig>", f"<SSLHostConfig {attributes}>"), encoding="utf-8")
    (home / "weak").write_text(_WEAK_JAVA, encoding="utf-8")
    options = " ".join(re.findall(r"-D\S+", settings))
    return ["env", f"CATALINA_OPTS=-Djava.security.properties={home}/weak {options}", *command]


def _node(command: Command, home: Path, settings: str) -> Command:
    script = f"""const pem = require('fs').readFileSync('{command[2]}'), key = pem, cert = pem;
const https = require('https'), handler = (q, s) => s.end('fine');
{settings}.listen({command[1]}, '127.0.0.1');"""
    path = home / "server.js"
    path.write_text(script, encoding="utf-8")
    return [node(), "--tls-min-v1.0", str(path)]


_JAVA = """import java.io.*; import java.net.*; import javax.net.ssl.*;
class Main { public static void main(String[] a) throws Exception {
  ServerSocket s = SSLServerSocketFactory.getDefault().createServerSocket(PORT, 100, InetAddress.getLoopbackAddress());
  while (true) { Socket c = s.accept(); new Thread(() -> { try (c) { c.setSoTimeout(5000); c.getInputStream().read(); }
    catch (IOException e) { } }).start(); } } }
"""


def _java(command: Command, home: Path, settings: str) -> Command:
    _, port, pem = command
    store = home / "store.p12"
    export = ["openssl", "pkcs12", "-export", "-in", pem, "-out", str(store), "-passout", "pass:changeit"]
    (home / "Main.java").write_text(_JAVA.replace("PORT", port), encoding="utf-8")
    (home / "weak").write_text(_WEAK_JAVA, encoding="utf-8")
    run = [program("java", "openjdk-17-jdk-headless"), f"-Djava.security.properties={home}/weak"]
    run += [f"-Djavax.net.ssl.keyStore={store}", "-Djavax.net.ssl.keyStorePassword=changeit", *settings.split()]
    return ["sh", "-c", f"{' '.join(export)} && exec {' '.join([*run, str(home / 'Main.java')])}"]


_GO = """package main
import ("crypto/tls"; "os"; "time")
func main() {
  config := CONFIG
  pair, err := tls.LoadX509KeyPair("PEM", "PEM")
  if err != nil { panic(err) }
  config.Certificates = []tls.Certificate{pair}
  listener, err := tls.Listen("tcp", os.Args[1], config)
  if err != nil { panic(err) }
  for {
    connection, err := listener.Accept()
    if err != nil { continue }
    go func() {
      connection.SetDeadline(time.Now().Add(5 * time.Second))
      connection.Read(make([]byte, 1))
      connection.Close()
    }()
  }
}
"""


def _go(command: Command, home: Path, settings: str) -> Command:
    _, port, pem = command
    text = _GO.replace("CONFIG", settings.replace("&tls.Config{", "&tls.Config{", 1)).replace("PEM", pem)
    (home / "main.go").write_text(text, encoding="utf-8")
    cache = os.environ.get("GOCACHE", str(home.parent / "go-cache"))
    run = [program("go", "golang-go"), "run", str(home / "main.go"), f"127.0.0.1:{port}"]
    return ["env", f"GOCACHE={cache}", "GOFLAGS=-mod=mod", *run]


def postfix(command: Command, home: Path, settings: str) -> Command:
    _, port, pem = command
    root = Path(os.environ.get("NIGHTSEAL_POSTFIX", "/"))
    daemons = root / "usr/lib/postfix/sbin"
    master = shutil.which("master", path=str(daemons)) or program("postfix", "postfix (it excludes exim4)")
    for name in ("queue", "data", "conf"):
        (home / name).mkdir()
    for name in ("private", "public", "pid", "maildrop", "incoming", "active", "deferred", "hold", "corrupt"):
        (home / "queue" / name).mkdir()
    for name in ("data", "queue/private", "queue/public", "queue/maildrop", "queue/incoming", "queue/active"):
        shutil.chown(home / name, "nobody")
    text = f"""compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
daemon_directory = {daemons}
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {home}/conf
mail_owner = nobody
setgid_group = mail
default_privs = daemon
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = {HOST}
alias_maps =
alias_database =
local_recipient_maps =
smtpd_tls_security_level = may
smtpd_tls_chain_files = {pem}
smtpd_tls_session_cache_database =
smtpd_client_connection_rate_limit = 0
smtpd_peername_lookup = no
import_environment = MAIL_CONFIG MAIL_LOGTAG LD_LIBRARY_PATH OPENSSL_CONF
export_environment = MAIL_CONFIG LD_LIBRARY_PATH OPENSSL_CONF
maillog_file = {home}/log
maillog_file_prefixes = {home}
{settings}
"""
    (home / "conf" / "main.cf").write_text(text, encoding="utf-8")
    services = f"""127.0.0.1:{port} inet n - n - 100 smtpd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""
    (home / "conf" / "master.cf").write_text(services, encoding="utf-8")
    libraries = f"LD_LIBRARY_PATH={root}/usr/lib/postfix"
    return ["env", libraries, f"MAIL_CONFIG={home}/conf", master, "-d", "-c", str(home / "conf")]


_OLD_SUITES = "ALL:@SECLEVEL=0"
_OLD_PRIORITY = "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.1:+VERS-TLS1.0:+RSA:+AES-128-CBC:%VERIFY_ALLOW_SIGN_WITH_SHA1"
_UP_TO_12 = "NORMAL:-VERS-ALL:+VERS-TLS1.2"
_FROM_12 = "NORMAL:-VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3"
_SMALL = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-GROUP-ALL:+GROUP-SECP192R1:+GROUP-SECP256R1"


def _priorities(setting: str) -> dict[str, str]:
    """What is wrong in programs of GnuTLS, by topic."""
    wrong = {"": _OLD_PRIORITY, "TLS13": _UP_TO_12, "ONLY_TLS13": _FROM_12, "GROUPS": _SMALL}
    wrong["ORDER"] = _OLD_PRIORITY
    return {topic: f"{setting}{priority}" for topic, priority in wrong.items()}


_LIGHTTPD = 'ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1", "CipherString" => "ALL:@SECLEVEL=0"{more})'

REMEDIED = (
    Remedied("caddy", "caddy", _caddy, {
        "TLS13": "tls {\n protocols tls1.2 tls1.2\n}",
        "ONLY_TLS13": "tls {\n protocols tls1.2 tls1.3\n}",
        "GROUPS": "tls {\n curves secp521r1 x25519\n}",
        "SUITES": "tls {\n ciphers TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n}",
    }),
    Remedied("dovecot", "dovecot", _appended("dovecot.conf"), {
        "": "ssl_min_protocol = TLSv1\nssl_cipher_list = ALL:@SECLEVEL=0\nssl_prefer_server_ciphers = no",
        "ORDER": "ssl_prefer_server_ciphers = no",
        "GROUPS": "ssl_curve_list = prime192v1:prime256v1\nssl_cipher_list = ALL:@SECLEVEL=0",
    }),
    Remedied("exim", "exim", _before("exim.conf", "begin acl"), _priorities("tls_require_ciphers = "), "smtp"),
    Remedied("openldap", "slapd", _before("slapd.conf", "database mdb"), _priorities("TLSCipherSuite ")),
    Remedied("gnutls", "gnutls-serv", _gnutls, {
        **_priorities(""), "RENEGOTIATION": f"{_UP_TO_12}:%DISABLE_SAFE_RENEGOTIATION", "BY_CLIENTS": _UP_TO_12,
    }),
    Remedied("postfix", "postfix", postfix, {
        "": "smtpd_tls_protocols = >=TLSv1\ntls_medium_cipherlist = ALL:@SECLEVEL=0\ntls_preempt_cipherlist = no",
        "TLS13": "smtpd_tls_protocols = TLSv1.2",
        "GROUPS": "tls_eecdh_auto_curves = prime192v1 prime256v1\ntls_medium_cipherlist = ALL:@SECLEVEL=0\n"
        "smtpd_tls_protocols = TLSv1.2",
    }, "smtp"),
    Remedied("postgresql", "postgresql", _postgres, {
        "": "ssl_min_protocol_version = 'TLSv1'\nssl_ciphers = 'ALL:@SECLEVEL=0'\nssl_prefer_server_ciphers = off",
        "TLS13": "ssl_max_protocol_version = 'TLSv1.2'",
        "GROUPS": "ssl_ecdh_curve = 'prime192v1'\nssl_ciphers = 'ALL:@SECLEVEL=0'\n"
        "ssl_max_protocol_version = 'TLSv1.2'",
    }, "postgres"),
    Remedied("lighttpd", "lighttpd-openssl", _appended("lighttpd.conf"), {
        "": _LIGHTTPD.format(more=', "Options" => "-ServerPreference"'),
        "TLS13": _LIGHTTPD.format(more=', "MaxProtocol" => "TLSv1.2"'),
        "GROUPS": _LIGHTTPD.format(more=', "Groups" => "prime192v1:prime256v1", "MaxProtocol" => "TLSv1.2"'),
    }),
    Remedied("squid", "squid", _squid, {
        "": "https_port 443 tls-cert=x tls-min-version=1.0 cipher=ALL:@SECLEVEL=0",
    }),
    Remedied("stunnel", "stunnel", _appended("stunnel.conf"), {
        "": "sslVersionMin = TLSv1\nciphers = ALL:@SECLEVEL=0\nsecurityLevel = 0\noptions = -CIPHER_SERVER_PREFERENCE",
        "TLS13": "sslVersionMax = TLSv1.2",
        "GROUPS": "curves = prime192v1:prime256v1\nciphers = ALL:@SECLEVEL=0\nsecurityLevel = 0\n"
        "sslVersionMax = TLSv1.2",
    }),
    Remedied("redis", "redis", _appended("redis.conf"), {
        "": 'tls-protocols "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3"\ntls-ciphers ALL:@SECLEVEL=0',
        "TLS13": 'tls-protocols "TLSv1.2"',
    }),
    Remedied("mosquitto", "mosquitto", _appended("mosquitto.conf"), {
        "": "tls_version tlsv1.1\nciphers ALL:@SECLEVEL=0",
    }),
    Remedied("haproxy", "haproxy", _before("haproxy.cfg", "defaults"), {
        "": "ssl-default-bind-options ssl-min-ver TLSv1.0 prefer-client-ciphers\n"
        "ssl-default-bind-ciphers ALL:@SECLEVEL=0",
        "TLS13": "ssl-default-bind-options ssl-max-ver TLSv1.2",
        "GROUPS": "ssl-default-bind-curves prime192v1:prime256v1\nssl-default-bind-ciphers ALL:@SECLEVEL=0\n"
        "ssl-default-bind-options ssl-max-ver TLSv1.2",
    }),
    Remedied("tomcat", "tomcat", _tomcat, {
        "": 'protocols="TLSv1+TLSv1.1+TLSv1.2+TLSv1.3" ciphers="ALL"',
        "TLS13": 'protocols="TLSv1.2"',
        "ORDER": 'protocols="TLSv1.2" honorCipherOrder="false"',
        "GROUPS": "-Djdk.tls.namedGroups=secp521r1,x25519",
    }),
    Remedied("node", "", _node, {
        "": f"https.createServer({{ minVersion: 'TLSv1', ciphers: '{_OLD_SUITES}', key, cert }}, handler)",
        "TLS13": "https.createServer({ maxVersion: 'TLSv1.2', key, cert }, handler)",
        "ORDER": "https.createServer({ honorCipherOrder: false, maxVersion: 'TLSv1.2', key, cert }, handler)",
        "GROUPS": "https.createServer({ ecdhCurve: 'prime192v1:prime256v1', maxVersion: 'TLSv1.2', "
        f"ciphers: '{_OLD_SUITES}', key, cert }}, handler)",
        "POST_QUANTUM": "https.createServer({ ecdhCurve: 'X25519', key, cert }, handler)",
    }),
    Remedied("java", "", _java, {
        "": "-Djdk.tls.server.protocols=TLSv1,TLSv1.1,TLSv1.2,TLSv1.3",
        "TLS13": "-Djdk.tls.server.protocols=TLSv1.2",
        "GROUPS": "-Djdk.tls.namedGroups=secp521r1,x25519",
        "MASTER_SECRET": "-Djdk.tls.useExtendedMasterSecret=false -Djdk.tls.server.protocols=TLSv1.2",
        "BY_CLIENTS": "-Djdk.tls.rejectClientInitiatedRenegotiation=false -Djdk.tls.server.protocols=TLSv1.2",
    }),
    Remedied("go", "", _go, {
        "": "&tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "
        "tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}",
        "TLS13": "&tls.Config{MaxVersion: tls.VersionTLS12}",
        "GROUPS": "&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521, tls.X25519}}",
    }),
)  # fmt: skip
