"""The names in certificates that somebody has as files."""

from __future__ import annotations

from cryptography import x509

from scanner.inventories.source import Contents, Options, add_name, refused

_PEM = b"-----BEGIN CERTIFICATE-----"


def read_certificates(name: str, data: bytes, options: Options) -> Contents:  # noqa: ARG001  # as all readers
    """Read the subjectAltName of each certificate of a PEM file, or of one in DER; those of CAs name no hosts.

    Raises:
        ConfigError: there is none in it, or one cannot be read.
    """
    contents = Contents(name)
    begins = data.find(_PEM)
    try:
        found = x509.load_pem_x509_certificates(data) if begins >= 0 else [x509.load_der_x509_certificate(data)]
    except ValueError as error:
        line = data[:begins].count(b"\n") + 1 if begins >= 0 else 0
        raise refused(name, "holds no certificate that can be read", line, "PEM or DER") from error
    for certificate in found:
        subject = certificate.subject.rfc4514_string()
        try:
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            contents.leave_out("certificate", "without subjectAltName", subject)
            continue
        except ValueError:
            contents.leave_out("certificate", "with a subjectAltName that cannot be read", subject)
            continue
        for text in names.get_values_for_type(x509.DNSName):
            add_name(contents, text)
        for address in names.get_values_for_type(x509.IPAddress):
            add_name(contents, str(address))
    return contents.once()
