"""Sets of people as roaring bitmaps: a million in well under a megabyte, so that plans and batches can be stored whole."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from pyroaring import BitMap64

__all__ = ["BitMap64", "bitmap_chunks", "bitmap_load", "bitmap_make", "bitmap_numbers", "bitmap_pack"]


def bitmap_make(numbers: npt.NDArray[np.int64] | Iterable[int]) -> BitMap64:
    if isinstance(numbers, np.ndarray):
        return BitMap64(numbers.astype(np.uint64))
    return BitMap64(numbers)


def bitmap_pack(bitmap: BitMap64) -> bytes:
    return bytes(bitmap.serialize())


def bitmap_load(data: bytes | memoryview | None) -> BitMap64:
    """What ``bitmap_pack`` gave; nothing is an empty set."""
    return BitMap64.deserialize(bytes(data)) if data else BitMap64()


def bitmap_numbers(bitmap: BitMap64) -> npt.NDArray[np.int64]:
    """Ascending, ``(n,)``."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint64).astype(np.int64)


def bitmap_chunks(bitmap: BitMap64, size: int) -> Iterator[BitMap64]:
    """Parts of at most ``size`` people, ascending."""
    numbers = bitmap_numbers(bitmap)
    for start in range(0, len(numbers), size):
        yield bitmap_make(numbers[start : start + size])
