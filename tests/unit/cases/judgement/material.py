"""Rules made for tests, and a record with a case whose step runs while devices record."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio

from cases.appender import Appender, Stored
from cases.casework import attaching, case_acts, kinds, people, recordings
from cases.casework.actor import Actor
from cases.casework.case_acts import CaseWanted
from cases.casework.rows import Case, Step
from cases.facts import JsonValue, fact_of
from cases.judgement.book import Book
from cases.judgement.desk import Desk
from cases.judgement.findings import Findings
from cases.judgement.heard import Source
from cases.judgement.judging import Judging
from cases.judgement.rulebook import Rulebook
from cases.rules.conduct import Hit
from cases.rules.hearing import Hearing
from cases.rules.ruleset import ConductRule, Duty
from cases.rules.said import Utterance
from cases.rules.verdicts import Judged, Verdict
from cases.store.engine import Store
from cases.tail import Tail
from cases.timeline import Question, page
from pipeline.events import Event, FindingRaised, RecordingStarted, StreamEnded, StreamStarted, WordsHeard
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.stores import opened

NOW_S = 1_795_000_000.0
WINDOW_S = 60.0


def duty(name: str, *, deadline_s: float | None = WINDOW_S, version: str = "a", is_required: bool = True) -> Duty:
    return Duty(
        duty=name, zh=f"表明{name}", en=name, law="行政处罚法", article=55, text="应当主动出示", severity="high",
        step_kinds=("inspection",), is_required=is_required, deadline_s=deadline_s, before=(), after=(),
        heard_share=0.9, longest_unheard_s=5.0, near_s=10.0, accepts_unknown=True, is_read=name == "certificate_shown",
        rule=f"{name}@{version}",
    )  # fmt: skip


BRIBE = ConductRule("bribe", "bribe_offered", "行贿", "bribe", "", None, "high", "any", True, (), 0.0, 0.0, "bribe@a")


@dataclass(frozen=True)
class State:
    duty: str
    is_open: bool
    window_end_s: float | None


class Spoken:
    """An automaton: a duty is observed where an officer says its name; else it is missing when its time is over."""

    def __init__(self, duties: Sequence[Duty], kind: str, started_s: float) -> None:
        self._duties = [each for each in duties if kind in each.step_kinds]
        self._started_s = started_s
        self._judged: dict[str, Judged] = {}
        self._asks: list[tuple[str, float, float]] = []

    def feed(self, utterance: Utterance) -> list[Judged]:
        found = []
        for each in self._duties:
            known = self._judged.get(each.duty)
            is_done = known is not None and known.verdict is Verdict.OBSERVED
            if not is_done and each.duty in utterance.text and utterance.speaker != "other":
                judged = Judged(
                    duty=each.duty, verdict=Verdict.OBSERVED, rule=each.rule, confidence=0.9,
                    start_s=utterance.start_s, end_s=utterance.end_s, event_ids=(utterance.event_id,),
                    quotes=(utterance.text,), coverage=1.0, why=f"听到{each.duty}。",
                )  # fmt: skip
                self._judged[each.duty] = judged
                found.append(judged)
                if each.is_read:
                    self._asks.append((each.duty, utterance.start_s - 10, utterance.end_s + 10))
        return found

    def seen(self, at_s: float, text: str, asked: str) -> list[Judged]:
        known = self._judged.get(asked)
        if known is None or "证" not in text:
            return []
        self._judged[asked] = Judged(
            duty=asked, verdict=known.verdict, rule=known.rule, confidence=0.97, start_s=known.start_s,
            end_s=max(known.end_s, at_s), event_ids=known.event_ids, quotes=known.quotes, coverage=1.0, why="也读到。",
        )  # fmt: skip
        return [self._judged[asked]]

    def due(self, now_s: float, hearing: Hearing) -> list[Judged]:
        return self._missing([each for each in self._duties if self._end_s(each) <= now_s], hearing, now_s)

    def finish(self, ended_s: float, hearing: Hearing) -> list[Judged]:
        return self._missing(self._duties, hearing, ended_s)

    def asks(self) -> list[tuple[str, float, float]]:
        return self._asks

    @property
    def state(self) -> tuple[State, ...]:
        return tuple(
            State(each.duty, each.duty not in self._judged, None if each.deadline_s is None else self._end_s(each))
            for each in self._duties
        )

    def _end_s(self, each: Duty) -> float:
        return float("inf") if each.deadline_s is None else self._started_s + each.deadline_s

    def _missing(self, duties: Sequence[Duty], hearing: Hearing, most_s: float) -> list[Judged]:
        found = []
        for each in duties:
            if each.duty in self._judged:
                continue
            end_s = min(self._end_s(each), most_s)
            share = hearing.share(self._started_s, end_s)
            verdict = Verdict.NOT_OBSERVED if share >= each.heard_share else Verdict.CANNOT_TELL
            why = f"听清{share:.0%}（{'、'.join(hearing.reasons(self._started_s, end_s))}）。"
            self._judged[each.duty] = Judged(
                duty=each.duty, verdict=verdict, rule=each.rule, confidence=0.8, start_s=self._started_s, end_s=end_s,
                coverage=share, why=why,
            )  # fmt: skip
            found.append(self._judged[each.duty])
        return found


class Overheard:
    """A listener: a bribe is where somebody says 红包; with a loud sound before it also a conflict."""

    def __init__(self) -> None:
        self._loud_s = -100.0

    def feed(self, utterance: Utterance) -> list[Hit]:
        if "红包" not in utterance.text:
            return []
        is_loud = utterance.start_s - self._loud_s < 5
        return [
            Hit(
                "conflict" if is_loud else "bribe_offered", "high", 0.8, BRIBE.rule, utterance.start_s,
                utterance.end_s, (utterance.event_id,), (utterance.text,), "听到的话符合“行贿”。",
            )
        ]  # fmt: skip

    def loud(self, finding: str, start_s: float, end_s: float) -> list[Hit]:
        del finding, start_s
        self._loud_s = end_s
        return []


def book(*names: str, version: str = "a", extra: Sequence[Duty] = ()) -> Book:
    duties = (*(duty(name, version=version) for name in names), *extra)
    return Book(version, "测试", duties, (BRIBE,), partial(Spoken, duties), Overheard)


@dataclass
class Side:
    """What judgement told the media side."""

    behind: dict[str, float] = field(default_factory=dict)
    shown: dict[str, tuple[FindingRaised, float | None]] = field(default_factory=dict)
    asked: list[tuple[str, float, float, str]] = field(default_factory=list)

    def behind_s(self) -> Mapping[str, float]:
        return self.behind

    def raised(self, event: FindingRaised, show_s: float | None) -> None:
        self.shown[event.finding_id] = event, show_s

    def gone(self, stream_id: str, finding_id: str) -> None:
        del stream_id
        self.shown.pop(finding_id, None)

    def read_text(self, source: Source, start_s: float, end_s: float, duty: str) -> None:
        self.asked.append((source.recording_id, start_s, end_s, duty))


@dataclass
class Court:
    """A store, a clock that is moved, and the judge's desk over it."""

    store: Store
    appender: Appender
    tail: Tail
    clock: ManualClock
    side: Side
    judging: Judging
    desk: Desk
    folder: Path

    @property
    def now_s(self) -> float:
        return self.clock.utc_s()

    def actor(self) -> Actor:
        return Actor("prin_1", "林晓岚", round(self.now_s * 1e6))

    async def case(self, number: str = "1") -> Case:
        wanted = CaseWanted(number=number, kind="food", class_="ordinary", title="超市案", party="")
        return await self.appender.change(partial(case_acts.open_case, actor=self.actor(), wanted=wanted))

    async def step(self, case: Case) -> Step:
        return await self.appender.change(
            partial(
                case_acts.start_step, actor=self.actor(), case_id=case.case_id, kind="inspection", kinds=kinds.load()
            )
        )

    async def end(self, step: Step) -> None:
        await self.appender.change(
            partial(case_acts.end_step, actor=self.actor(), case_id=step.case_id, step_id=step.step_id)
        )

    async def records(self, number: int, case: Case, step: Step | None = None) -> None:
        """A device whose recording belongs to the case from now on."""
        stream, recording, device = f"st_{number}", f"rec_{number}", f"dev_{number}"
        await self.tell(
            StreamStarted(at=self.now_s, stream_id=stream, device_id=device),
            RecordingStarted(at=self.now_s, stream_id=stream, recording_id=recording, device_id=device),
        )
        step_id = None if step is None else step.step_id
        await self.appender.change(
            partial(
                recordings.attach, actor=self.actor(), case_id=case.case_id, recording_id=recording, step_id=step_id
            )
        )

    async def carries(self, number: int) -> None:
        """An officer of his own carries the device."""
        officer = await self.appender.change(
            partial(
                people.add_officer,
                actor=self.actor(),
                name=f"李{number}",
                certificate_number=f"{number}",
                unit="东城所",
            )
        )
        await self.appender.change(
            partial(people.bind, actor=self.actor(), device_id=f"dev_{number}", officer_id=officer.officer_id)
        )

    async def stops(self, number: int) -> None:
        await self.tell(StreamEnded(at=self.now_s, stream_id=f"st_{number}", pts_s=0.0, reason="ended"))

    async def tell(self, *events: Event) -> None:
        await self.appender.append([fact_of(event) for event in events])

    def words(
        self, text: str, number: int = 1, *, start_s: float, length_s: float = 2.0, speaker: str = "wearer",
        model: str = "small@1", is_doubtful: bool = False,
    ) -> WordsHeard:  # fmt: skip
        """start_s: of the recording's axis; recordings begin at NOW_S."""
        return WordsHeard(
            at=NOW_S + start_s, stream_id=f"st_{number}", recording_id=f"rec_{number}", start_s=start_s,
            end_s=start_s + length_s, text=text, normal="", word_times="", language="zh", confidence=0.9,
            is_doubtful=is_doubtful, speaker=speaker, model=model,
        )  # fmt: skip

    async def turn(self, until_s: float | None = None) -> None:
        """All that was told is taken, and what is due by then. until_s: since NOW_S."""
        if until_s is not None:
            self.clock.now_s = NOW_S + until_s
        while self.desk.place < self.appender.size - 1:
            await self.desk.turn(1.0)
        await self.desk.turn(0.0)
        while self.desk.place < self.appender.size - 1:
            await self.desk.turn(1.0)

    async def facts(self, *kinds_: str) -> list[Stored]:
        async with self.store.reading() as connection:
            return await page(self.store, connection, Question(kinds=kinds_, limit=1000))

    async def verdicts(self) -> list[tuple[JsonValue, JsonValue]]:
        """Duty and verdict, in the order of the log."""
        found = sorted(await self.facts("ProcedureJudged"), key=lambda each: each.seq)
        return [(each.fact.body["duty"], each.fact.body["verdict"]) for each in found]

    def again(self) -> None:
        """The desk of the next run, over the same record."""
        self.side.shown.clear()
        self.desk = Desk(self.judging, self.store, self.appender, self.tail)


@contextlib.asynccontextmanager
async def court(where: StoreSettings, folder: Path, rules: Book) -> AsyncIterator[Court]:
    clock = ManualClock(now_s=NOW_S, utc_offset_s=0.0)
    async with opened(where, folder) as store:
        appender = await Appender.load(store, clock, [attaching.Attaching(), Findings()])
        tail, side = Tail(store, appender), Side()
        judging = Judging(Rulebook(folder / "rules", folder / "laws", lambda *_: rules), clock, side)
        judging.rulebook.current = rules
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(appender.run)
            tasks.start_soon(tail.run)
            made = Court(store, appender, tail, clock, side, judging, Desk(judging, store, appender, tail), folder)
            with anyio.fail_after(60):
                await made.desk.begin()
                yield made
            tasks.cancel_scope.cancel()
