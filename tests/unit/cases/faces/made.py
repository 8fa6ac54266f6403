"""A record with two cases, two officers and a filming camera; vectors made by hand; a searcher and an enrolment that
compute in plain Python what the real ones compute with arrays.
"""

import contextlib
import hashlib
import math
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
from sqlalchemy import Executable, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cases.appender import Appender
from cases.casework import attaching, case_acts, kinds, recordings
from cases.casework import people as officers
from cases.casework.actor import Actor
from cases.casework.case_acts import CaseWanted
from cases.casework.rows import Case, Officer, Step
from cases.custody.check_rows import Expected, of_rows, of_timelines
from cases.faces import galleries, people, switch
from cases.faces.enrolling import Enrolling
from cases.faces.galleries import GalleryWanted
from cases.faces.keeper import Keeper
from cases.faces.matching import Matching
from cases.faces.people import Who
from cases.faces.renewing import Renewing
from cases.faces.rows import Gallery, Person, Switch
from cases.faces.shapes import Bound, Enrolled, Held, Judged, Probe, Refused, likeness
from cases.faces.switch import SwitchWanted
from cases.faces.vault import Vault
from cases.facts import Fact, fact_of, parse_entry
from cases.store.engine import Store
from cases.store.tables import events
from pipeline.errors import ValueRefused, WorkerFailed
from pipeline.events import RecordingStarted, StreamStarted
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

T = TypeVar("T")
MODEL = "sface@1"
SIZE = 64
BOUND = Bound(0.5, 1e-4, 10_000, "measured")
_CROP = b"\xff\xd8crop of "
LAW = "行政处罚法第四十七条；人脸识别技术应用安全管理办法第四条"


def face(name: str, noise: float = 0.0) -> bytes:
    """The same name, the same face; strangers are nearly at right angles. noise: of another look."""
    chance = random.Random(name)
    numbers = [chance.gauss(0, 1) for _ in range(SIZE)]
    other = random.Random(f"{name} {noise}")
    numbers = [each + noise * other.gauss(0, 1) for each in numbers]
    length = math.sqrt(sum(each * each for each in numbers))
    return struct.pack(f"<{SIZE}f", *(each / length for each in numbers))


class FakeSearcher:
    """`Searcher` in plain Python. is_broken: its process died."""

    def __init__(self) -> None:
        self.sets: dict[str, list[Held]] = {}
        self.searched = 0
        self.is_broken = False

    async def load(self, set_id: str, templates: Sequence[Held]) -> None:
        self.sets[set_id] = list(templates)

    async def add(self, set_id: str, templates: Sequence[Held]) -> None:
        self.sets[set_id] += templates

    async def remove(self, set_id: str, person_id: str) -> None:
        self.sets[set_id] = [each for each in self.sets[set_id] if each.person_id != person_id]

    async def drop(self, set_id: str) -> None:
        self.sets.pop(set_id, None)

    async def close(self) -> None:
        self.sets.clear()

    async def search(self, set_id: str, vector: bytes, looks: int = 2, quality: float = 1.0) -> Judged:  # noqa: ARG002
        if self.is_broken:
            self.is_broken = False
            self.sets.clear()
            raise WorkerFailed("gone")
        self.searched += 1
        if set_id not in self.sets:
            raise WorkerFailed("nothing is held")
        best: dict[str, tuple[float, str]] = {}
        for each in self.sets[set_id]:
            near = (likeness(each.vector, vector), each.template_id)
            best[each.person_id] = max(near, best.get(each.person_id, near))
        order = sorted(best.items(), key=lambda pair: -pair[1][0])
        if not order:
            return Judged("unknown", "", "", -1.0, -1.0, BOUND)
        person_id, (similarity, template_id) = order[0]
        second = order[1][1][0] if len(order) > 1 else -1.0
        is_over = similarity >= BOUND.similarity and similarity - second >= 0.05
        decision = "suggested" if is_over else "near" if similarity >= BOUND.similarity - 0.1 else "unknown"
        return Judged(decision, person_id, template_id, similarity, second, BOUND)  # type: ignore[arg-type]


class FakeEnrolment:
    """Names as pictures: the face of that name; "no_face" and the like are refused. A crop is one that it gave.

    alike: who looks like whom to this model. broken: crops of these names are no pictures any more. asked: how often.
    """

    def __init__(self) -> None:
        self.model = MODEL
        self.alike: dict[str, str] = {}
        self.broken: set[str] = set()
        self.asked = 0

    async def enrol(self, kind: str, data: bytes) -> Enrolled | Refused:
        self.asked += 1
        name = data.removeprefix(_CROP if kind == "crop" else b"").decode()
        if kind == "crop" and name in self.broken:
            return Refused("unreadable", "told by the fake")
        if name in ("no_face", "several_faces", "blurred"):
            return Refused(name, "told by the fake")
        if name == "nan":
            return Enrolled(b"crop", struct.pack("<64f", *[math.nan] * SIZE), 0.5, self.model, "yunet@1")
        who, _, noise = name.partition("~")
        vector = face(self.alike.get(who, who), float(noise or 0))
        return Enrolled(_CROP + name.encode(), vector, 0.8, self.model, "yunet@1")


class Site:
    """Owned by one test. Times by its clock."""

    def __init__(self, store: Store, appender: Appender, data: Path, clock: ManualClock) -> None:
        self.store, self.appender, self.data, self.clock = store, appender, data, clock
        self.vault = Vault(data / "faces-keys")
        self.searcher, self.enrolment = FakeSearcher(), FakeEnrolment()
        self.matching = Matching(store, appender, self.vault, self.searcher, clock)
        self.keeper = Keeper(store, appender, self.vault, self.matching, clock)
        self.most_persons = 100
        self.cases: list[Case] = []
        self.steps: list[Step] = []
        self.officers: list[Officer] = []

    @property
    def now_us(self) -> int:
        return round(self.clock.utc_s() * 1e6)

    @property
    def enrolling(self) -> Enrolling:
        return Enrolling(
            self.store, self.appender, self.vault, self.matching, self.enrolment, self.most_persons
        )  # fmt: skip

    @property
    def renewing(self) -> Renewing:
        return Renewing(self.store, self.appender, self.vault, self.matching, self.enrolling)

    def actor(self, by: str = "usr_lin") -> Actor:
        self.clock.now_s += 0.001
        return Actor(by, by, self.now_us)

    async def write(self, statement: Executable) -> None:
        """Behind the log's back."""

        async def act(connection: AsyncConnection) -> tuple[None, Sequence[Fact]]:
            await connection.execute(statement)
            return None, ()

        await self.appender.change(act)

    async def fill(self) -> None:
        for number in ("1", "2"):
            wanted = CaseWanted(number=number, kind="food", class_="ordinary", title="案", party="某店", unit="东")
            case = await self.appender.change(partial(case_acts.open_case, actor=self.actor(), wanted=wanted))
            self.cases.append(case)
            step: Step = await self.appender.change(
                partial(
                    case_acts.start_step, actor=self.actor(), case_id=case.case_id, kind="inspection",
                    kinds=kinds.load(),
                )
            )  # fmt: skip
            self.steps.append(step)
            officer = await self.appender.change(
                partial(
                    officers.add_officer, actor=self.actor(), name=f"警{number}", certificate_number=number, unit="东"
                )
            )
            self.officers.append(officer)
        at = self.clock.utc_s()
        for name in ("1", "2"):
            names = {"stream_id": f"st_{name}", "device_id": f"dev_{name}"}
            begun = RecordingStarted(at=at, recording_id=f"rec_{name}", unit="东", **names)
            await self.appender.append([fact_of(StreamStarted(at=at, **names)), fact_of(begun)])
        await self.appender.change(
            partial(
                recordings.attach, actor=self.actor(), case_id=self.cases[0].case_id, recording_id="rec_1", step_id=None
            )
        )

    async def ask(self, days: float = 30, by: str = "usr_sec", told: Mapping[str, str] | None = None) -> Switch:
        plain = {
            "legal_basis": LAW,
            "approver": "法制科长",
            "assessment_id": "PIA-2026-07",
            "reason": "专项执法",
        }
        wanted = SwitchWanted(expires_us=self.now_us + round(days * 86_400e6), **{**plain, **(told or {})})
        return await self.appender.change(partial(switch.ask, actor=self.actor(by), wanted=wanted, most_days=365))

    async def on(self, days: float = 30) -> Switch:
        found = await self.ask(days=days)
        return await self.appender.change(
            partial(switch.approve, actor=self.actor("usr_rev"), switch_id=found.switch_id)
        )

    async def gallery(self, case: Case | None, days: float = 10) -> Gallery:
        wanted = GalleryWanted(
            kind="roster" if case is None else "case", case_id=None if case is None else case.case_id, legal_basis=LAW,
            notice="本次执法全程录像并比对人脸。", expires_us=self.now_us + round(days * 86_400e6),
        )  # fmt: skip
        return await self.appender.change(partial(galleries.open_gallery, actor=self.actor(), wanted=wanted))

    async def enrol(self, gallery: Gallery, picture: str, by: str = "usr_lin", **who: str) -> Person:
        told = {"basis": "本案当事人，身份证已核对", "name": "" if "officer_id" in who else "张三", **who}
        return await self.enrolling.enrol(
            self.actor(by), gallery.gallery_id, Who(**told), "picture", "photos", [picture.encode()]
        )

    async def confirm(self, person: Person, by: str = "usr_wang") -> Person:
        found = await self.appender.change(
            partial(people.confirm, actor=self.actor(by), person_id=person.person_id)
        )  # fmt: skip
        await self.matching.enrolled(person.gallery_id, person.person_id)
        return found

    def probe(self, picture: str, stream: str = "1", track: int = 1, shot: bytes = b"\xff\xd8shot") -> Probe:
        who, _, noise = picture.partition("~")
        return Probe(
            stream_id=f"st_{stream}", recording_id=f"rec_{stream}", work_id="work_1", track=track, first=True,
            start_s=1.0, at_s=2.0, looks=5, model=self.enrolment.model, detector="yunet@1", quality=0.8,
            vector=face(who, float(noise or 0)), shot=shot,
        )  # fmt: skip

    async def facts(self, kind: str = "") -> list[Fact]:
        asked = select(events.c.entry).order_by(events.c.seq)
        if kind:
            asked = asked.where(events.c.kind == kind)
        async with self.store.reading() as connection:
            return [parse_entry(row[0].encode())[0] for row in await connection.execute(asked)]

    async def read(self, ask: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self.store.reading() as connection:
            return await ask(connection)

    async def defects(self) -> list[str]:
        """What `verify` finds in the tables."""
        expected = Expected()
        for fact in await self.facts():
            expected.take(fact)
        async with self.store.reading() as connection:
            found = [f"{each.file}: {each.detail}" async for each in of_rows(connection, expected)]
            return found + [f"{each.file}: {each.detail}" async for each in of_timelines(connection)]


@contextlib.asynccontextmanager
async def site(where: StoreSettings, data: Path, clock: ManualClock | None = None) -> AsyncIterator[Site]:
    clock = clock or ManualClock()
    async with opened(where, data) as store:
        appender = await Appender.load(store, clock, [attaching.Attaching()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            made = Site(store, appender, data, clock)
            await made.fill()
            yield made
            assert await made.defects() == []
            tasks.cancel_scope.cancel()


def digest_of(folder: Path) -> str:
    """Of all files, to see that nothing was written."""
    raw = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return hashlib.sha256(raw).hexdigest()


__all__ = ["FakeEnrolment", "FakeSearcher", "Site", "ValueRefused", "digest_of", "face", "site"]
