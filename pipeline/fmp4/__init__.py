"""Fragmented MP4 (CMAF) in pure Python: the init segment, one fragment an access unit, and the reader of both.

Knows no file and no socket. Callers say `fmp4.fragment(...)`; what they may use is named here.
"""

from pipeline.fmp4.fragments import HEAD_BYTES, FragmentInfo, fragment, read_head, rebased_head, walk
from pipeline.fmp4.init import init_segment, init_size, mime_type, read_init

__all__ = [
    "HEAD_BYTES",
    "FragmentInfo",
    "fragment",
    "init_segment",
    "init_size",
    "mime_type",
    "read_head",
    "read_init",
    "rebased_head",
    "walk",
]
