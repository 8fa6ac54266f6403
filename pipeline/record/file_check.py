"""The check of one segment file against its line: size, hash, form, and the times in it."""

import hashlib
import os
import stat
from pathlib import Path

from pipeline import fmp4
from pipeline.errors import BoxMalformed
from pipeline.media import Track
from pipeline.record.defect import Defect
from pipeline.record.ledger import holes
from pipeline.record.lines import RecordingLine, SegmentLine
from pipeline.record.recovery import SEGMENT_NAME
from pipeline.record.stamp import read_stamp

_MOST_BYTES = 1 << 30  # a segment is closed at 64 MiB or what the setting says; a larger file is not read
_SAME_S = 0.002  # the manifest rounds to 0.1 ms; a tick of sound is less


def check_file(path: Path, line: SegmentLine, recording: RecordingLine | None) -> list[Defect]:
    """Every defect of the file at `path`, which is there. Raises: OSError: it cannot be read."""
    name = path.name
    if not SEGMENT_NAME.fullmatch(line.file):
        return [Defect(name, "not_a_file", "the manifest names something that is no segment")]
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK) if not path.is_symlink() else -1
    if descriptor < 0 or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        if descriptor >= 0:
            os.close(descriptor)
        return [Defect(name, "not_a_file", "a link, folder or device stands in its place")]
    with open(descriptor, "rb") as file:
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes > _MOST_BYTES:
            return [Defect(name, "size_differs", f"{size_bytes} bytes, the manifest says {line.size_bytes}")]
        return check_data(file.read(), line, recording)


def check_data(data: bytes, line: SegmentLine, recording: RecordingLine | None) -> list[Defect]:
    """Every defect of the file whose bytes are `data`."""
    name, defects = line.file, []
    if len(data) != line.size_bytes:
        defects.append(Defect(name, "size_differs", f"{len(data)} bytes, the manifest says {line.size_bytes}"))
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != line.sha256:
        doubt = "; the disk never confirmed this file" if line.is_suspect else ""
        defects.append(Defect(name, "hash_differs", f"SHA-256 {sha256}, the manifest says {line.sha256}{doubt}"))
    try:
        tracks = fmp4.read_init(data)
        return defects + _check_stamp(data, line, recording) + _check_media(data, tracks, line)
    except BoxMalformed as error:
        return [*defects, Defect(name, "malformed", str(error))]


def _check_stamp(data: bytes, line: SegmentLine, recording: RecordingLine | None) -> list[Defect]:
    stamp = read_stamp(data)
    is_other = recording is not None and stamp.recording != recording
    if is_other or stamp.file != line.file:
        detail = f"it was recorded as {stamp.file} of {stamp.recording.recording_id}"
        return [Defect(line.file, "foreign_segment", detail)]
    if stamp.base_ticks != line.base_ticks or stamp.captured_at != line.captured_at:
        return [Defect(line.file, "times_differ", "the file's own stamp and the manifest differ")]
    if stamp.conversions != line.conversions:
        return [Defect(line.file, "tracks_differ", "the file's own stamp tells of other conversions than the manifest")]
    return []


def _check_media(data: bytes, tracks: tuple[Track, ...], line: SegmentLine) -> list[Defect]:
    defects: list[Defect] = []
    base = dict(line.base_ticks)
    axis = {track.track_id: (base.get(track.track_id, 0), track.timescale) for track in tracks}
    if tuple(track.codec for track in tracks) != line.codecs:
        defects.append(Defect(line.file, "tracks_differ", f"the manifest says {', '.join(line.codecs)}"))
    end, spans, sequence, last_s = fmp4.init_size(data), [], -1, 0.0
    for info in fmp4.walk(data, end):
        if info.track_id not in axis or info.sequence <= sequence:
            break
        sequence, end = info.sequence, info.offset + info.size_bytes
        offset, timescale = axis[info.track_id]
        pts_s = (info.pts + offset) / timescale
        last_s = max(last_s, pts_s)
        spans.append((pts_s, pts_s + info.duration / timescale))
    if end != len(data):
        defects.append(Defect(line.file, "malformed", f"byte {end}: no whole fragment of this recording begins here"))
    if not spans:
        return [*defects, Defect(line.file, "malformed", "it holds no fragment")]
    return defects + _check_times(spans, last_s, line)


def _check_times(spans: list[tuple[float, float]], last_s: float, line: SegmentLine) -> list[Defect]:
    first_s, end_s = min(spans)[0], max(span[1] for span in spans)
    pairs = ((first_s, line.first_pts_s), (last_s, line.last_pts_s), (end_s, line.end_s))
    if any(abs(found - said) > _SAME_S for found, said in pairs):
        detail = f"it holds {first_s:.4f} to {last_s:.4f} s, ending {end_s:.4f}; the manifest says otherwise"
        return [Defect(line.file, "times_differ", detail)]
    gaps = [(gap.start_s, gap.end_s) for gap in line.gaps if gap.start_s < end_s]
    return [
        Defect(line.file, "hole", f"nothing from {hole.start_s:.3f} to {hole.end_s:.3f} s, and no gap says why")
        for hole in holes([*spans, *gaps], first_s)
    ]
