"""Raw bodies as they are stored: zstd with a dictionary of Stripe's shapes. Old dictionaries stay readable for ever."""

from __future__ import annotations

import threading
from importlib.resources import files

import zstandard

_DICTIONARIES = {1: "stripe_events_1.zdict"}
_CURRENT = 1
_MAX_BODY = 8 << 20


def _dictionary(number: int) -> zstandard.ZstdCompressionDict:
    data = files("refref.db").joinpath("dictionaries", _DICTIONARIES[number]).read_bytes()
    return zstandard.ZstdCompressionDict(data)


class _Codec(threading.local):
    """zstd contexts are not shared between threads."""

    def __init__(self) -> None:
        dictionary = _dictionary(_CURRENT)
        dictionary.precompute_compress(level=3)
        self.compressor = zstandard.ZstdCompressor(
            dict_data=dictionary, write_checksum=False, write_content_size=True, write_dict_id=True
        )
        self.decompressors = {
            _dictionary(number).dict_id(): zstandard.ZstdDecompressor(dict_data=_dictionary(number))
            for number in _DICTIONARIES
        }
        self.plain = zstandard.ZstdDecompressor()


_codec = _Codec()


def compress(body: bytes) -> bytes:
    """The stored form of a raw body."""
    return _codec.compressor.compress(body)


def decompress(stored: bytes) -> bytes:
    """The raw body of its stored form, byte for byte; raises zstandard.ZstdError on anything else."""
    dictionary_id = zstandard.get_frame_parameters(stored).dict_id
    decompressor = _codec.decompressors.get(dictionary_id, _codec.plain)
    return decompressor.decompress(stored, max_output_size=_MAX_BODY)
