"""The Prometheus page: read from plain counters when asked, so that counting costs the media path nothing."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.app import Runtime


class RuntimeCollector(Collector):
    """The runtime's numbers as metric families."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        yield from self._streams()
        yield from self._recorder()
        yield from self._doors()

    def _streams(self) -> Iterator[Metric]:
        labels = ["stream_id"]
        state = GaugeMetricFamily("onrecord_stream_state", "1 for the state a stream is in", labels=[*labels, "state"])
        bitrate = GaugeMetricFamily("onrecord_stream_bitrate_bps", "Media bits a second", labels=labels)
        viewers = GaugeMetricFamily("onrecord_stream_viewers", "Viewers now", labels=labels)
        fragments = CounterMetricFamily("onrecord_stream_fragments", "Access units taken", labels=labels)
        keys = CounterMetricFamily("onrecord_stream_key_frames", "Key frames taken", labels=labels)
        size = CounterMetricFamily("onrecord_stream_bytes", "Media bytes taken", labels=labels)
        gaps = CounterMetricFamily("onrecord_stream_gaps", "Holes in what the device sent", labels=labels)
        gap_s = CounterMetricFamily("onrecord_stream_gap_seconds", "Seconds missing from the device", labels=labels)
        jumps = CounterMetricFamily("onrecord_stream_viewer_gaps", "Jumps of slow viewers", labels=labels)
        repairs = CounterMetricFamily("onrecord_stream_repairs", "Time stamps repaired", labels=labels)
        for stream in self._runtime.streams():
            label = [stream.stream_id]
            state.add_metric([stream.stream_id, stream.state.value], 1)
            bitrate.add_metric(label, stream.bitrate_bps)
            viewers.add_metric(label, stream.viewers + stream.hls_viewers)
            fragments.add_metric(label, stream.counts.fragments)
            keys.add_metric(label, stream.counts.key_frames)
            size.add_metric(label, stream.counts.media_bytes)
            gaps.add_metric(label, stream.counts.gaps)
            gap_s.add_metric(label, stream.counts.gap_s)
            repairs.add_metric(label, stream.repairs)
            jumps.add_metric(label, stream.counts.viewer_gaps + self._runtime.live.gaps_of(stream))
        yield from (state, bitrate, viewers, fragments, keys, size, gaps, gap_s, repairs, jumps)

    def _recorder(self) -> Iterator[Metric]:
        stats = self._runtime.recorder.stats
        yield GaugeMetricFamily(
            "onrecord_record_failed", "1 while the disk refuses", value=int(self._runtime.recorder.is_failed)
        )
        yield GaugeMetricFamily(
            "onrecord_record_open_segments", "Segments being written", value=self._runtime.recorder.open_segments
        )
        yield GaugeMetricFamily(
            "onrecord_record_free_bytes", "Room on the disk", value=self._runtime.recorder.free_bytes
        )
        yield CounterMetricFamily("onrecord_record_segments_closed", "Segments closed", value=stats.segments_closed)
        yield CounterMetricFamily("onrecord_record_bytes", "Bytes written", value=stats.bytes_written)
        yield CounterMetricFamily("onrecord_record_lost_seconds", "Seconds lost to the disk", value=stats.lost_s)
        yield CounterMetricFamily("onrecord_record_write_seconds", "Time in write", value=stats.write_s_total)
        yield CounterMetricFamily("onrecord_record_sync_seconds", "Time in fdatasync", value=stats.sync_s_total)
        yield GaugeMetricFamily("onrecord_record_sync_seconds_max", "Slowest fdatasync round", value=stats.sync_s_max)

    def _doors(self) -> Iterator[Metric]:
        runtime = self._runtime
        yield GaugeMetricFamily("onrecord_loop_lag_seconds_max", "Worst in a minute", value=max(runtime.loop_lag_s))
        yield CounterMetricFamily("onrecord_clock_steps", "Jumps of the UTC clock", value=runtime.clock_steps)
        refused = CounterMetricFamily("onrecord_publishers_refused", "Publishers turned away", labels=["reason"])
        for reason, count in runtime.publications.refused.items():
            refused.add_metric([reason], count)
        yield refused
        yield GaugeMetricFamily("onrecord_rtmp_connections", "RTMP connections now", value=runtime.rtmp.open)
        yield CounterMetricFamily("onrecord_rtmp_bytes", "RTMP bytes read", value=runtime.rtmp.bytes_in)
        yield CounterMetricFamily(
            "onrecord_rtmp_protocol_errors", "RTMP connections closed for bad bytes", value=runtime.rtmp.protocol_errors
        )
        yield GaugeMetricFamily("onrecord_viewers", "WebSocket viewers now", value=runtime.live.viewers)
        yield GaugeMetricFamily("onrecord_hls_viewers", "LL-HLS viewers now", value=runtime.hls.viewers)
        yield CounterMetricFamily("onrecord_views", "WebSocket views begun", value=runtime.live.views)
        yield CounterMetricFamily("onrecord_viewers_cut_off", "Viewers that took nothing", value=runtime.live.cut_off)
        yield CounterMetricFamily(
            "onrecord_decoder_restarts", "Picture decoders started anew", value=runtime.decoder.restarts
        )


def render(runtime: Runtime) -> bytes:
    """The page as Prometheus text."""
    registry = CollectorRegistry()
    registry.register(RuntimeCollector(runtime))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)
