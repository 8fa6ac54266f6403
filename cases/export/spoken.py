"""Spoken words as the page of a case shows them, in Chinese: who says so, and whether a person confirmed it."""

from collections.abc import Callable

from cases.facts import Fact
from cases.words import Correction, is_demo_model

UNCHECKED = "机器识别，未经核对"
_SPEAKERS = {"wearer": "佩戴者", "other": "对方"}


def lines_of(fact: Fact, correction: Correction | None, time: Callable[[int], str]) -> list[str]:
    """Of a WordsHeard, not escaped. correction: the newest in this case. time: UTC microseconds, written."""
    body = fact.body
    heard = str(body.get("text", ""))
    lines = [f"“{heard}”"]
    if normal := str(body.get("normal", "")):
        lines.append(f"规范写法：{normal}")
    if correction is None:
        lines.append(UNCHECKED)
    else:
        whom = f"{correction.by_name or correction.by}，{time(correction.at_us)}"
        said = "核对无误" if correction.text == heard else f"更正为“{correction.text}”"
        lines.append(f"{said}（{whom}）")
    model = str(body.get("model", ""))
    sure = body.get("confidence")
    lines += [
        f"说话人：{_SPEAKERS.get(str(body.get('speaker')), '未能区分')}",
        f"片段：{body.get('recording_id')}，{body.get('start_s')} 至 {body.get('end_s')} 秒",
        f"识别模型：{model}{'（演示模型，不用于真实语音）' if is_demo_model(model) else ''}",
    ]
    if isinstance(sure, int | float):
        lines.append(f"识别把握：{sure:.2f}{'，存疑' if body.get('is_doubtful') is True else ''}（未校准，0 至 1）")
    return lines
