"""Errors as problem+json. Source: RFC 9457. Every error of the program becomes a status here, once."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pipeline.errors import (
    AccessDenied,
    ChecksumDiffers,
    CodecUnsupported,
    CodeNeeded,
    ContainerUnknown,
    EvidenceError,
    FaceRefused,
    KeyUnknown,
    ModelError,
    OnRecordError,
    ProtocolError,
    PublishRefused,
    RateLimited,
    StateConflict,
    StorageError,
    StoreError,
    StreamUnknown,
    ThingUnknown,
    TooManyTries,
    UploadTooLarge,
    ValueRefused,
    VersionStale,
    WorkerFailed,
)

log = structlog.get_logger(__name__)

CHECKSUM_MISMATCH = 460  # of tus 1.0, checksum extension; HTTP knows none
_STATUS: tuple[tuple[type[OnRecordError], int, str], ...] = (
    (CodeNeeded, 401, "send it as 'second'"),
    (TooManyTries, 429, "wait some minutes; a browser that you used before is not held up by others' tries"),
    (AccessDenied, 401, "sign in with a one-time link or send 'Authorization: Bearer TOKEN'"),
    (StreamUnknown, 404, "see GET /api/v1/streams for what is there"),
    (KeyUnknown, 401, "check the stream key; 'onrecord device add' makes a new one"),
    (RateLimited, 429, "wait a minute, then try the right key"),
    (PublishRefused, 409, "stop the other publisher of this device, then try again"),
    (ContainerUnknown, 415, "send MPEG-TS (video/mp2t), FLV (video/x-flv) or fragmented MP4 (video/mp4)"),
    (CodecUnsupported, 415, "set the device to H.264 or H.265 video and AAC sound"),
    (ProtocolError, 400, "send the body again; a device that comes back soon goes on in the same stream"),
    (WorkerFailed, 503, "try again in a second"),
    (ModelError, 503, "see 'onrecord models list' for what is missing, and who may bring it"),
    (StorageError, 503, "check the disk of the server"),
    (ThingUnknown, 404, "read the list again for what is there"),
    (StateConflict, 409, "read it again, then decide"),
    (UploadTooLarge, 413, "send a smaller file, or ask for more room"),
    (ChecksumDiffers, CHECKSUM_MISMATCH, "send these bytes again from the offset of HEAD"),
    (VersionStale, 412, "read it again, then send the change with the new ETag"),
    (ValueRefused, 422, "mend the field and send it again"),
    (EvidenceError, 503, "the log is in doubt; see the server's log and docs/custody.md"),
    (StoreError, 503, "try again in a few seconds; recording goes on"),
)


_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "remedy": {"type": "string", "description": "What helps, where something does."},
        "reason": {"type": "string", "description": "A code, where a face cannot be enrolled."},
        "index": {"type": "integer", "description": "Which of the pictures that were sent, from 0."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"description": said, "content": {"application/problem+json": {"schema": _SCHEMA}}}
    for status, said in (
        (400, "The request is malformed. 请求格式错误"),
        (401, "Nobody we know. 未登录"),
        (403, "Known, but not allowed. 无权操作"),
        (404, "There is no such thing, or none within reach. 不存在或不在权限范围内"),
        (409, "What stands already does not allow it. 与现状冲突"),
        (412, "Somebody else changed it. 已被他人修改"),
        (413, "The body is too large. 内容过大"),
        (414, "The address is too long. 地址过长"),
        (415, "The body is of a kind that is not taken. 类型不支持"),
        (416, "The range lies outside. 范围无效"),
        (422, "A field's value cannot be taken. 字段不合要求"),
        (428, "If-Match is missing. 缺少 If-Match"),
        (429, "Too many tries. 尝试过多"),
        (CHECKSUM_MISMATCH, "The bytes are not those of their checksum. 校验和不符"),
        (503, "It cannot be done now; recording goes on. 暂不可用，录制不受影响"),
    )
}
"""What every route may answer besides what it promises."""


def problem(status: int, detail: str, remedy: str = "", **more: object) -> JSONResponse:
    """One problem+json answer."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": "Checksum Mismatch" if status == CHECKSUM_MISMATCH else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    if remedy:
        body["remedy"] = remedy
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        for kind, status, remedy in _STATUS:
            if isinstance(error, kind):
                fields = [{"field": error.field, "detail": error.reason}] if isinstance(error, ValueRefused) else []
                more: dict[str, object] = {"errors": fields} if fields else {}
                if isinstance(error, FaceRefused):
                    more |= {"reason": error.code, "index": error.index}
                if isinstance(error, CodeNeeded):
                    more["title"] = "Second factor needed"
                return _answer(request, problem(status, str(error), remedy, **more))
        log.error("request failed", route=_route_of(request), kind=type(error).__name__)
        return problem(500, "the program met an error it has no answer for", "see the server's log")

    async def http(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        return problem(error.status_code, str(error.detail))

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        fields = [{"field": ".".join(map(str, e["loc"])), "detail": e["msg"]} for e in error.errors()]
        return problem(422, "the request does not fit the schema", "see /api/openapi.json", errors=fields)

    app.add_exception_handler(OnRecordError, ours)
    app.add_exception_handler(Exception, ours)  # starlette raises it again afterwards, for the log
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)


def _answer(request: Request, answer: JSONResponse) -> JSONResponse:
    """`answer`, and the end of the connection where a body, perhaps without an end, would go on being read."""
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0":
        answer.headers["connection"] = "close"
    return answer


def _route_of(request: Request) -> str:
    """The route's pattern, never the path: that may hold a stream key."""
    return getattr(request.scope.get("route"), "path", "unknown")
