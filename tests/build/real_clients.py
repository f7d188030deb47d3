"""Real TLS clients that this machine has: each asks a server for what was negotiated, and the server answers in words."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.build.servers import HOST, node, program

SEEN = "location /seen { return 200 'seen $ssl_protocol $ssl_cipher -$ssl_curve end'; }"
"""What nginx is to be configured with."""
_REQUEST = f"GET /seen HTTP/1.0\r\nHost: {HOST}\r\n\r\n"
_SECONDS = 180
_PYTHON = """
import socket, ssl, sys
port, ca, host, request = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=host) as tls:
    tls.sendall(request.encode())
    while data := tls.recv(4096):
        print(data.decode())
"""
_NODE = """
const [port, ca, host, request] = process.argv.slice(1);
const socket = require("tls").connect({host: "127.0.0.1", port, servername: host, ca: require("fs").readFileSync(ca)});
socket.on("secureConnect", () => socket.write(request));
socket.on("data", data => console.log(String(data)));
socket.on("error", error => { console.error(String(error)); process.exit(1); });
"""
_PHP = """
[$_, $port, $ca, $host, $request] = $argv;
$context = stream_context_create(["ssl" => ["cafile" => $ca, "peer_name" => $host]]);
$socket = stream_socket_client("ssl://127.0.0.1:$port", $number, $text, 20, STREAM_CLIENT_CONNECT, $context);
if ($socket) { fwrite($socket, $request); echo stream_get_contents($socket); }
"""
_PERL = """
use IO::Socket::SSL;
my ($port, $ca, $host, $request) = @ARGV;
my $socket = IO::Socket::SSL->new(PeerAddr => "127.0.0.1:$port", SSL_ca_file => $ca, SSL_hostname => $host,
  SSL_verifycn_name => $host) or die "$SSL_ERROR";
print $socket $request;
print while <$socket>;
"""
_JAVA = """
import java.io.*; import java.net.*; import java.security.*; import java.security.cert.*; import java.util.*; import javax.net.ssl.*;
public class Ask {
  public static void main(String[] given) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream in = new FileInputStream(given[1])) {
      store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", Integer.parseInt(given[0]));
    SSLParameters parameters = socket.getSSLParameters();
    parameters.setServerNames(List.of(new SNIHostName(given[2])));
    socket.setSSLParameters(parameters);
    socket.getOutputStream().write(given[3].getBytes());
    System.out.println(new String(socket.getInputStream().readAllBytes()));
  }
}
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """How a client is started, by the id of its profile; `typed` is what it reads from stdin."""

    client: str
    command: Sequence[str]
    typed: str = ""


def quick(port: int, ca: Path) -> Sequence[Ask]:
    """Those that start at once."""
    given = [str(port), str(ca), HOST, _REQUEST]
    to = f"127.0.0.1:{port}"
    gnutls = ["--x509cafile", str(ca), "--sni-hostname", HOST, "--verify-hostname", HOST, "-p", str(port), "127.0.0.1"]
    openssl = ["s_client", "-connect", to, "-servername", HOST, "-CAfile", str(ca), "-verify_return_error", "-quiet"]
    resolve = ["--cacert", str(ca), "--resolve", f"{HOST}:{port}:127.0.0.1", "--max-time", "60"]
    return [
        Ask("openssl-3.0", [program("openssl", "openssl"), *openssl], _REQUEST),
        Ask("gnutls-3.7", [program("gnutls-cli", "gnutls-bin"), *gnutls], _REQUEST),
        Ask("curl-7.88", [program("curl", "curl"), "-sS", *resolve, f"https://{HOST}:{port}/seen"]),
        Ask("wget-1.21", [program("wget", "wget"), "-qO-", "-t1", "--no-check-certificate", f"https://{to}/seen"]),
        *([Ask("python-3.11", [sys.executable, "-c", _PYTHON, *given])] if _is_as_published() else []),
        Ask("python-3.11-debian", ["/usr/bin/python3", "-c", _PYTHON, *given]),
        Ask("node-24", [node(), "-e", _NODE, *given]),
        Ask("php-8.2", [program("php", "php-cli"), "-r", _PHP, "--", *given]),
        Ask("perl-iosocketssl", [program("perl", "perl"), "-e", _PERL, *given]),
    ]


def _is_as_published() -> bool:
    """Whether this Python offers its own list of suites, not that of the system's OpenSSL, as Debian's build does."""
    return "AES128-SHA" not in {suite["name"] for suite in ssl.create_default_context().get_ciphers()}


def slow(port: int, ca: Path, folder: Path) -> Sequence[Ask]:
    """Those that take seconds to start."""
    (folder / "Ask.java").write_text(_JAVA, "utf-8")
    browser = ["--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--dump-dom"]
    home = folder / f"chromium-{port}"
    there = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    return [
        Ask("node-20", [program("node", "nodejs"), "-e", _NODE, str(port), str(ca), HOST, _REQUEST]),
        Ask(
            "java-17", [program("java", "openjdk-17-jre"), str(folder / "Ask.java"), str(port), str(ca), HOST, _REQUEST]
        ),
        Ask(
            "chromium-156",
            [
                program("chromium", "chromium"),
                *browser,
                f"--user-data-dir={home}",
                there,
                f"https://{HOST}:{port}/seen",
            ],
        ),
        Ask(
            "firefox-esr-153",
            [
                sys.executable,
                str(Path(__file__).with_name("firefox.py")),
                program("firefox-esr", "firefox-esr"),
                str(folder / f"firefox-{port}"),
                HOST,
                f"https://{HOST}:{port}/seen",
            ],
        ),
    ]


def negotiated(ask: Ask, names: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Version, suite and group that the server tells the client of; None where it does not connect."""
    done = subprocess.run(
        ask.command, input=ask.typed, capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace"
    )
    _, found, rest = done.stdout.partition("seen ")
    if not found:
        return None
    version, suite, group = rest.partition(" end")[0].split()
    group = group.removeprefix("-")
    return version.lower().replace("tlsv1", "tls1") + (".0" if version == "TLSv1" else ""), names[suite], group


def iana_names() -> Mapping[str, str]:
    """IANA's name of each suite, by OpenSSL's."""
    listed = subprocess.run(
        [program("openssl", "openssl"), "ciphers", "-s", "-stdname", "ALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = (line.split() for line in listed.splitlines())
    return {row[2]: row[0] for row in rows} | {row[0]: row[0] for row in (line.split() for line in listed.splitlines())}
