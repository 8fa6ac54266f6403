"""What every kind of picture has: its time scale, the size that is allowed, a believable frame rate."""

from pipeline.errors import CodecUnsupported

VIDEO_TIMESCALE = 90_000
USUAL_FRAME_DURATION = 3600  # 25 pictures a second, where the configuration does not say
_SHORTEST_FRAME, _LONGEST_FRAME = VIDEO_TIMESCALE // 300, VIDEO_TIMESCALE * 2  # what one may claim and be believed


def check_size(width: int, height: int, max_width: int, max_height: int) -> None:
    """Raises: CodecUnsupported: the picture is larger than the settings allow."""
    if width > max_width or height > max_height:
        raise CodecUnsupported(
            f"a picture of {width}x{height}; ingest.max_width x max_height is {max_width}x{max_height}"
        )


def frame_duration(units: int, units_per_s: int) -> int:
    """90 kHz ticks a frame, 0 where the configuration tells nonsense."""
    if not units_per_s:
        return 0
    duration = round(units * VIDEO_TIMESCALE / units_per_s)
    return duration if _SHORTEST_FRAME <= duration <= _LONGEST_FRAME else 0
