"""What is open on the streams that somebody watches, as the page hears of it."""

from api.schemas.analysis import open_findings_out
from pipeline.analyse.open_findings import OpenFindings
from pipeline.events import FindingRaised


def raised(stream_id: str, name: str) -> FindingRaised:
    return FindingRaised(
        at=1_795_000_000.5, stream_id=stream_id, recording_id="rec_1", finding_id=name, finding="black",
        group="integrity", severity="high", confidence=0.8, start_s=1.0, clip_start_s=0.0, clip_end_s=5.0,
        rule="pictures.black@1", explanation="画面全黑。", quotes="不该在这里",
    )  # fmt: skip


def test_only_watched_streams_are_told_of_and_no_words() -> None:
    found = OpenFindings(lambda: 0.0)
    for stream_id in ("st_1", "st_2"):
        found.raised(raised(stream_id, f"f of {stream_id}"), "owner")
    told = open_findings_out(found, frozenset(("st_1", "st_3")))
    assert told == {
        "streams": {
            "st_1": [
                {
                    "finding_id": "f of st_1", "finding": "black", "group": "integrity", "severity": "high",
                    "raised_at": "2026-11-18T11:06:40.500Z", "explanation": "画面全黑。",
                }
            ]
        }
    }  # fmt: skip
