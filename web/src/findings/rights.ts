// What a person must be allowed for a part of the findings to be shown. The server holds to it; this only spares refusals.

import type { Session } from "../api/server";

export const mayReadFindings = ({ permissions }: Session): boolean => "findings.read" in permissions;
export const mayReview = ({ permissions }: Session): boolean => "findings.review" in permissions;
export const mayReadRules = ({ permissions }: Session): boolean => "rules.read" in permissions;
export const mayPlay = ({ permissions }: Session): boolean => "recordings.play" in permissions;
