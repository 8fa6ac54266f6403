// The kinds of events, in the groups that the filter offers; each group has a sign and a word.

export type Group = "stream" | "words" | "finding" | "face" | "procedure" | "gap" | "segment" | "view" | "note" | "case" | "other";

export const KINDS: Readonly<Record<Exclude<Group, "other">, readonly string[]>> = {
  stream: ["StreamStarted", "StreamResumed", "StreamEnded", "RelayStarted", "RelayInterrupted", "RelayEnded"],
  words: ["WordsHeard", "WordsCorrected", "TextSeen"],
  finding: ["FindingRaised", "FindingEnded", "FindingReviewed"],
  face: [
    "FaceSuggested", "FaceConfirmed", "FaceRejected", "FaceOpinionGiven", "FaceSearchOrdered", "FaceSearched", "FaceNoticeDue", "GalleryOpened", "GalleryClosed", "PersonProposed", "PersonEnrolled", "PersonRefused", "EnrolmentRefused", "PersonDeleted", "TemplateRenewed", "TemplateNotRenewed",
    "FaceSwitchAsked", "FaceSwitchApproved", "FaceSwitchedOff", "FaceKeysRotated",
  ],
  procedure: ["ProcedureJudged"],
  gap: ["StreamInterrupted", "MediaLost", "RecordingFailed", "RecordingRestored", "TimestampsRepaired", "ClockStepped", "AnalysisGap", "AnalysisGapClosed", "AnalysisEased"],
  segment: ["RecordingStarted", "SegmentClosed"],
  view: ["ViewStarted", "ViewEnded", "PlaybackStarted", "PlaybackEnded", "StillTaken", "WordsFetched", "FacePictureSeen"],
  note: ["NoteAdded"],
  case: [
    "CaseOpened", "CaseChanged", "CaseClosed", "MemberAdded", "MemberRemoved", "ApprovalAsked", "ApprovalDecided", "ApprovalWithdrawn", "StepStarted", "StepEnded", "RecordingAttached", "RecordingDetached", "AttachRuleSet", "AttachRuleUndone", "ItemAdded", "ItemWithdrawn",
    "OfficerBound", "OfficerUnbound", "TaskStarted", "TaskEnded", "ExportMade", "UploadReceived", "UploadLate", "UploadAhead", "ItemFetched", "ClipMade", "ClipBlurred",
  ],
};

export const GROUPS = Object.keys(KINDS) as readonly Exclude<Group, "other">[];

export const SIGNS: Readonly<Record<Group, string>> = { stream: "●", words: "”", finding: "◆", face: "▣", procedure: "☑", gap: "▲", segment: "▤", view: "◎", note: "✎", case: "■", other: "◇" };

const GROUP_OF = new Map<string, Group>(GROUPS.flatMap((group) => KINDS[group].map((kind) => [kind, group] as const)));

export function groupOf(kind: string): Group {
  return GROUP_OF.get(kind) ?? "other";
}
