"""What was said, as subtitles: WebVTT and SubRip. Plain text work; knows no store and no clock.

A cue has two lines at most, each as wide as 20 Chinese characters (Latin letters count half). Its times come from the
words' own, where the model gave them and nobody changed the text; else the utterance's time is shared out by width.
Sources: W3C WebVTT 1.0, 4.1 to 4.3 and 5.1; SubRip has no standard, written as VLC and FFmpeg read it.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from cases.words import Said, is_demo_model

WIDEST = 20.0  # of a line, in Chinese characters
_LINES = 2
_ATOM = re.compile(
    r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef][，。！？；：、,.!?;:”’）》」]*|\s*[^\s\u2e80-\u9fff]+|\s+|."
)
_RESTS = "，。！？；：、,.!?;:"
_ENDS = "。！？!?"
_SPEAKERS = {"wearer": "佩戴者", "other": "对方"}
_NOTICE_S = 2.0


@dataclass(frozen=True, slots=True)
class Cue:
    """Times in seconds of the recording's axis."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]
    said: Said


@dataclass(frozen=True, slots=True)
class _Line:
    """first, end: where it stands in the utterance's text."""

    first: int
    end: int
    text: str


def cues_of(said: Sequence[Said]) -> list[Cue]:
    """In their order; an utterance without a sign that is seen has none."""
    return [cue for each in said for cue in _cues(each)]


def vtt(said: Sequence[Said], zero_s: float = 0.0) -> str:
    """WebVTT. zero_s: the second of the recording that is the subtitles' time 0; what lies before it is left out."""
    parts = ["WEBVTT", *(f"NOTE\n{line}" for line in notices(said))]
    for number, cue in enumerate(_moved(cues_of(said), zero_s), 1):
        if cue.said.correction is not None:
            parts.append(f"NOTE\n{_plain(f'已由 {cue.said.correction.by_name} 核对更正').replace('-->', '->')}")
        text = "\n".join(_escaped(line) for line in cue.lines)
        speaker = _SPEAKERS.get(cue.said.speaker, "")
        times = f"{_time(cue.start_s, '.')} --> {_time(cue.end_s, '.')}"
        parts.append(f"{number}\n{times}\n{f'<v {speaker}>' if speaker else ''}{text}")
    return "\n\n".join(parts) + "\n"


def srt(said: Sequence[Said], zero_s: float = 0.0) -> str:
    """SubRip, which has no notes: that a machine made it is its first cue. zero_s: as for `vtt`."""
    cues = _moved(cues_of(said), zero_s)
    told = [(0.0, _NOTICE_S, "\n".join(notices(said)))] if cues else []
    for cue in cues:
        speaker = _SPEAKERS.get(cue.said.speaker, "")
        text = "\n".join(line.replace("<", "＜").replace(">", "＞") for line in cue.lines)  # players read tags there
        told.append((cue.start_s, cue.end_s, f"{speaker}：{text}" if speaker else text))
    return "\n".join(
        f"{number}\n{_time(start_s, ',')} --> {_time(end_s, ',')}\n{text}\n"
        for number, (start_s, end_s, text) in enumerate(told, 1)
    )


def notices(said: Sequence[Said]) -> list[str]:
    """What a reader must know: who made these words, and how far a person checked them."""
    models = sorted({each.model for each in said})
    named = "、".join(f"{_plain(model)}（演示模型）" if is_demo_model(model) else _plain(model) for model in models)
    checked = sum(each.correction is not None for each in said)
    if not said:
        return ["没有识别到话语 No words were recognised."]
    state = "未经核对" if checked == 0 else f"{checked}/{len(said)} 句经人工核对"
    return [
        f"机器识别，{state}；模型：{named}".replace("-->", "->"),
        f"Made by a machine; {checked} of {len(said)} utterances checked by a person.",
    ]


def _cues(said: Said) -> list[Cue]:
    text = _plain(said.text)
    lines = _lines(text)
    times = _times(said, text)
    groups: list[list[_Line]] = []
    for line in lines:
        is_full = not groups or len(groups[-1]) == _LINES or groups[-1][-1].text[-1] in _ENDS
        if is_full:
            groups.append([line])
        else:
            groups[-1].append(line)
    found = []
    for group in groups:
        start_s, end_s = times[group[0].first][0], times[group[-1].end - 1][1]
        found.append(Cue(start_s, max(end_s, start_s + 0.001), tuple(line.text for line in group), said))
    return found


def _lines(text: str) -> list[_Line]:
    """Broken behind the last rest where the line is half full by then, else before what is too much."""
    lines: list[_Line] = []
    first = 0
    while first < len(text):
        end = rest = first
        for atom in _atoms(text, first):
            if _width(text[first : end + len(atom)].strip()) > WIDEST:
                break
            end += len(atom)
            if text[first:end].rstrip()[-1:] in _RESTS:
                rest = end
        else:
            rest = end
        if _width(text[first:rest].strip()) < WIDEST / 2:
            rest = end
        shown = text[first:rest].strip()
        if shown:
            begin = first + len(text[first:rest]) - len(text[first:rest].lstrip())
            lines.append(_Line(begin, begin + len(shown), shown))
        first = rest
    return lines


def _atoms(text: str, first: int) -> list[str]:
    """What is not torn apart, from `first` on; a word wider than a line is, all the same."""
    found: list[str] = []
    for match in _ATOM.finditer(text, first):
        atom = match.group()
        found += [atom] if _width(atom.strip()) <= WIDEST else list(atom)
        if len(found) > 4 * WIDEST:
            return found
    return found


def _width(text: str) -> float:
    return sum(1.0 if unicodedata.east_asian_width(sign) in "WF" else 0.5 for sign in text)


def _times(said: Said, text: str) -> list[tuple[float, float]]:
    """From and until when each sign of `text` is spoken, never going back and within the utterance."""
    return _word_times(said, text) or _shared_out(said, text)


def _word_times(said: Said, text: str) -> list[tuple[float, float]] | None:
    """None: the model gave no times, or not those of this text."""
    times: list[tuple[float, float]] = []
    at_s = said.start_s
    for line in said.word_times.splitlines():
        match = re.fullmatch(r"(\d{1,9})-(\d{1,9}) (.+)", line)
        word = "" if match is None else _plain(match[3])
        place = text.find(word, len(times)) if word else -1
        if match is None or place < 0 or text[len(times) : place].strip():
            return None
        low_s = min(max(said.start_s + int(match[1]) / 1000, at_s), said.end_s)
        at_s = min(max(said.start_s + int(match[2]) / 1000, low_s), said.end_s)
        times += [(low_s, low_s)] * (place - len(times)) + [(low_s, at_s)] * len(word)
    return times if times and len(times) == len(text) else None


def _shared_out(said: Said, text: str) -> list[tuple[float, float]]:
    whole, done = max(_width(text), 0.5), 0.0
    times = []
    for sign in text:
        low_s = said.start_s + (said.end_s - said.start_s) * done / whole
        done += _width(sign)
        times.append((low_s, said.start_s + (said.end_s - said.start_s) * done / whole))
    return times


def _moved(cues: Sequence[Cue], zero_s: float) -> list[Cue]:
    return [
        Cue(max(0.0, cue.start_s - zero_s), cue.end_s - zero_s, cue.lines, cue.said)
        for cue in cues
        if cue.end_s > zero_s
    ]


def _plain(text: str) -> str:
    """One line; without what is no sign, or turns the direction of writing."""
    return " ".join(
        "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cf", "Cs") or sign in "\n\t").split()
    )


def _escaped(text: str) -> str:
    """Source: WebVTT, 4.2.2: in a cue's text & and < have a meaning, and --> would end it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    whole_ms = max(0, round(seconds * 1000))
    seconds_, ms = divmod(whole_ms, 1000)
    return f"{seconds_ // 3600:02}:{seconds_ // 60 % 60:02}:{seconds_ % 60:02}{point}{ms:03}"
