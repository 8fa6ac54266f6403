"""One lease of the stage `text`: the best few key frames of a span are read, and what speaks of a certificate is told.

Reading costs seconds of a processor a picture, so it is asked for, never run along; and of what is read only the lines
of a certificate are kept: other text in the picture is nobody's business here.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import anyio.to_thread
import numpy as np
import structlog

from models.text import certificate
from models.text.base import TextReader
from models.text.worth import chosen, worth_reading
from pipeline.analyse.board import Lease
from pipeline.analyse.loading import Models
from pipeline.analyse.pictures import KeyFrameDecoder
from pipeline.analyse.progress import Covered
from pipeline.analyse.reporter import Reporter
from pipeline.analyse.source import Given, Missed, Over
from pipeline.analyse.units import Unit
from pipeline.errors import CodecUnsupported, LeaseLost, ModelFailed, SourceError
from pipeline.events import TextSeen

log = structlog.get_logger(__name__)

_MOST_KEPT: Final = 64
"""Key frames of a span that are held until the best of them are known; where every picture is one, the worst go."""


class Reading:
    """turn: pictures are read one at a time in a worker."""

    def __init__(
        self, lease: Lease, source: Callable[[], AsyncIterator[Given]], models: Models,
        reporter: Callable[[str], Reporter], turn: anyio.CapacityLimiter,
    ) -> None:  # fmt: skip
        self._lease = lease
        self._source = source
        self._models = models
        self._reporter = reporter
        self._turn = turn

    async def run(self) -> None:
        """Until the span is read or the lease lost. Raises: ModelError: there is no reader."""
        reader = await anyio.to_thread.run_sync(self._models.reader, self._lease.work.model, limiter=self._turn)
        reporter, found, failure = self._reporter(reader.abilities.label), list[TextSeen](), ""
        try:
            for unit, decoder in await self._best():
                seen = await anyio.to_thread.run_sync(self._read, reader, decoder, unit, limiter=self._turn)
                found += [] if seen is None else [seen]
        except (SourceError, ModelFailed) as error:
            failure = str(error)
        in_order = sorted(found, key=_start_s)
        try:
            await reporter.send(
                Covered(0.0, 0.0, ()), tuple(in_order),
                state="failed" if failure else "done", reason=failure,
            )  # fmt: skip
        except LeaseLost:
            log.info("a lease was lost", work=self._lease.work.work_id)

    async def _best(self) -> list[tuple[Unit, KeyFrameDecoder]]:
        """The key frames in which something may be read, the best first. Raises: SourceError."""
        decoders: dict[int, KeyFrameDecoder] = {}
        kept: dict[float, tuple[float, Unit, KeyFrameDecoder]] = {}
        async for given in self._source():
            match given:
                case Unit():
                    decoder = decoders.get(given.track_id)
                    if decoder is None or not given.is_key:
                        continue
                    worth = await anyio.to_thread.run_sync(_worth, decoder, given, limiter=self._turn)
                    kept[given.pts_s] = worth, given, decoder
                    if len(kept) > _MOST_KEPT:
                        del kept[min(kept, key=lambda at_s: kept[at_s][0])]
                case Missed():
                    continue
                case Over():
                    break
                case tracks:
                    for track in tracks:
                        try:
                            decoders[track.track_id] = KeyFrameDecoder(track)
                        except CodecUnsupported:
                            continue  # sound, or a codec of which `signal` says that it cannot be decoded
        return [kept[at_s][1:] for at_s in chosen((at_s, worth) for at_s, (worth, _, _) in kept.items())]

    def _read(self, reader: TextReader, decoder: KeyFrameDecoder, unit: Unit) -> TextSeen | None:
        """In the thread. Raises: ModelFailed."""
        picture = decoder.colour(unit)
        shown = certificate.found([] if picture is None else reader.read(picture))
        if not shown.is_shown:
            return None
        work, label = self._lease.work, reader.abilities.label
        return TextSeen(
            at=work.started_at + unit.pts_s, stream_id=work.stream_id, recording_id=work.recording_id,
            start_s=round(unit.pts_s, 3), text="\n".join(line.text for line in shown.lines), asked=work.asked,
            confidence=round(float(np.clip(shown.confidence, 0.0, 1.0)), 3), model=label, by=label,
        )  # fmt: skip


def _start_s(seen: TextSeen) -> float:
    return seen.start_s


def _worth(decoder: KeyFrameDecoder, unit: Unit) -> float:
    luma = decoder.luma(unit)
    return 0.0 if luma is None else worth_reading(luma)
