"""Screenshots small enough for a repository: at most 256 colours, written as a palette PNG. Counting colours is the browser's."""

import base64
import struct
import zlib
from pathlib import Path

from playwright.sync_api import Page

QUANTISE = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) || 0) + 1);
  const kept = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => colour);
  const place = new Map(kept.map((colour, index) => [colour, index]));
  const part = (colour, shift) => (colour >>> shift) & 255;
  const nearest = (colour) => {
    let best = 0, least = Infinity;
    kept.forEach((other, index) => {
      const r = part(colour, 0) - part(other, 0), g = part(colour, 8) - part(other, 8), b = part(colour, 16) - part(other, 16);
      const distance = r * r + g * g + b * b;
      if (distance < least) { least = distance; best = index; }
    });
    place.set(colour, best);
    return best;
  };
  const indices = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) indices[i] = place.get(pixels[i]) ?? nearest(pixels[i]);
  let text = "";
  for (let i = 0; i < indices.length; i += 32768) text += String.fromCharCode(...indices.subarray(i, i + 32768));
  return { width: image.width, height: image.height, data: btoa(text), palette: kept.map((c) => [part(c, 0), part(c, 8), part(c, 16)]) };
}"""


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture_write(helper: Page, png: bytes, path: Path) -> int:
    """Reduce ``png`` to a palette and write it; returns its bytes. ``helper`` is any page of the browser."""
    found = helper.evaluate(QUANTISE, base64.b64encode(png).decode())
    width, height, indices = found["width"], found["height"], base64.b64decode(found["data"])
    rows = b"".join(b"\0" + indices[y * width : (y + 1) * width] for y in range(height))
    body = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes(value for colour in found["palette"] for value in colour))
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
    path.write_bytes(body)
    return len(body)
