"""From the bytes of a tracking request to its items, whatever the Content-Type says.

RudderStack's Node client sends JSON as a form, browsers as text/plain: only the bytes count (reference: ecosystem §5).
"""

import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import msgspec

from cdp.core.errors import RejectedError

MAX_ITEMS = 2_500  # Segment's own limit for one batch
_REPAIRABLE = re.compile(rb"\\u[dD][89a-fA-F]|NaN|Infinity")
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class _Batch(msgspec.Struct):
    """Keys and times are read leniently: a wrong one must not lose the items."""

    batch: list[msgspec.Raw]
    writeKey: Any = None
    sentAt: Any = None
    context: Any = None


class _Single(msgspec.Struct):
    writeKey: Any = None


_batch_decoder = msgspec.json.Decoder(_Batch)
_single_decoder = msgspec.json.Decoder(_Single)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A request's items as raw JSON, and what it says for all of them."""

    items: list[bytes]
    write_key: str | None
    sent_at: object = None
    context: dict[str, Any] | None = None


class _Around(msgspec.Struct, omit_defaults=True):
    kind: str | None = None
    sent_at: Any = None
    context: dict[str, Any] | None = None


_around_decoder = msgspec.json.Decoder(_Around)
AROUND_BYTES = 32 * 1024


def around_pack(envelope: Envelope, kind: str | None, sent_at_header: str | None) -> bytes:
    """What a request said for all its calls, to be kept with a refused one; empty when it is too large to keep."""
    sent_at = envelope.sent_at if envelope.sent_at is not None else sent_at_header
    packed = msgspec.json.encode(_Around(kind, sent_at, envelope.context))
    return packed if len(packed) <= AROUND_BYTES else b""


def around_unpack(packed: bytes, item: bytes) -> tuple[Envelope, str | None]:
    """The request of one call again, and the kind that its address said."""
    around = _around_decoder.decode(packed)
    return Envelope([item], None, around.sent_at, around.context), around.kind


def body_inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """The plain body. gzip is unpacked up to ``max_bytes`` and never further, so a bomb costs one buffer.

    Raises RejectedError: ``too_large``, ``encoding``.
    """
    if encoding.strip().lower() in {"", "identity"}:
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    if encoding.strip().lower() not in {"gzip", "x-gzip"}:
        raise RejectedError("Content-Encoding must be gzip or left out.", code="encoding", field="Content-Encoding")
    plain = b""
    while body:  # gzip allows several members in a row
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            plain += unpacker.decompress(body, max_bytes + 1 - len(plain))
        except zlib.error as error:
            raise _broken_gzip() from error
        if len(plain) > max_bytes:
            raise _too_large(max_bytes)
        if not unpacker.eof:
            raise _broken_gzip()
        body = unpacker.unused_data
    return plain


def _too_large(max_bytes: int) -> RejectedError:
    return RejectedError(f"The body is larger than {max_bytes:,} bytes; send smaller batches.", code="too_large")


def _broken_gzip() -> RejectedError:
    return RejectedError("The body is not whole gzip although Content-Encoding says so.", code="encoding", field="body")


def envelope_read(body: bytes, *, is_batch: bool) -> Envelope:
    """Split a body into items. Raises RejectedError ``json`` or ``too_large`` when it holds none that can be told apart."""
    try:
        try:
            return _split(body, is_batch=is_batch)
        except msgspec.ValidationError:
            raise
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            repaired = _repaired(body)
            if repaired is None:
                raise _no_json() from error
            return _split(repaired, is_batch=is_batch)
    except msgspec.ValidationError as error:
        field = "batch" if "batch" in str(error) else "body"
        raise RejectedError(
            'The body must be a JSON object with "batch", a list of calls.'
            if is_batch
            else "The body must be a JSON object.",
            code="json",
            field=field,
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json() from error


def _split(body: bytes, *, is_batch: bool) -> Envelope:
    if not is_batch:
        key = _single_decoder.decode(body).writeKey
        return Envelope([body], key if isinstance(key, str) else None)
    batch = _batch_decoder.decode(body)
    if len(batch.batch) > MAX_ITEMS:
        raise RejectedError(
            f"A batch holds at most {MAX_ITEMS:,} calls; send smaller ones.", code="too_large", field="batch"
        )
    return Envelope(
        [bytes(item) for item in batch.batch],
        batch.writeKey if isinstance(batch.writeKey, str) else None,
        batch.sentAt,
        batch.context if isinstance(batch.context, dict) else None,
    )


def _no_json() -> RejectedError:
    return RejectedError("The body is not JSON in UTF-8, or nests too deeply.", code="json", field="body")


def _repaired(body: bytes) -> bytes | None:
    """What two clients write that is almost JSON must not cost the whole batch; None when that is not what is wrong.

    JavaScript cuts emoji in half (that half becomes U+FFFD); Python writes NaN and Infinity (they become null, as
    JavaScript would have it).
    """
    if not _REPAIRABLE.search(body):
        return None
    try:
        text = json.dumps(json.loads(body, parse_constant=lambda _: None), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
