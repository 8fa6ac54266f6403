"""The timeline as a page to read and to print, in Chinese. No script, nothing from outside, every text escaped."""

import html
import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta, timezone

from cases.casework import kinds
from cases.casework.actor import PROGRAM
from cases.custody.checkpoint import SignedHead
from cases.export import spoken
from cases.export.case_file import Entry
from cases.facts import JsonValue
from cases.words import Correction

_BEIJING = timezone(timedelta(hours=8))
_LATE_US = 60_000_000
_KINDS = {
    "CaseOpened": "立案登记", "CaseChanged": "案件信息变更", "NoteAdded": "备注", "StepStarted": "环节开始",
    "StepEnded": "环节结束", "ItemAdded": "加入材料", "ItemWithdrawn": "撤回材料", "RecordingAttached": "关联录像",
    "AttachRuleSet": "按设备、时段、地点关联录像", "AttachRuleUndone": "撤销按设备、时段、地点的关联",
    "RecordingDetached": "取消关联录像", "TaskStarted": "任务开始", "TaskEnded": "任务结束",
    "StreamStarted": "开始推流",
    "StreamInterrupted": "推流中断", "StreamResumed": "推流恢复", "StreamEnded": "推流结束",
    "RecordingStarted": "开始录制",
    "SegmentClosed": "录像分段封存", "MediaLost": "录像缺失", "RecordingFailed": "录制故障",
    "RecordingRestored": "录制恢复",
    "TimestampsRepaired": "时间戳修正", "ViewStarted": "开始观看", "ViewEnded": "结束观看", "RelayStarted": "开始转发",
    "RelayInterrupted": "转发中断", "RelayEnded": "转发结束", "ExportMade": "导出案卷",
    "WordsHeard": "话语", "WordsCorrected": "话语核对更正", "WordsFetched": "调阅话语文字", "AnalysisGap": "分析缺口",
    "AnalysisGapClosed": "分析补齐", "AnalysisEased": "分析降级",
    "TextSeen": "画面文字", "FindingRaised": "发现问题（未经人工确认，不作证据）", "FindingEnded": "问题结束",
    "FindingReviewed": "人工复核问题", "ProcedureJudged": "程序规则判定（未经人工确认，不作证据）",
    "UploadReceived": "收到上传", "UploadLate": "上传迟于规定", "UploadAhead": "所述拍摄时间晚于收到",
    "ItemFetched": "取走副本", "StillTaken": "截取照片", "ClipMade": "截取片段",
    "ClipBlurred": "遮蔽人脸的片段副本",
    "FaceSearchOrdered": "要求在录像中查找人脸",
    "FaceSearched": "与人脸库比对", "FaceSuggested": "人脸比对提示（未经两人确认，不作证据）",
    "FaceOpinionGiven": "给出比对意见（两人一致前不公开内容）", "FaceConfirmed": "两人确认人脸比对",
    "FaceRejected": "人脸比对被否定",
    "FaceNoticeDue": "须告知被拍摄者", "GalleryOpened": "建人脸库", "GalleryClosed": "关闭人脸库，销毁密钥",
    "PersonProposed": "提议入库", "PersonEnrolled": "入库", "PersonRefused": "不予入库", "PersonDeleted": "从库中删除",
    "EnrolmentRefused": "比对后未予登记",
    "TemplateRenewed": "按新模型重新提取人脸特征", "TemplateNotRenewed": "未能按新模型重新提取",
}  # fmt: skip
_FIELDS = {
    "text": "内容", "reason": "原因", "cause": "原因", "title": "标题", "file": "文件", "sha256": "SHA-256",
    "size_bytes": "字节数", "start_s": "起（秒）", "end_s": "止（秒）", "recording_id": "录像编号", "number": "案号",
    "party": "当事人", "step_kind": "环节", "item_kind": "材料类型", "shelf_mark": "档案架号",
    "watched_s": "观看时长（秒）",
    "officer": "执法人员", "device_id": "设备", "how": "方式", "remedy": "处置", "pts_s": "位置（秒）",
    "changed": "变更",
    "class": "案件类别", "state": "状态", "kind": "案件类型", "version": "版本", "relay": "转发规则", "packets": "包数",
    "events": "事件数", "recordings": "录像数", "head_size": "日志头", "defects": "原件缺陷", "count": "次数",
    "case_kind": "案件类型", "index_sha256": "索引 SHA-256", "media": "片段",
    "of_event": "所更正的事件", "previous_sha256": "此前文字 SHA-256", "stage": "分析环节", "behind_s": "落后（秒）",
    "model": "模型", "form": "格式", "spans": "范围（秒）",
    "name": "文件名", "type": "文件类型", "lost_s": "缺失（秒）", "late_s": "拍摄后（秒）", "allowed_s": "规定（秒）",
    "ahead_s": "晚于收到（秒）",
    "captured_at_us": "拍摄时间（微秒，UTC）", "is_checksum_of_sender": "与发送方校验和一致", "unit": "机构",
    "device_name": "设备名称", "place": "地点", "from_us": "起（微秒，UTC）", "until_us": "止（微秒，UTC）",
    "finding": "问题", "group": "类别", "severity": "严重程度", "confidence": "把握", "rule": "规则",
    "explanation": "说明", "measures": "测得", "quotes": "所依据的话", "of_events": "所依据的事件",
    "of_clip": "原片段 SHA-256", "blurred": "遮蔽的轨迹", "drawn": "其中人工画出", "clear": "保留可见",
    "removed": "判定非人脸", "detector": "人脸检测模型", "edits": "人工修改次数", "plan_sha256": "遮蔽方案 SHA-256",
    "clip_start_s": "片段起（秒）", "clip_end_s": "片段止（秒）", "verdict": "结论", "duty": "事项", "why": "理由",
    "coverage": "听清的比例", "notes": "附注", "ruleset": "规则集版本", "asked": "为何读取",
    "captured_at": "到达时间", "device_at": "设备时钟", "device_offset_s": "设备时钟差（秒）",
}  # fmt: skip
_HIDDEN = frozenset((
    "by_name", "step_id", "task_id", "officer_id", "link_id", "item_id", "export_id", "of_stream", "view_id",
    "binding_id", "connection", "upload_id", "rule_id", "finding_id", "redaction_id",
))  # fmt: skip
_VALUES = {
    "food": "食品", "drug": "药品", "advertising": "广告", "price": "价格", "other": "其他", "hand": "人工",
    "task": "按任务", "upload": "上传", "rule": "按设备、时段、地点",
    "confirmed": "确认", "rejected": "驳回", "resolved": "办结", "gone": "已消失", "source_over": "录像结束",
    "observed": "做到", "not_observed": "未见做到", "cannot_tell": "不能判断", "late": "已逾时",
    "out_of_order": "次序不符", "by_unknown_speaker": "说话人未确认",
    "low": "低", "medium": "中", "high": "高", "critical": "严重", "integrity": "录像质量",
    "conduct": "言行", "procedure": "程序", "signal": "画面与声音",
    "speech": "语音识别", "worker_lost": "分析进程中断", "behind": "落后过多", "overload": "超载",
    "stage_failed": "分析环节故障", "model_missing": "缺少模型", "feed_lost": "与服务器断开",
    "server_stopped": "服务停止",
    "publisher_lost": "设备断线", "publisher_silent": "设备无数据", "timestamp_jump": "时间戳跳变",
    "reader_slow": "写入过慢",
    "disk_full": "磁盘已满", "disk_error": "磁盘故障", "crash": "程序中断", "ended": "设备结束", "text": "文字",
    "sound": "录音", "video": "视频", "photo": "照片", "document": "文书", "paper": "纸质材料",
}  # fmt: skip
_VALUED = frozenset(
    (
        "case_kind", "class", "how", "cause", "reason", "item_kind", "step_kind", "kind", "state", "stage", "verdict",
        "severity", "group",
    )
)  # fmt: skip
_CLASSES = {"ordinary": "一般", "major": "重大", "no_case": "不予立案"}
_STATES = {"open": "办理中", "closed": "已结案"}
_HEAD = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body{{font:15px/1.6 "Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei",sans-serif;margin:2em auto;max-width:64em;
padding:0 1em;color:#111}}
h1{{font-size:1.5em}}
dl{{display:grid;grid-template-columns:max-content 1fr;gap:.2em 1.2em}} dt{{color:#555}} dd{{margin:0}}
table{{border-collapse:collapse;width:100%;font-size:14px}} th,td{{border:1px solid #999;padding:.35em .5em;
vertical-align:top;text-align:left;overflow-wrap:anywhere}} th{{background:#eee}} td:first-child{{white-space:nowrap}}
.late{{color:#8a4b00}} .id{{color:#555;font-size:12px}}
@media print{{body{{margin:0;max-width:none}} thead{{display:table-header-group}} tr{{break-inside:avoid}}
@page{{size:A4;margin:15mm}}}}
</style></head><body>
"""


async def parts(
    pages: AsyncIterator[list[Entry]],
    about: Mapping[str, JsonValue],
    signed: SignedHead,
    later: int,
    corrections: Mapping[str, Correction],
) -> AsyncIterator[bytes]:
    """The page, piece by piece. corrections: the newest of the case, by the event whose words they correct."""
    case = about["case"]
    assert isinstance(case, dict)  # noqa: S101 - made by `CaseFile.about`
    title = f"案卷时间线 {case['number']}"
    yield (_HEAD.format(title=_safe(title)) + _top(title, case, signed, later)).encode()
    async for entries in pages:
        yield "".join(_row(each, corrections) for each in entries).encode()
    yield b"</tbody></table>\n</body></html>\n"


def _top(title: str, case: Mapping[str, JsonValue], signed: SignedHead, later: int) -> str:
    rows = [
        ("案号", case["number"]), ("标题", case["title"]), ("当事人", case["party"]),
        ("类别", _CLASSES.get(str(case["class"]), str(case["class"]))),
        ("状态", _STATES.get(str(case["state"]), str(case["state"]))),
        ("截止", f"日志前 {signed.head.size} 条，签名于 {signed.head.at}（UTC）"),
    ]  # fmt: skip
    if later:
        rows.append(("其后", f"另有 {later} 条事件发生在该签名之后，不在本卷内"))
    listed = "".join(f"<dt>{name}</dt><dd>{_safe(str(value))}</dd>" for name, value in rows)
    return (
        f"<h1>{_safe(title)}</h1>\n<dl>{listed}</dl>\n"
        "<p>时间为北京时间（UTC+8）。本页供阅读，证据以 entries.jsonl 与原始录像为准；核验方法见 README.txt。</p>\n"
        "<table><thead><tr><th>时间</th><th>事件</th><th>内容</th><th>记录者</th></tr></thead><tbody>\n"
    )


def _row(entry: Entry, corrections: Mapping[str, Correction]) -> str:
    fact = entry.fact
    late = ""
    if entry.learned_at_us - fact.at_us > _LATE_US:
        late = f'<br><span class="late">补记：{_time(entry.learned_at_us)} 得知</span>'
    if fact.kind == "WordsHeard":
        shown = [_safe(line) for line in spoken.lines_of(fact, corrections.get(fact.event_id), _time)]
    else:
        shown = [
            f"{_safe(_FIELDS.get(name, name))}：{_safe(_plain(name, value))}"
            for name, value in fact.body.items()
            if name not in _HIDDEN and value not in (None, "")
        ]
    by = "系统" if fact.by == PROGRAM else _safe(str(fact.body.get("by_name", fact.by)))
    kind = _safe(_KINDS.get(fact.kind, fact.kind))
    return (
        f"<tr><td>{_time(fact.at_us)}{late}</td><td>{kind}</td>"
        f'<td>{"<br>".join(shown)}<br><span class="id">#{entry.seq}</span></td><td>{by}</td></tr>\n'
    )


def _time(at_us: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_us / 1e6, _BEIJING):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{at_us} µs"


def _plain(name: str, value: JsonValue) -> str:
    if name == "changed" and isinstance(value, dict):
        return "；".join(_change(field, change) for field, change in value.items())
    if name == "media" and isinstance(value, dict):
        return f"{value.get('recording_id')}，{value.get('start_s')} 至 {value.get('end_s')} 秒"
    if name in ("clear", "removed") and isinstance(value, list):
        return "；".join(_kept_clear(each) for each in value) or "无"
    if name in _VALUED and isinstance(value, str):
        return _word(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _kept_clear(track: JsonValue) -> str:
    tree = track if isinstance(track, dict) else {}
    return f"{tree.get('name') or tree.get('track_id')}（{tree.get('reason')}）"


def _change(field: str, change: JsonValue) -> str:
    tree = change if isinstance(change, dict) else {}
    before, after = (_plain(field, tree.get(name, "")) for name in ("from", "to"))
    return f"{_FIELDS.get(field, field)}由“{before}”改为“{after}”"


def _word(value: str) -> str:
    known = kinds.load().by_kind.get(value)
    return known.zh if known is not None else _CLASSES.get(value, _STATES.get(value, _VALUES.get(value, value)))


def _safe(text: str) -> str:
    """Escaped; what turns the direction of writing, or is no sign at all, shows as its code point."""
    return "".join(
        f"⟨U+{ord(sign):04X}⟩" if (ord(sign) < 32 and sign not in "\n\t") or sign in _TURNING else sign
        for sign in html.escape(text)
    )


_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x7f")
