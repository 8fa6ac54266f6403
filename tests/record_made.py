"""A small whole record: two recordings, their facts, a case with everything a case can have, signed heads."""

from functools import partial
from pathlib import Path

import anyio

from cases.appender import Appender
from cases.casework import attach_rules, attaching, case_acts, kinds, people
from cases.casework.actor import Actor
from cases.casework.attach_rules import RuleWanted
from cases.casework.case_acts import CaseWanted, ItemWanted, NoteWanted
from cases.casework.rows import Case
from cases.custody.checkpoint import SignedHead
from cases.custody.heads import Heads
from cases.facts import fact_of
from cases.uploads import kept
from cases.uploads.kinds import FileKind
from cases.uploads.parts import Upload
from cases.uploads.register import register
from pipeline.events import Event, StreamEnded, StreamStarted
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened
from tests.unit.record.material import DEVICE, STARTED_AT, BrokenDisk, Site, fragments

SECONDS = 3.0
PHOTO = FileKind("photo", "image/jpeg")


async def record(where: StoreSettings, data: Path, *, sm3: bool = False) -> tuple[Case, list[SignedHead]]:
    """The case, and the heads: one before the recordings, one over everything."""
    signer = Signer.load(data / "keys")
    clock = ManualClock()
    async with opened(where, data) as store:
        appender = await Appender.load(store, clock, [attaching.Attaching()], sm3=sm3)
        heads = Heads(store, appender, signer, clock, data, 60, sm3=sm3)
        now_us = int(STARTED_AT * 1_000_000) - 60_000_000

        def actor() -> Actor:
            nonlocal now_us
            now_us += 1_000_000
            return Actor("prin_1", "林晓岚", now_us)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            wanted = CaseWanted(
                number="京市监案〔2026〕1号", kind="food", class_="ordinary", title="超市案", party="惠民超市"
            )
            case = await appender.change(partial(case_acts.open_case, actor=actor(), wanted=wanted))
            other = CaseWanted(number="2", kind="food", class_="ordinary", title="另一案", party="")
            other_case = await appender.change(partial(case_acts.open_case, actor=actor(), wanted=other))
            step = await appender.change(
                partial(case_acts.start_step, actor=actor(), case_id=case.case_id, kind="filing", kinds=kinds.load())
            )
            officer = await appender.change(
                partial(people.add_officer, actor=actor(), name="李四", certificate_number="京-1", unit="执法一队")
            )
            await appender.change(
                partial(people.bind, actor=actor(), device_id=DEVICE.device_id, officer_id=officer.officer_id)
            )
            await appender.change(
                partial(
                    people.start_task, actor=actor(), officer_id=officer.officer_id, case_id=case.case_id,
                    step_id=step.step_id,
                )
            )  # fmt: skip
            long_ago = RuleWanted(
                device_id=DEVICE.device_id, device_name=DEVICE.name, unit=DEVICE.unit, from_us=1, until_us=2, place="x"
            )
            await appender.change(
                partial(attach_rules.set_rule, actor=actor(), case_id=other_case.case_id, wanted=long_ago)
            )
            signed = [await heads.sign_now()]
            told = await _recorded(data, "st_a")
            told += await _recorded(data, "st_b")
            await appender.append([fact_of(event) for event in told])
            await appender.change(
                partial(
                    case_acts.add_note, actor=actor(), case_id=case.case_id,
                    wanted=NoteWanted(text="货架上有过期酸奶 three boxes <script>"),
                )
            )  # fmt: skip
            await appender.change(
                partial(
                    case_acts.add_note, actor=actor(), case_id=other_case.case_id, wanted=NoteWanted(text="别的案子"),
                )
            )  # fmt: skip
            item = ItemWanted(kind="paper", title="现场笔录", shelf_mark="A-3-12")
            kept = await appender.change(partial(case_acts.add_item, actor=actor(), case_id=case.case_id, wanted=item))
            await appender.change(
                partial(
                    case_acts.withdraw_item, actor=actor(), case_id=case.case_id, item_id=kept.item_id, reason="重复"
                )
            )
            await appender.change(
                partial(register, actor=actor(), upload=_sent(data, case.case_id), kind=PHOTO, late_s=86_400.0)
            )
            await appender.change(partial(people.end_task, actor=actor(), officer_id=officer.officer_id))
            await appender.change(
                partial(case_acts.end_step, actor=actor(), case_id=case.case_id, step_id=step.step_id)
            )
            case = await appender.change(
                partial(
                    case_acts.change_case,
                    actor=actor(),
                    case_id=case.case_id,
                    version=1,
                    wanted={"title": "惠民超市案"},
                )
            )
            signed.append(await heads.sign_now())
            tasks.cancel_scope.cancel()
    return case, signed


def _sent(data: Path, case_id: str) -> Upload:
    """A photo that came, and is kept."""
    part = data / "photo.part"
    part.write_bytes(b"\xff\xd8\xff of the shop's door")
    sha256 = kept.sha256_of(part)
    kept.keep(data, part, sha256)
    part.unlink()
    return Upload(
        upload_id="upl_1", sent_by="prin_1", sent_name="林晓岚", unit="", case_id=case_id, device_id="",
        name="门头.jpg", declared="", wanted_sha256=sha256, captured_us=1, size_bytes=24, created_us=1, expires_us=1,
        sha256=sha256,
    )  # fmt: skip


async def _recorded(data: Path, stream_id: str) -> list[Event]:
    """A recording of three segments, and what was told of it."""
    site = Site(data / "recordings", disk=BrokenDisk(), signer=Signer.load(data / "keys"))
    recording = site.open_as(stream_id)
    for number, fragment in enumerate(fragments(SECONDS), 1):
        recording.offer(fragment)
        site.clock.now_s = max(site.clock.now_s, fragment.end_s)
        if number % 20 == 0:
            await site.recorder.commit()
    await site.finish(recording)
    started = StreamStarted(at=STARTED_AT, stream_id=stream_id, device_id=DEVICE.device_id)
    ended = StreamEnded(at=STARTED_AT + SECONDS, stream_id=stream_id, pts_s=SECONDS, reason="ended")
    return [started, *site.events, ended]
