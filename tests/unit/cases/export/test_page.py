"""The page of a case: spoken words with their clip, the model, and whether a person confirmed them; all escaped."""

import html
import re
import zipfile
from pathlib import Path

import anyio

from cases.appender import Appender
from cases.casework import attaching
from cases.casework.actor import Actor
from cases.casework.corrections import correct_words
from cases.custody.heads import Heads
from cases.export import console, standalone
from cases.export.spoken import UNCHECKED
from cases.facts import fact_of
from cases.store.engine import Store
from pipeline.events import WordsHeard
from pipeline.record.signing import Signer
from pipeline.settings import StoreSettings
from tests.made import ManualClock
from tests.record_made import record
from tests.stores import opened
from tests.unit.record.material import STARTED_AT

NUMBER = "京市监案〔2026〕1号"


def heard(text: str, start_s: float, model: str = "sense@1", normal: str = "") -> WordsHeard:
    return WordsHeard(
        at=STARTED_AT + start_s, stream_id="st_a", recording_id="rec_a", start_s=start_s, end_s=start_s + 0.5,
        text=text, normal=normal, word_times="", language="zh", confidence=0.4, is_doubtful=True, speaker="wearer",
        model=model,
    )  # fmt: skip


def rows(page: str) -> list[str]:
    """The text of each row about words."""
    found = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", "\n", row)) for row in found if ">话语" in row]


def test_words_stand_on_the_page_with_their_clip_their_model_and_whether_a_person_confirmed_them(
    tmp_path: Path,
) -> None:
    told = [
        heard("罚款五百一十元", 1, normal="罚款510元"), heard("出示正件<b>", 1.5, "whisper-demo-zh@1"),
        heard("您好", 2), heard("谢谢", 2.5),
    ]  # fmt: skip

    async def make() -> None:
        case, _ = await record(StoreSettings(), tmp_path)
        async with opened(StoreSettings(), tmp_path) as store:
            appender = await Appender.load(store, ManualClock(), [attaching.Attaching()])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(appender.run)
                await appender.append([fact_of(each) for each in told])
                for number, (which, text) in enumerate(((1, "出示证件"), (2, "你好"), (2, "您好"))):
                    actor = Actor("prin_1", "林晓岚", int(STARTED_AT + 60 + number) * 1_000_000)
                    await appender.change(
                        lambda connection, actor=actor, which=which, text=text: correct_words(  # type: ignore[misc]
                            connection, actor, case.case_id, told[which].event_id, text
                        )
                    )
                await _signed(store, appender, tmp_path)
                tasks.cancel_scope.cancel()
        await console.export(StoreSettings(), tmp_path, NUMBER, tmp_path / "case.zip", "tester")

    anyio.run(make)
    assert standalone.check(str(tmp_path / "case.zip")).defects == []
    with zipfile.ZipFile(tmp_path / "case.zip") as file:
        page = file.read("timeline.html").decode()
    shown = rows(page)
    heard_rows = [row for row in shown if "\n话语\n" in row]
    money, certificate, hello, thanks = heard_rows
    for row in (money, thanks):
        assert UNCHECKED in row
    assert "“罚款五百一十元”" in money
    assert "规范写法：罚款510元" in money
    assert "片段：rec_a，1 至 1.5 秒" in money
    assert "说话人：佩戴者" in money
    assert "识别把握：0.40，存疑" in money
    assert "识别模型：sense@1\n" in money
    assert "识别模型：whisper-demo-zh@1（演示模型，不用于真实语音）" in certificate
    assert "“出示正件<b>”" in certificate
    assert "<b>" not in page
    assert "更正为“出示证件”（林晓岚，" in certificate
    assert "核对无误（林晓岚，" in hello
    for row in (certificate, hello):
        assert UNCHECKED not in row
    corrected = [row for row in shown if "\n话语核对更正\n" in row]
    assert len(corrected) == 3
    assert "内容：出示证件" in corrected[0]
    assert "此前文字 SHA-256：" in corrected[0]


async def _signed(store: Store, appender: Appender, data: Path) -> None:
    await Heads(store, appender, Signer.load(data / "keys"), ManualClock(), data, 60).sign_now()
