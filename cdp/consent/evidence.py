"""What may stand beside a consent act as its proof, without becoming personal data itself.

The ledger cannot be changed, so nothing may enter it that an erasure would have to take out: addresses are masked, IP
addresses cut to their network (/24, /48), URLs lose what follows the path, unknown keys stay out.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

MAX_TEXT_CHARS = 500
MAX_SIGNAL_CHARS = 8_000
# A privacy signal is kept verbatim; it names choices and vendors, no person.
SIGNALS = frozenset({"tcf", "gpp", "usp", "gpc"})
TEXTS = frozenset(
    {"form", "screen", "system", "provider", "policy", "decoder", "country", "region", "campaign", "document", "actor"}
)
URLS = frozenset({"url", "page", "referrer"})
_ADDRESS = re.compile(r"[^\s@/]+@[^\s@/]+")
_LONG_NUMBER = re.compile(r"\+?\d[\d \-().]{7,}\d")
_SIGNAL = re.compile(r"[A-Za-z0-9._~\-+=/]*")


def evidence_clean(evidence: Mapping[str, object]) -> dict[str, str | bool]:
    """The part of ``evidence`` that may be kept for good."""
    kept: dict[str, str | bool] = {}
    for key, value in evidence.items():
        if isinstance(value, bool) and (key in SIGNALS or key in TEXTS):
            kept[key] = value
        elif not isinstance(value, str):
            continue
        elif key in SIGNALS and len(value) <= MAX_SIGNAL_CHARS and _SIGNAL.fullmatch(value):
            kept[key] = value
        elif key in TEXTS:
            kept[key] = _masked(value[:MAX_TEXT_CHARS])
        elif key in URLS:
            kept[key] = _masked(_without_query(value))
        elif key == "ip":
            kept["ip_network"] = _network(value)
    return {key: value for key, value in kept.items() if value != ""}


def _masked(text: str) -> str:
    return _LONG_NUMBER.sub("[number]", _ADDRESS.sub("[address]", text.replace("\x00", "")))


def _without_query(url: str) -> str:
    try:
        parts = urlsplit(url[:MAX_TEXT_CHARS])
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme in {"http", "https"} and host else ""


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
