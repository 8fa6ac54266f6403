"""The audit: who did what, and saw what, when. Read from the log, which nobody changes."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime

from api.asking import cursor_of, place_of, record_of
from api.permissions import Asker, require
from api.schemas.record import TimelineOut, event_out, us_of
from cases import timeline
from cases.timeline import Question
from pipeline.errors import ValueRefused

router = APIRouter(prefix="/api/v1")

KINDS = (
    "SignedIn", "SignedOut", "SignInRefused", "PasswordSet", "SecondFactorSet", "SecondFactorRemoved",
    "RecoveryCodeUsed", "UserAdded", "UserChanged", "UserDisabled", "UserEnabled", "DevicesAssigned", "UnitPlaced",
    "TokenMade", "LinkMade", "DeviceAdded", "DeviceRevoked", "DeviceKeyReplaced", "ViewStarted", "ViewEnded",
    "PlaybackStarted", "PlaybackEnded", "StillTaken", "ClipMade", "ClipBlurred", "WordsFetched",
    "ItemFetched", "UploadReceived", "ApprovalAsked",
    "ApprovalDecided", "ApprovalWithdrawn", "RecordingWithheld", "RecordingReleased", "ExportMade", "MemberAdded",
    "MemberRemoved", "FaceSwitchAsked", "FaceSwitchApproved", "FaceSwitchedOff", "GalleryOpened", "GalleryClosed",
    "PersonProposed", "PersonEnrolled", "PersonRefused", "EnrolmentRefused", "PersonDeleted", "TemplateRenewed",
    "TemplateNotRenewed", "FaceSearchOrdered", "FaceSearched", "FaceOpinionGiven", "FacePictureSeen", "FaceNoticeDue",
    "FaceKeysRotated",
)  # fmt: skip


@router.get("/audit")
async def read_audit(
    request: Request,
    _: Annotated[Asker, Depends(require("audit.read"))],
    kinds: Annotated[str, Query(max_length=2000)] = "",
    from_: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    to: AwareDatetime | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> TimelineOut:
    """The newest first. kinds: separated by commas, of those that the audit holds."""
    wanted = tuple(filter(None, (each.strip() for each in kinds.split(",")))) or KINDS
    if strange := set(wanted) - set(KINDS):
        raise ValueRefused("kinds", f"not of the audit: {', '.join(sorted(strange))}")
    record = record_of(request)
    question = Question(
        kinds=wanted,
        from_us=None if from_ is None else us_of(from_),
        to_us=None if to is None else us_of(to),
        after=place_of(cursor) if cursor else None,
        limit=limit + 1,
        is_newest_first=True,
    )
    async with record.store.reading() as connection:
        found = await timeline.page(record.store, connection, question)
    more, found = len(found) > limit, found[:limit]
    return TimelineOut(
        items=[event_out(each) for each in found],
        next_cursor=cursor_of(found[-1].fact.at_us, found[-1].seq) if more else None,
    )
