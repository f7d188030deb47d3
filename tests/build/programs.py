"""Server programs from Debian, each with the least configuration that makes it speak TLS on a loopback port."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.build.ports import free_port
from tests.build.servers import HOST, Servers, program

Command = Sequence[str]
Starts = Callable[[Path, int, Path], Command]
"""Given a folder of its own, a port and a PEM file with key and chain: writes what is needed, and gives the command."""


@dataclass(frozen=True)
class Program:
    """One server program: its TLS stack, the packages that it is of, and how it is started."""

    name: str
    stack: str
    packages: tuple[str, ...]
    starts: Starts
    starttls: str | None = None
    key: str = "rsa"
    speaks_http: bool = True
    quick: bool = False
    """Whether it is started in `make test` as well."""


def start(program_: Program, servers: Servers) -> int:
    """Start it, and return its port."""
    port = free_port()
    # Sockets in it may have paths of a hundred characters, and some servers give up root before they read it.
    home = Path(servers.enter(tempfile.TemporaryDirectory(prefix=f"nightseal-{port}-")))
    home.chmod(0o755)
    pem = home / "server.pem"
    shutil.copy(servers.identities[program_.key], pem)
    pem.chmod(0o644)
    servers.run(program_.starts(home, port, pem), port)
    return port


def _write(home: Path, name: str, text: str) -> str:
    path = home / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _split(home: Path, pem: Path) -> tuple[str, str]:
    """The key and the chain in files of their own."""
    text = pem.read_text()
    at = text.index("-----BEGIN CERTIFICATE")
    key, chain = _write(home, "key.pem", text[:at]), _write(home, "chain.pem", text[at:])
    Path(key).chmod(0o600)
    return key, chain


def _nginx(home: Path, port: int, pem: Path) -> Command:
    temporary = " ".join(f"{kind}_temp_path {home}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    text = f"""daemon off; pid {home}/pid; error_log stderr; events {{}}
http {{ access_log {home}/access.log; client_body_temp_path {home}/body; {temporary}
server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem}; return 200 fine; }} }}"""
    return [program("nginx", "nginx-light"), "-e", "stderr", "-c", _write(home, "nginx.conf", text)]


def _apache(home: Path, port: int, pem: Path) -> Command:
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
        for name in ("mpm_event", "ssl", "socache_shmcb", "authz_core", "dir")
    )
    text = f"""{modules}
ServerName {HOST}
PidFile {home}/pid
DefaultRuntimeDir {home}
ErrorLog {home}/error
CustomLog {home}/access "%h %r %>s"
Listen 127.0.0.1:{port}
User daemon
Group daemon
DocumentRoot {home}
SSLEngine on
SSLSessionCache shmcb:{home}/cache(512000)
SSLCertificateFile {pem}
SSLCertificateKeyFile {pem}
"""
    return [program("apache2", "apache2-bin"), "-X", "-f", _write(home, "apache.conf", text)]


def _lighttpd(module: str) -> Starts:
    def starts(home: Path, port: int, pem: Path) -> Command:
        key, chain = _split(home, pem)
        text = f"""server.document-root = "{home}"
server.errorlog = "{home}/error.log"
server.modules = ("mod_{module}")
server.bind = "127.0.0.1"
server.port = {port}
ssl.engine = "enable"
ssl.pemfile = "{chain}"
ssl.privkey = "{key}"
"""
        return [program("lighttpd", "lighttpd"), "-D", "-f", _write(home, "lighttpd.conf", text)]

    return starts


def _haproxy(home: Path, port: int, pem: Path) -> Command:
    text = f"""global
defaults
  mode http
  log stdout format raw local0
  option httplog
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind 127.0.0.1:{port} ssl crt {pem}
  http-request return status 200
"""
    return [program("haproxy", "haproxy"), "-db", "-f", _write(home, "haproxy.cfg", text)]


def _stunnel(home: Path, port: int, pem: Path) -> Command:
    pem.chmod(0o600)
    text = f"foreground = yes\npid =\n[s]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:9\ncert = {pem}\n"
    return [program("stunnel", "stunnel4"), _write(home, "stunnel.conf", text)]


def _redis(home: Path, port: int, pem: Path) -> Command:
    text = f"""bind 127.0.0.1
port 0
dir {home}
save ""
tls-port {port}
tls-cert-file {pem}
tls-key-file {pem}
tls-auth-clients no
"""
    return [program("redis-server", "redis-server"), _write(home, "redis.conf", text)]


def _hitch(_home: Path, port: int, pem: Path) -> Command:
    return [
        program("hitch", "hitch"),
        *("--user=nobody", "--group=nogroup", f"--frontend=[127.0.0.1]:{port}", "--backend=[127.0.0.1]:9"),
        *("--workers=1", str(pem)),
    ]


def _h2o(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    text = f"""listen:
  host: 127.0.0.1
  port: {port}
  ssl: {{ certificate-file: {chain}, key-file: {key} }}
user: root
hosts:
  default:
    paths:
      /:
        file.dir: {home}
"""
    return [program("h2o", "h2o"), "-c", _write(home, "h2o.yaml", text)]


def _caddy(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    text = f"""{{
  admin off
  auto_https off
  storage file_system {home}
}}
https://{HOST}:{port} {{
  bind 127.0.0.1
  tls {chain} {key}
  respond fine
}}
"""
    return [program("caddy", "caddy"), "run", "--adapter", "caddyfile", "--config", _write(home, "Caddyfile", text)]


def _gnutls(_home: Path, port: int, pem: Path) -> Command:
    return [
        program("gnutls-serv", "gnutls-bin"),
        *(f"--port={port}", "--http", "--quiet", "--disable-client-cert"),
        *(f"--x509keyfile={pem}", f"--x509certfile={pem}"),
    ]


def _openssl(_home: Path, port: int, pem: Path) -> Command:
    return [
        program("openssl", "openssl"),
        *("s_server", "-accept", f"127.0.0.1:{port}", "-quiet", "-www", "-cert", str(pem), "-cert_chain", str(pem)),
    ]


def _dovecot(home: Path, port: int, pem: Path) -> Command:
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    whose = f"default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n"
    text = f"""{whose if os.getuid() else ""}base_dir = {home}/run
log_path = {home}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{pem}
ssl_key = <{pem}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
  }}
}}
"""
    return [program("dovecot", "dovecot-imapd"), "-F", "-c", _write(home, "dovecot.conf", text)]


def _exim(home: Path, port: int, pem: Path) -> Command:
    text = f"""primary_hostname = {HOST}
spool_directory = {home}/spool
log_file_path = {home}/log-%s
pid_file_path = {home}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = {pem}
tls_privatekey = {pem}
smtp_accept_max = 200
smtp_accept_queue = 0
acl_smtp_rcpt = accept
begin acl
"""
    (home / "spool").mkdir()
    for path in (home, home / "spool"):
        shutil.chown(path, "Debian-exim")
    config = _write(home, "exim.conf", text)
    return [program("exim4", "exim4-daemon-light"), "-C", config, "-bdf"]


def _slapd(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    for path in (home, Path(key), Path(chain)):
        shutil.chown(path, "openldap")
    (home / "data").mkdir()
    shutil.chown(home / "data", "openldap")
    text = f"""include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/pid
TLSCertificateFile {chain}
TLSCertificateKeyFile {key}
TLSCACertificateFile {chain}
database mdb
suffix "dc=example"
directory {home}/data
"""
    config = _write(home, "slapd.conf", text)
    Path(config).chmod(0o644)
    return [program("slapd", "slapd"), "-d", "0", "-f", config, "-h", f"ldaps://127.0.0.1:{port}"]


def _proftpd(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    text = f"""ServerName x
ServerType standalone
DefaultAddress 127.0.0.1
Port {port}
User nobody
Group nogroup
PidFile {home}/pid
ScoreboardFile {home}/scoreboard
SystemLog {home}/log
LoadModule mod_tls.c
UseIPv6 off
<IfModule mod_tls.c>
TLSEngine on
TLSRSACertificateFile {chain}
TLSRSACertificateKeyFile {key}
</IfModule>
"""
    return [program("proftpd", "proftpd-core"), "-n", "-c", _write(home, "proftpd.conf", text)]


def _mosquitto(home: Path, port: int, pem: Path) -> Command:
    text = f"""listener {port} 127.0.0.1
allow_anonymous true
certfile {pem}
keyfile {pem}
"""
    return [program("mosquitto", "mosquitto"), "-c", _write(home, "mosquitto.conf", text)]


def _unbound(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    text = f"""server:
  interface: 127.0.0.1@{port}
  tls-port: {port}
  tls-service-key: "{key}"
  tls-service-pem: "{chain}"
  username: ""
  chroot: ""
  directory: "{home}"
  pidfile: "{home}/pid"
  use-syslog: no
  do-daemonize: no
"""
    return [program("unbound", "unbound"), "-d", "-c", _write(home, "unbound.conf", text)]


def _squid(home: Path, port: int, pem: Path) -> Command:
    shutil.chown(home, "proxy")
    text = f"""https_port 127.0.0.1:{port} tls-cert={pem}
pid_filename {home}/pid
access_log none
cache_log {home}/log
cache deny all
http_access deny all
coredump_dir {home}
netdb_filename none
"""
    return [program("squid", "squid-openssl"), "-N", "-f", _write(home, "squid.conf", text)]


def _postgres(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    data = home / "data"
    # Debian has them in a folder of each version, and not in the path.
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "postgres").exists()]
    binaries = max(found) if found else Path(program("postgres", "postgresql")).parent
    account = pwd.getpwnam("postgres")
    for path in (home, Path(key), Path(chain)):
        os.chown(path, account.pw_uid, account.pw_gid)
    setting = f"-c ssl=on -c ssl_cert_file={chain} -c ssl_key_file={key} -c listen_addresses=127.0.0.1"
    command = (
        f"{binaries}/initdb -D {data} -A trust >/dev/null && "
        f"exec {binaries}/postgres -D {data} -p {port} -k {home} {setting}"
    )
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "sh", "-c", command]


def _tomcat(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    for name in ("conf", "logs", "temp", "webapps", "work"):
        (home / name).mkdir()
    text = f"""<Server port="-1"><Service name="Catalina">
<Connector port="{port}" address="127.0.0.1" protocol="org.apache.coyote.http11.Http11NioProtocol" SSLEnabled="true">
<SSLHostConfig><Certificate certificateKeyFile="{key}" certificateFile="{chain}" type="RSA"/></SSLHostConfig>
</Connector><Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
</Service></Server>"""
    _write(home / "conf", "server.xml", text)
    shutil.copy("/etc/tomcat10/web.xml", home / "conf" / "web.xml")
    where = f"CATALINA_BASE={home}"
    return ["env", where, "CATALINA_HOME=/usr/share/tomcat10", "/usr/share/tomcat10/bin/catalina.sh", "run"]


def _erlang(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    serve = (
        f"ssl:start(), {{ok, L}} = ssl:listen({port}, [{{ip, {{127,0,0,1}}}}, {{reuseaddr, true}}, {{backlog, 100}}, "
        f'{{certfile, "{chain}"}}, {{keyfile, "{key}"}}]), '
        "A = fun G() -> {ok, T} = ssl:transport_accept(L), "
        "P = spawn(fun() -> receive go -> ok end, case ssl:handshake(T, 5000) of "
        "{ok, S} -> ssl:recv(S, 0, 5000), ssl:close(S); _ -> ok end end), "
        "ssl:controlling_process(T, P), P ! go, G() end, A()."
    )
    return [program("erl", "erlang-base"), "-noshell", "-eval", serve]


def _inspircd(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    text = f"""<server name="{HOST}" description="x" network="x" id="00A">
<admin name="x" nick="x" email="x@example.com">
<module name="ssl_gnutls">
<sslprofile name="p" provider="gnutls" certfile="{chain}" keyfile="{key}">
<bind address="127.0.0.1" port="{port}" type="clients" sslprofile="p">
<connect allow="*"><pid file="{home}/pid"><files motd="/dev/null">
"""
    config = _write(home, "inspircd.conf", text)
    return [program("inspircd", "inspircd"), "--runasroot", "--nofork", "--config", config, "--nopid"]


def _ngircd(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    text = f"""[Global]
Name = {HOST}
Info = x
AdminInfo1 = x
AdminEMail = x@example.com
Listen = 127.0.0.1
[Options]
PAM = no
Ident = no
[SSL]
CertFile = {chain}
KeyFile = {key}
Ports = {port}
"""
    Path(key).chmod(0o644)
    return [program("ngircd", "ngircd"), "-n", "-f", _write(home, "ngircd.conf", text)]


def _coturn(home: Path, port: int, pem: Path) -> Command:
    key, chain = _split(home, pem)
    return [
        program("turnserver", "coturn"),
        *("-n", "-L", "127.0.0.1", "--no-udp", "--no-dtls", "--no-cli", f"--tls-listening-port={port}"),
        *(f"--listening-port={free_port()}", f"--cert={chain}", f"--pkey={key}", "--log-file=stdout"),
        *("--simple-log", f"--pidfile={home}/pid", f"--userdb={home}/db"),
    ]


def _node(_home: Path, port: int, pem: Path) -> Command:
    script = (
        f"const pem=require('fs').readFileSync('{pem}');require('https').createServer({{key:pem,cert:pem}},"
        f"(q,s)=>s.end('fine')).listen({port},'127.0.0.1')"
    )
    return [program("node", "nodejs"), "-e", script]


def _python(_home: Path, port: int, pem: Path) -> Command:
    script = (
        "import http.server,ssl;c=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER);"
        f"c.load_cert_chain({str(pem)!r});s=http.server.ThreadingHTTPServer(('127.0.0.1',{port}),"
        "http.server.SimpleHTTPRequestHandler);s.socket=c.wrap_socket(s.socket,server_side=True,"
        "do_handshake_on_connect=False);s.serve_forever()"
    )
    return ["python3", "-c", script]


PROGRAMS = (
    Program("nginx", "OpenSSL", ("nginx-light",), _nginx, quick=True),
    Program("nginx-ecdsa", "OpenSSL", ("nginx-light",), _nginx, key="ecdsa"),
    Program("apache", "OpenSSL", ("apache2-bin",), _apache, quick=True),
    Program("lighttpd-openssl", "OpenSSL", ("lighttpd", "lighttpd-mod-openssl"), _lighttpd("openssl"), quick=True),
    Program("lighttpd-gnutls", "GnuTLS", ("lighttpd", "lighttpd-mod-gnutls"), _lighttpd("gnutls")),
    Program("lighttpd-mbedtls", "mbedTLS", ("lighttpd", "lighttpd-mod-mbedtls"), _lighttpd("mbedtls")),
    Program("lighttpd-nss", "NSS", ("lighttpd", "lighttpd-mod-nss"), _lighttpd("nss")),
    Program("lighttpd-wolfssl", "wolfSSL", ("lighttpd", "lighttpd-mod-wolfssl"), _lighttpd("wolfssl")),
    Program("haproxy", "OpenSSL", ("haproxy",), _haproxy, quick=True),
    Program("stunnel", "OpenSSL", ("stunnel4",), _stunnel, speaks_http=False, quick=True),
    Program("redis", "OpenSSL", ("redis-server",), _redis, speaks_http=False, quick=True),
    Program("hitch", "OpenSSL", ("hitch",), _hitch, speaks_http=False),
    Program("h2o", "picotls", ("h2o",), _h2o),
    Program("caddy", "Go", ("caddy",), _caddy, key="ecdsa"),
    Program("gnutls-serv", "GnuTLS", ("gnutls-bin",), _gnutls, quick=True),
    Program("openssl", "OpenSSL", ("openssl",), _openssl),
    Program("dovecot", "OpenSSL", ("dovecot-imapd",), _dovecot, speaks_http=False, quick=True),
    Program("exim", "GnuTLS", ("exim4-daemon-light",), _exim, starttls="smtp"),
    Program("slapd", "GnuTLS", ("slapd",), _slapd, speaks_http=False),
    Program("proftpd", "OpenSSL", ("proftpd-core", "proftpd-mod-crypto"), _proftpd, starttls="ftp"),
    Program("mosquitto", "OpenSSL", ("mosquitto",), _mosquitto, speaks_http=False),
    Program("unbound", "OpenSSL", ("unbound",), _unbound, speaks_http=False),
    Program("squid", "OpenSSL", ("squid-openssl",), _squid),
    Program("postgresql", "OpenSSL", ("postgresql",), _postgres, starttls="postgres"),
    Program("tomcat", "JSSE", ("tomcat10",), _tomcat),
    Program("erlang", "Erlang", ("erlang-base", "erlang-ssl"), _erlang, speaks_http=False),
    Program("inspircd", "GnuTLS", ("inspircd",), _inspircd, speaks_http=False),
    Program("ngircd", "GnuTLS", ("ngircd",), _ngircd, speaks_http=False),
    Program("coturn", "OpenSSL", ("coturn",), _coturn, speaks_http=False),
    Program("node", "OpenSSL", ("nodejs",), _node),
    Program("python", "OpenSSL", ("python3",), _python),
)
