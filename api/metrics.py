"""The Prometheus page: read from plain counters when asked, so that counting costs the media path nothing."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.http_door import Crowd
from api.judgement import seats
from api.schemas.analysis import STEPS
from cases.faces.faces import Faces
from cases.judgement.judging import Judging
from pipeline.analyse.children import WorkerChildren
from pipeline.app import Runtime


class RuntimeCollector(Collector):
    """The runtime's numbers as metric families."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        yield from self._streams()
        yield from self._recorder()
        yield from self._outbox()
        yield from self._doors()
        yield from self._relays()
        yield from self._analysis()

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
        slew = GaugeMetricFamily(
            "onrecord_stream_slew_seconds", "How far the device's clock has drifted from ours", labels=labels
        )
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
            slew.add_metric(label, stream.slewed_s)
            jumps.add_metric(label, stream.counts.viewer_gaps + self._runtime.live.gaps_of(stream))
        yield from (state, bitrate, viewers, fragments, keys, size, gaps, gap_s, repairs, slew, jumps)

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

    def _outbox(self) -> Iterator[Metric]:
        outbox = self._runtime.outbox
        yield GaugeMetricFamily(
            "onrecord_outbox_failed", "1 while facts cannot be written", value=int(outbox.is_failed)
        )
        yield GaugeMetricFamily("onrecord_outbox_pending", "Facts not yet on the disk", value=outbox.pending)
        yield CounterMetricFamily("onrecord_outbox_lost", "Facts there was no room for", value=outbox.lost)

    def _analysis(self) -> Iterator[Metric]:
        desk = self._runtime.desk
        on = GaugeMetricFamily(
            "onrecord_analysis_stage_on", "1 for a stage that runs, with its model", labels=["stage", "model"]
        )
        for stage in desk.stages.values():
            on.add_metric([stage.name, stage.label], int(stage.is_on))
        step = GaugeMetricFamily(
            "onrecord_analysis_step", "0 whole to 4 gaps: what a worker leaves out", labels=["worker"]
        )
        for worker, eased in desk.eased.items():
            step.add_metric([worker], STEPS.index(eased.step))
        behind = GaugeMetricFamily(
            "onrecord_analysis_behind_seconds", "What of a live stream is not analysed yet", labels=["stream_id"]
        )
        for stream_id, behind_s in desk.behind_s().items():
            behind.add_metric([stream_id], behind_s)
        yield from (on, step, behind)
        yield CounterMetricFamily("onrecord_analysis_reports", "Reports of workers taken", value=desk.reports)
        yield CounterMetricFamily("onrecord_analysis_utterances", "Utterances with words told", value=desk.words)
        yield CounterMetricFamily("onrecord_analysis_gaps", "Spans that no worker followed live", value=desk.gaps)
        yield CounterMetricFamily("onrecord_analysis_gap_seconds", "Seconds of them", value=desk.gap_s)
        yield GaugeMetricFamily("onrecord_analysis_spans_waiting", "Spans to be looked at", value=desk.waiting)
        yield GaugeMetricFamily(
            "onrecord_caption_listeners", "Screens that get captions", value=desk.captions.listeners
        )
        yield CounterMetricFamily("onrecord_captions", "Captions told", value=desk.captions.told)

    def _relays(self) -> Iterator[Metric]:
        relays = self._runtime.relays
        streams = GaugeMetricFamily("onrecord_relay_streams", "Streams a rule is for, now", labels=["relay"])
        connected = GaugeMetricFamily("onrecord_relay_connected", "Streams being relayed now", labels=["relay"])
        waiting = GaugeMetricFamily("onrecord_relay_waiting_bytes", "Not yet taken by the target", labels=["relay"])
        failures = CounterMetricFamily("onrecord_relay_failures", "Connections failed or broken", labels=["relay"])
        packets = CounterMetricFamily("onrecord_relay_packets", "Access units handed over", labels=["relay"])
        size = CounterMetricFamily("onrecord_relay_bytes", "Media bytes handed over", labels=["relay"])
        gaps = CounterMetricFamily("onrecord_relay_gaps", "Jumps of a slow or lost target", labels=["relay"])
        lost = CounterMetricFamily("onrecord_relay_lost_packets", "Access units a target lost", labels=["relay"])
        for name, counts in relays.counts.items():
            streams.add_metric([name], counts.streams)
            connected.add_metric([name], counts.connected)
            waiting.add_metric([name], relays.held_bytes(name))
            failures.add_metric([name], counts.failures)
            packets.add_metric([name], counts.packets)
            size.add_metric([name], counts.media_bytes)
            gaps.add_metric([name], counts.gaps)
            lost.add_metric([name], counts.lost_packets)
        yield from (streams, connected, waiting, failures, packets, size, gaps, lost)

    def _doors(self) -> Iterator[Metric]:
        runtime = self._runtime
        yield GaugeMetricFamily("onrecord_loop_lag_seconds_max", "Worst in a minute", value=max(runtime.loop_lag_s))
        yield CounterMetricFamily("onrecord_clock_steps", "Jumps of the UTC clock", value=runtime.clock_steps)
        yield from self._certificates()
        yield from self._pushes()
        refused = CounterMetricFamily("onrecord_publishers_refused", "Publishers turned away", labels=["reason"])
        for reason, count in runtime.publications.refused.items():
            refused.add_metric([reason], count)
        yield refused
        yield GaugeMetricFamily("onrecord_rtmp_connections", "RTMP connections now", value=runtime.rtmp.open)
        yield CounterMetricFamily("onrecord_rtmp_bytes", "RTMP bytes read", value=runtime.rtmp.bytes_in)
        yield CounterMetricFamily(
            "onrecord_rtmp_protocol_errors", "RTMP connections closed for bad bytes", value=runtime.rtmp.protocol_errors
        )
        yield CounterMetricFamily(
            "onrecord_rtmp_gave_way",
            "RTMP connections closed because the door was full",
            value=runtime.rtmp.crowded_out,
        )
        yield CounterMetricFamily("onrecord_rtmp_accepted", "RTMP connections taken", value=runtime.rtmp.accepted)
        yield CounterMetricFamily("onrecord_rtmp_refused", "RTMP connections turned away", value=runtime.rtmp.refused)
        yield CounterMetricFamily("onrecord_hls_views", "LL-HLS views begun", value=runtime.hls.views)
        yield from self._pulls()
        yield GaugeMetricFamily("onrecord_viewers", "WebSocket viewers now", value=runtime.live.viewers)
        yield GaugeMetricFamily("onrecord_hls_viewers", "LL-HLS viewers now", value=runtime.hls.viewers)
        yield CounterMetricFamily("onrecord_views", "WebSocket views begun", value=runtime.live.views)
        yield CounterMetricFamily("onrecord_viewers_cut_off", "Viewers that took nothing", value=runtime.live.cut_off)
        yield CounterMetricFamily(
            "onrecord_decoder_restarts", "Picture decoders started anew", value=runtime.decoder.restarts
        )

    def _pushes(self) -> Iterator[Metric]:
        pushes = self._runtime.pushes
        yield GaugeMetricFamily("onrecord_pushes", "HTTP publishers now", value=pushes.open)
        yield CounterMetricFamily("onrecord_pushes_accepted", "HTTP publishers taken", value=pushes.accepted)
        yield CounterMetricFamily("onrecord_pushes_broken", "HTTP publishers that broke off", value=pushes.broken)
        yield CounterMetricFamily(
            "onrecord_demuxers_failed", "Demuxers that died or were killed", value=pushes.demuxers_failed
        )
        yield GaugeMetricFamily(
            "onrecord_demuxer_uncaged", "1 where the kernel gives no full cage", value=int(bool(pushes.cage_lacks))
        )

    def _pulls(self) -> Iterator[Metric]:
        pulls = self._runtime.pulls
        yield GaugeMetricFamily("onrecord_pull_sources", "Sources that are pulled or tried", value=pulls.known)
        yield GaugeMetricFamily("onrecord_pull_connected", "Sources that are connected now", value=pulls.open)
        yield CounterMetricFamily("onrecord_pull_attempts", "Attempts at sources", value=pulls.counts.attempts)
        yield CounterMetricFamily("onrecord_pull_lost_packets", "RTP packets lost", value=pulls.counts.lost_packets)
        yield CounterMetricFamily("onrecord_pull_bad_packets", "RTP packets not read", value=pulls.counts.bad_packets)
        yield CounterMetricFamily(
            "onrecord_pull_dropped_pictures", "Pictures with a hole", value=pulls.counts.dropped_pictures
        )
        yield CounterMetricFamily(
            "onrecord_pull_missed_segments",
            "HLS segments gone before they were fetched",
            value=pulls.counts.missed_segments,
        )
        yield CounterMetricFamily(
            "onrecord_pull_mistakes", "Pulls begun anew after a mistake of ours", value=pulls.counts.mistakes
        )

    def _certificates(self) -> Iterator[Metric]:
        labels = ["door"]
        expires = GaugeMetricFamily("onrecord_certificate_expires_seconds", "Seconds it has left", labels=labels)
        behind = GaugeMetricFamily("onrecord_certificate_behind", "1 while a new pair is broken", labels=labels)
        reloads = CounterMetricFamily("onrecord_certificate_reloads", "New pairs taken", labels=labels)
        for door, certificate in self._runtime.certificates.items():
            expires.add_metric([door], certificate.expires_at - self._runtime.clock.utc_s())
            behind.add_metric([door], int(certificate.is_behind))
            reloads.add_metric([door], certificate.reloads)
        yield from (expires, behind, reloads)


class CrowdCollector(Collector):
    """The web port's numbers."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def collect(self) -> Iterator[Metric]:
        crowd = self._crowd
        yield GaugeMetricFamily("onrecord_http_connections", "HTTP connections now", value=crowd.open)
        yield CounterMetricFamily("onrecord_http_refused", "Requests that broke a rule or a limit", value=crowd.refused)
        yield CounterMetricFamily("onrecord_http_overdue", "Connections closed at a deadline", value=crowd.overdue)
        yield CounterMetricFamily("onrecord_http_gave_way", "Closed because the door was full", value=crowd.gave_way)


class JudgementCollector(Collector):
    """What was noticed and judged. Open findings and alarms are some seconds old."""

    def __init__(self, judging: Judging, seats: int) -> None:
        self._judging = judging
        self._seats = seats

    def collect(self) -> Iterator[Metric]:
        counts = self._judging.counts
        raised = CounterMetricFamily("onrecord_findings_raised", "Findings raised", labels=["finding"])
        for finding, count in counts.raised.items():
            raised.add_metric([finding], count)
        open_ = GaugeMetricFamily("onrecord_findings_open", "Findings that last now", labels=["finding"])
        for finding, count in counts.open.items():
            open_.add_metric([finding], count)
        verdicts = CounterMetricFamily("onrecord_verdicts", "Verdicts on duties told", labels=["verdict"])
        for verdict, count in counts.verdicts.items():
            verdicts.add_metric([verdict], count)
        yield from (raised, open_, verdicts)
        yield GaugeMetricFamily("onrecord_judged_steps", "Steps of cases that are watched", value=counts.steps)
        yield GaugeMetricFamily(
            "onrecord_alarms_per_10_min",
            "Findings of high or critical severity in ten minutes of the last hour, for each person who watches live",
            value=counts.alarms_per_10_min(self._seats),
        )
        is_held = self._judging.rulebook.current is not None
        yield GaugeMetricFamily("onrecord_rules_in_force", "1 while a set of rules judges", value=int(is_held))
        yield GaugeMetricFamily(
            "onrecord_rules_refused", "1 while newer files of rules are wrong",
            value=int(bool(self._judging.rulebook.refusal)),
        )  # fmt: skip


class FacesCollector(Collector):
    """How many persons' faces are stored, half a second old, and at how many it is told and stopped."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces

    def collect(self) -> Iterator[Metric]:
        faces = self._faces
        yield GaugeMetricFamily("onrecord_faces_stored", "Persons whose faces are stored", value=faces.count)
        yield GaugeMetricFamily("onrecord_faces_alarm", "Persons at which it is told", value=faces.alarm)
        yield GaugeMetricFamily(
            "onrecord_faces_limit", "Persons at which enrolment stops", value=faces.settings.most_persons
        )


class WorkersCollector(Collector):
    """Of the workers that this server runs."""

    def __init__(self, workers: WorkerChildren | None) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        alive, restarts = (0, 0) if self._workers is None else (self._workers.alive, self._workers.restarts)
        yield GaugeMetricFamily("onrecord_workers", "Analysis workers of this server that run", value=alive)
        yield CounterMetricFamily("onrecord_worker_restarts", "Workers that ended and were begun anew", value=restarts)


def render(
    runtime: Runtime, crowd: Crowd, workers: WorkerChildren | None = None, judging: Judging | None = None,
    faces: Faces | None = None,
) -> bytes:  # fmt: skip
    """The page as Prometheus text."""
    registry = CollectorRegistry()
    if judging is not None:
        registry.register(JudgementCollector(judging, seats(runtime)))
    if faces is not None:
        registry.register(FacesCollector(faces))
    registry.register(WorkersCollector(workers))
    registry.register(RuntimeCollector(runtime))
    registry.register(CrowdCollector(crowd))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)
