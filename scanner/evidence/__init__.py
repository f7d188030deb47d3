"""What a probe observed at a target: facts, no judgement.

All types are frozen and go to JSON and back unchanged (`to_json`, `from_json`), so that evidence stored today can be
judged by tomorrow's policy. Whatever can fail to be observed is an `Attempt`: a value, or the reason why there is none;
a value that was cut off says by what (`Attempt.incomplete`).
Text that came from a host has passed `scanner.untrusted.printable`.
"""

from scanner.evidence.attempt import (
    Attempt,
    Failure,
    FailureReason,
    not_run,
)
from scanner.evidence.certificates import (
    ALL_EXTENSIONS,
    Certificate,
    Completion,
    Deployment,
    Extension,
    KeyTrouble,
    KeyType,
    KeyWeakness,
    PathValidation,
    Protocol,
    Staple,
    StoreTrust,
    title_of_store,
)
from scanner.evidence.doors import FrontDoors, Http3, HttpsRecord, Preloading
from scanner.evidence.http import (
    ChainEnd,
    ClientIdentity,
    Cookie,
    Echo,
    Hop,
    HttpEvidence,
    HttpProbe,
    InsecureReference,
    Purpose,
    ReferenceKind,
)
from scanner.evidence.mail import MailDomain, StsPolicy, Tlsa
from scanner.evidence.merging import merge
from scanner.evidence.plain import PlainEvidence, PlainLogin
from scanner.evidence.revocation import (
    CLOCK_SKEW,
    RevocationAnswer,
    RevocationFailure,
    RevocationSource,
    RevocationStatus,
    ServiceFault,
)
from scanner.evidence.store import EvidenceStore, KeptEvidence
from scanner.evidence.target import (
    CaaRecord,
    DnsEvidence,
    Dnssec,
    NameCaa,
    TargetEvidence,
    from_json,
    to_json,
)
from scanner.evidence.tls import (
    AcceptedSuite,
    ClientAuthentication,
    NameReaction,
    ProtocolOffer,
    Robot,
    Ticketbleed,
    TicketKey,
    TlsEvidence,
)
from scanner.evidence.transparency import LogProgram, LogState, Sct, SctCheck, SctSource, Transparency

__all__ = [
    "ALL_EXTENSIONS",
    "CLOCK_SKEW",
    "AcceptedSuite",
    "Attempt",
    "CaaRecord",
    "Certificate",
    "ChainEnd",
    "ClientAuthentication",
    "ClientIdentity",
    "Completion",
    "Cookie",
    "Deployment",
    "DnsEvidence",
    "Dnssec",
    "Echo",
    "EvidenceStore",
    "Extension",
    "Failure",
    "FailureReason",
    "FrontDoors",
    "Hop",
    "Http3",
    "HttpEvidence",
    "HttpProbe",
    "HttpsRecord",
    "InsecureReference",
    "KeptEvidence",
    "KeyTrouble",
    "KeyType",
    "KeyWeakness",
    "LogProgram",
    "LogState",
    "MailDomain",
    "NameCaa",
    "NameReaction",
    "PathValidation",
    "PlainEvidence",
    "PlainLogin",
    "Preloading",
    "Protocol",
    "ProtocolOffer",
    "Purpose",
    "ReferenceKind",
    "RevocationAnswer",
    "RevocationFailure",
    "RevocationSource",
    "RevocationStatus",
    "Robot",
    "Sct",
    "SctCheck",
    "SctSource",
    "ServiceFault",
    "Staple",
    "StoreTrust",
    "StsPolicy",
    "TargetEvidence",
    "TicketKey",
    "Ticketbleed",
    "TlsEvidence",
    "Tlsa",
    "Transparency",
    "from_json",
    "merge",
    "not_run",
    "title_of_store",
    "to_json",
]
