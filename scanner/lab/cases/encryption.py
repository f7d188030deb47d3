"""Servers whose protocols, cipher suites or key exchanges do not keep what is said private and whole."""

from ssl import TLSVersion

from tlslite.mathtls import RFC5114_GROUP24  # type: ignore[import-untyped]  # it ships no types

from scanner.lab.case import Case, HelloOnly, Nginx, Node, OpenSsl, TlsLite, expect
from scanner.lab.certificates import CertificateRecipe

_IDENTITY = "cert.trusted cert.hostname cert.valid-now https.active"
_RSA = CertificateRecipe(key="rsa")

# The 1024-bit MODP group of RFC 2409 section 6.2: the one that the Logjam attack is about.
OAKLEY_GROUP_2 = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD"
    "EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED"
    "EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    16,
)
_OLD = (3, 1)

CASES = (
    Case(
        name="no-tls1.3",
        description="Only TLS 1.2",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2),
        expected=expect(
            f"{_IDENTITY} proto.no-tls1.1 proto.tls1.2 integrity.aead integrity.extended-master-secret "
            "integrity.secure-renegotiation cipher.forward-secrecy",
            "proto.tls1.3",
        ),
    ),
    Case(
        name="tls1.3-only",
        description="Only TLS 1.3",
        engine=OpenSsl(minimum=TLSVersion.TLSv1_3),
        expected=expect(
            f"{_IDENTITY} proto.no-tls1.0 proto.no-tls1.1 proto.no-tls1.2 proto.tls1.3 integrity.aead", "proto.tls1.2"
        ),
    ),
    Case(
        name="legacy-tls",
        description="Only TLS 1.0 and 1.1",
        engine=OpenSsl(minimum=TLSVersion.TLSv1, maximum=TLSVersion.TLSv1_1, ciphers="ECDHE+AES"),
        expected=expect(
            f"{_IDENTITY} proto.no-ssl3",
            "proto.no-tls1.0 proto.no-tls1.1 proto.tls1.2 proto.tls1.3 integrity.aead",
        ),
    ),
    Case(
        name="tls1.0-to-1.3",
        description="Every version from TLS 1.0 to 1.3",
        engine=OpenSsl(minimum=TLSVersion.TLSv1, ciphers="ECDHE+AESGCM:ECDHE+AES"),
        expected=expect(
            f"{_IDENTITY} proto.no-ssl3 proto.tls1.2 proto.tls1.3 cipher.forward-secrecy",
            "proto.no-tls1.0 proto.no-tls1.1 integrity.aead",
        ),
    ),
    Case(
        name="ssl3",
        description="SSL 3.0 beside TLS 1.0 to 1.2",
        engine=TlsLite(minimum=(3, 0), ciphers=("aes256gcm", "aes128"), macs=("aead", "sha"), key_exchanges=("rsa",)),
        certificate=_RSA,
        expected=expect(
            f"{_IDENTITY} proto.tls1.2 cipher.no-rc4",
            "proto.no-ssl3 proto.no-tls1.0 proto.no-tls1.1 vuln.poodle cipher.forward-secrecy",
        ),
    ),
    Case(
        name="weak-ciphers",
        description="RC4, 3DES and MD5 MACs, with and without forward secrecy",
        engine=TlsLite(
            minimum=_OLD,
            ciphers=("rc4", "3des", "aes128"),
            macs=("sha", "md5"),
            key_exchanges=("rsa", "dhe_rsa", "ecdhe_rsa"),
        ),
        certificate=_RSA,
        expected=expect(
            f"{_IDENTITY} proto.no-ssl3 proto.tls1.2 cipher.no-export",
            "cipher.no-rc4 cipher.no-64bit-block cipher.forward-secrecy integrity.aead integrity.no-weak-mac "
            "vuln.sweet32 proto.tls1.3",
        ),
    ),
    Case(
        name="rc4",
        description="RC4 beside better cipher suites",
        engine=TlsLite(ciphers=("aes256gcm", "rc4"), macs=("aead", "sha"), key_exchanges=("ecdhe_rsa",)),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} cipher.no-64bit-block cipher.no-null cipher.forward-secrecy", "cipher.no-rc4"),
    ),
    Case(
        name="3des",
        description="3DES beside better cipher suites",
        engine=TlsLite(ciphers=("aes256gcm", "3des"), macs=("aead", "sha"), key_exchanges=("ecdhe_rsa",)),
        certificate=_RSA,
        expected=expect(
            f"{_IDENTITY} cipher.no-rc4 cipher.no-null cipher.forward-secrecy", "cipher.no-64bit-block vuln.sweet32"
        ),
    ),
    Case(
        name="null-ciphers",
        description="Cipher suites that encrypt nothing",
        engine=OpenSsl(
            maximum=TLSVersion.TLSv1_2, ciphers="ECDHE+AESGCM:ECDHE-RSA-NULL-SHA:NULL-SHA256:NULL-SHA:NULL-MD5"
        ),
        certificate=_RSA,
        expected=expect(
            f"{_IDENTITY} cipher.no-rc4 cipher.no-anonymous",
            "cipher.no-null cipher.forward-secrecy integrity.no-weak-mac",
        ),
    ),
    Case(
        name="anonymous-ciphers",
        description="Cipher suites in which the server does not say who it is",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, ciphers="ECDHE+AESGCM:AECDH-AES256-SHA:AECDH-AES128-SHA"),
        expected=expect(f"{_IDENTITY} cipher.no-rc4 cipher.no-null", "cipher.no-anonymous"),
    ),
    Case(
        name="cbc-sha1",
        description="Only CBC cipher suites with SHA-1 MACs",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA"),
        expected=expect(
            f"{_IDENTITY} cipher.forward-secrecy cipher.no-64bit-block proto.tls1.2 integrity.encrypt-then-mac",
            "integrity.aead",
        ),
    ),
    Case(
        name="no-encrypt-then-mac",
        description="CBC cipher suites without encrypt-then-MAC (RFC 7366)",
        engine=TlsLite(
            ciphers=("aes256gcm", "aes128"), macs=("aead", "sha"), key_exchanges=("ecdhe_rsa",), encrypt_then_mac=False
        ),
        certificate=_RSA,
        expected=expect(
            f"{_IDENTITY} cipher.forward-secrecy integrity.extended-master-secret",
            "integrity.encrypt-then-mac integrity.aead",
        ),
    ),
    Case(
        name="ssl2",
        description="SSL 2.0 beside TLS 1.0, and suites that were weak enough to be exported",
        engine=HelloOnly(
            ssl2_ciphers=(0x010080, 0x020080, 0x0700C0),  # RC4 with 128 and with 40 bits, 3DES
            suites=(0x0004, 0x0003, 0x000A),  # RSA with RC4, export RC4, 3DES
        ),
        certificate=_RSA,
        expected=expect(
            f"{_IDENTITY} cipher.no-null",
            "proto.no-ssl2 proto.no-tls1.0 cipher.no-export cipher.no-rc4 vuln.freak vuln.drown cipher.forward-secrecy",
        ),
    ),
    Case(
        name="static-rsa",
        description="RSA key exchange: the key decrypts every recorded session",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, ciphers="AES256-GCM-SHA384:AES128-GCM-SHA256"),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} integrity.aead cipher.no-rc4 vuln.robot", "cipher.forward-secrecy"),
    ),
    Case(
        name="weak-dh",
        description="Ephemeral Diffie-Hellman with 1024 bits",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, ciphers="DHE+AESGCM", dh_parameters=(2, OAKLEY_GROUP_2)),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} integrity.aead cipher.forward-secrecy", "kex.min-dh-bits"),
    ),
    Case(
        name="composite-dh",
        description="Ephemeral Diffie-Hellman with a modulus that is not a prime number",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, ciphers="DHE+AESGCM", dh_parameters=(2, OAKLEY_GROUP_2**2)),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} integrity.aead cipher.forward-secrecy", "kex.min-dh-bits"),
    ),
    Case(
        name="unsafe-dh",
        description="Ephemeral Diffie-Hellman with a prime that is not a safe one (RFC 5114)",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, ciphers="DHE+AESGCM", dh_parameters=RFC5114_GROUP24),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} integrity.aead cipher.forward-secrecy kex.min-dh-bits vuln.logjam"),
    ),
    Case(
        name="weak-curve",
        description="Ephemeral Diffie-Hellman on a curve of 192 bits",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, curve="prime192v1"),
        certificate=_RSA,
        expected=expect("https.active proto.tls1.2", "kex.min-ec-bits"),
    ),
    Case(
        name="no-ems",
        description="No extended master secret (RFC 7627)",
        engine=TlsLite(extended_master_secret=False),
        expected=expect(
            f"{_IDENTITY} integrity.aead integrity.secure-renegotiation", "integrity.extended-master-secret"
        ),
    ),
    Case(
        name="no-secure-renegotiation",
        description="No secure renegotiation (RFC 5746)",
        engine=TlsLite(secure_renegotiation=False),
        expected=expect(
            f"{_IDENTITY} integrity.aead integrity.extended-master-secret", "integrity.secure-renegotiation"
        ),
    ),
    Case(
        name="no-fallback-scsv",
        description="Protocols back to TLS 1.0, and no answer to TLS_FALLBACK_SCSV (RFC 7507)",
        engine=TlsLite(minimum=_OLD, ciphers=("aes256gcm", "aes128"), macs=("aead", "sha"), fallback_scsv=False),
        expected=expect(f"{_IDENTITY} proto.tls1.2", "integrity.fallback-scsv proto.no-tls1.0"),
    ),
    Case(
        name="sha1-handshake",
        description="The TLS 1.2 handshake is signed with SHA-1",
        engine=TlsLite(signature_hashes=("sha1",), key_exchanges=("ecdhe_rsa",)),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} cert.signature integrity.aead", "integrity.signature-algorithms"),
    ),
    Case(
        name="compression",
        description="TLS compression, by whose effect on lengths secrets can be guessed (CRIME)",
        engine=TlsLite(compression=True),
        expected=expect(f"{_IDENTITY} integrity.aead", "comp.none vuln.crime"),
    ),
    Case(
        name="client-renegotiation",
        description="The client may renegotiate as often as it likes, which costs the server more than the client",
        engine=OpenSsl(maximum=TLSVersion.TLSv1_2, client_renegotiation=True),
        expected=expect(f"{_IDENTITY} integrity.aead integrity.secure-renegotiation", "vuln.renegotiation-dos"),
    ),
    Case(
        name="heartbleed",
        description="Answers a heartbeat with as many bytes as it claims to have (CVE-2014-0160)",
        engine=TlsLite(vulnerability="heartbleed"),
        expected=expect(f"{_IDENTITY} vuln.ccs-injection", "vuln.heartbleed"),
    ),
    Case(
        name="ccs-injection",
        description="Obeys a ChangeCipherSpec before any keys are agreed upon (CVE-2014-0224)",
        engine=TlsLite(vulnerability="ccs-injection"),
        expected=expect(f"{_IDENTITY} vuln.heartbleed", "vuln.ccs-injection"),
    ),
    Case(
        name="robot",
        description="Tells whether the padding of an RSA key exchange was right (ROBOT)",
        engine=TlsLite(vulnerability="robot", key_exchanges=("rsa",)),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} vuln.heartbleed", "vuln.robot cipher.forward-secrecy"),
    ),
    Case(
        name="padding-oracle",
        description="Answers wrong padding in CBC by a separate alert, which decrypts for an attacker (Vaudenay)",
        engine=TlsLite(vulnerability="padding-oracle", ciphers=("aes128",), macs=("sha",), encrypt_then_mac=False),
        expected=expect(f"{_IDENTITY} vuln.heartbleed vuln.ccs-injection", "integrity.aead"),
    ),
    Case(
        name="padding-unchecked",
        description="Does not look at the padding of records in CBC, as SSL 3.0 did not (POODLE over TLS)",
        engine=TlsLite(vulnerability="padding-unchecked", ciphers=("aes128",), macs=("sha",), encrypt_then_mac=False),
        expected=expect(f"{_IDENTITY} vuln.heartbleed vuln.ccs-injection", "integrity.aead"),
    ),
    Case(
        name="key-reuse",
        description="Shows every connection the same ephemeral key, which Raccoon makes use of",
        engine=TlsLite(vulnerability="key-reuse", key_exchanges=("ecdhe_rsa", "dhe_rsa")),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} vuln.heartbleed vuln.ccs-injection cipher.forward-secrecy"),
    ),
    Case(
        name="ticketbleed",
        description="Sends a session id back with memory behind it, where a session is resumed (CVE-2016-9244)",
        engine=TlsLite(vulnerability="ticketbleed"),
        certificate=_RSA,
        expected=expect(f"{_IDENTITY} vuln.heartbleed vuln.ccs-injection"),
    ),
    Case(
        name="zero-ticket-key",
        description="Makes its session tickets with a key of zeros, which everybody has",
        engine=Nginx(directives="ssl_protocols TLSv1.2; ssl_session_tickets on; ssl_session_ticket_key zeros.key;"),
        expected=expect(f"{_IDENTITY} proto.tls1.2 integrity.aead"),
    ),
    Case(
        name="early-data",
        description="TLS 1.3 early data (0-RTT), which an eavesdropper can replay",
        engine=Nginx(directives="ssl_early_data on; ssl_session_tickets on;"),
        expected=expect(f"{_IDENTITY} proto.tls1.3 integrity.aead", "integrity.no-early-data"),
    ),
    Case(
        name="post-quantum",
        description="Nothing: X25519MLKEM768 beside x25519",
        engine=Node(groups="X25519MLKEM768:X25519"),
        expected=expect(f"{_IDENTITY} proto.tls1.3 integrity.aead cipher.forward-secrecy kex.post-quantum"),
    ),
    Case(
        name="post-quantum-only",
        description="Nothing, but that it speaks to no client without X25519MLKEM768",
        engine=Node(groups="X25519MLKEM768"),
        expected=expect("https.active proto.tls1.3 integrity.aead cipher.forward-secrecy kex.post-quantum"),
    ),
)
