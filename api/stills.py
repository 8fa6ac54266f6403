"""Photo stills: one picture of a recording, at its full size, with who took it written into the file."""

from pathlib import Path

import anyio.to_thread

from pipeline.analyse.child import WHOLE, PictureDecoder
from pipeline.errors import ThingUnknown
from pipeline.record.playback import Playback

_TIMEOUT_S = 15.0
_REORDERED_S = 0.5  # later pictures that the one of the moment may be made from
_MOST_COMMENT_BYTES = 65_533
_START, _COMMENT = b"\xff\xd8", b"\xff\xfe"  # ITU-T T.81, B.1.1.3


class Stills:
    """Decodes in a child process of its own, so that the previews of live streams do not wait."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback
        self._decoder = PictureDecoder(_TIMEOUT_S)

    async def take(self, folder: Path, at_s: float, comment: str) -> bytes:
        """The picture that is shown at `at_s` of the recording's axis, as JPEG.

        Raises: ThingUnknown: nothing is on record there. EvidenceError, StorageError. WorkerFailed.
        """
        media, file_at_s = await anyio.to_thread.run_sync(self._media, folder, at_s)
        return commented(await self._decoder.picture(media, file_at_s, WHOLE), comment)

    async def close(self) -> None:
        await self._decoder.close()

    def _media(self, folder: Path, at_s: float) -> tuple[bytes, float]:
        contents = self._playback.contents(folder)
        for gap in contents.gaps:
            if gap.start_s <= at_s < gap.end_s:
                raise ThingUnknown(f"nothing is on record at this moment ({gap.cause})")
        if not any(each.first_pts_s <= at_s < each.end_s for each in contents.segments):
            raise ThingUnknown("nothing is on record at this moment, or not yet")
        key_s = self._playback.key_before(folder, at_s)
        span = self._playback.span(folder, key_s, at_s + _REORDERED_S, key_s)
        chunks = self._playback.media(folder, span, 0, span.size_bytes - 1)
        return b"".join(data for data, _, _ in chunks), at_s - span.start_s


def commented(jpeg: bytes, comment: str) -> bytes:
    """The same picture with a comment (COM) behind its start. Source: ITU-T T.81, B.2.4.5."""
    raw = comment.encode()[:_MOST_COMMENT_BYTES]
    return _START + _COMMENT + (len(raw) + 2).to_bytes(2, "big") + raw + jpeg[len(_START) :]
