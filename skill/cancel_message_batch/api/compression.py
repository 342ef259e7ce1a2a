"""Unpacking what arrives compressed, piece by piece, and noticing when its end is missing."""

import zlib
from collections.abc import Iterable, Iterator

from httpx2 import DecodingError, RemoteProtocolError

_PIECE = 2**20  # bytes that one step unpacks at most, however small the packed text is


def unpacked(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Yield the bytes that arrived in a content coding.

    The HTTP client's own decoder takes a gzip stream that ends early for a complete one.
    """
    if coding in {"", "identity"}:
        yield from pieces
        return
    if coding not in {"gzip", "x-gzip"}:
        raise DecodingError("a content coding that was not asked for")
    decoder = zlib.decompressobj(31)
    packed = False
    for piece in pieces:
        left = piece
        while left:
            if decoder.eof:  # gzip allows several members, one after the other
                decoder = zlib.decompressobj(31)
            packed = True
            try:
                if plain := decoder.decompress(left, _PIECE):
                    yield plain
            except zlib.error as error:
                raise DecodingError("not gzip") from error
            left = decoder.unconsumed_tail or decoder.unused_data
    if packed and not decoder.eof:
        raise RemoteProtocolError("the compressed answer is cut short")
