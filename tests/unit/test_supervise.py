"""What one task does wrong ends no other, and its message is kept nowhere."""

from collections.abc import Callable

import anyio
from structlog.testing import capture_logs

from pipeline.clock import SystemClock
from pipeline.errors import KeyUnknown
from pipeline.ingest.addresses import Addresses
from pipeline.ingest.door import Publication
from pipeline.ingest.pull.pulls import Pulls
from pipeline.media import Device
from pipeline.settings import PullSettings, Settings
from pipeline.sources import Source, parse_source
from pipeline.supervise import Mistake, supervise

LIMIT_S = 10.0


def test_a_task_that_fails_is_told_by_kind_and_place_and_begun_anew() -> None:
    told: list[Mistake] = []
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ZeroDivisionError("s3cret")

    async def main() -> None:
        with anyio.fail_after(LIMIT_S):
            await supervise(work, told.append, 1.0)

    anyio.run(main)
    assert runs == 2
    [mistake] = told
    assert mistake.kind == "ZeroDivisionError"
    assert mistake.at.startswith("tests/unit/test_supervise.py:")
    assert "s3cret" not in repr(mistake)


class ClosedDoor:
    def open_device(self, device: Device, kick: Callable[[str], None]) -> Publication:  # noqa: ARG002 - the form of a PullDoor
        raise KeyUnknown


class TwoSources:
    def sources(self) -> tuple[Source, ...]:
        names = ("bad", "good")
        return tuple(Source(Device(name, name, "", ""), parse_source(f"rtsp://{name}.test/a")) for name in names)


def test_a_mistake_in_one_source_leaves_the_others_and_the_server_alone() -> None:
    """The fault is injected where no error of ours is expected: in the resolver."""
    asked: list[str] = []

    async def resolve(host: str) -> tuple[str, ...]:
        asked.append(host)
        if host == "bad.test":
            raise KeyError("p4ssword")
        raise OSError

    settings = Settings(pull=PullSettings(retry_max_s=1.0))
    pulls = Pulls(settings, TwoSources(), ClosedDoor(), Addresses((), resolve), SystemClock())

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pulls.run)
            with anyio.fail_after(LIMIT_S):
                while pulls.counts.mistakes < 2 or asked.count("good.test") < 2:
                    await anyio.sleep(0.02)
            assert pulls.known == 2
            tasks.cancel_scope.cancel()

    with capture_logs() as lines:
        anyio.run(main)
    [line, *_] = [each for each in lines if "mistake" in str(each["event"])]
    assert (line["device_id"], line["kind"]) == ("bad", "KeyError")
    assert "p4ssword" not in str(lines)
