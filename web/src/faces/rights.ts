// What a person must be allowed for a part of the faces to be shown. The server holds to it; this only spares refusals.

import type { GalleryKind } from "../api/faces";
import type { Session } from "../api/server";

export const mayReadFaces = ({ permissions }: Session): boolean => "faces.read" in permissions;
export const mayPlay = ({ permissions }: Session): boolean => "recordings.play" in permissions;
export const mayConfirm = ({ permissions }: Session): boolean => "faces.confirm" in permissions;

/** The galleries that the reader may make: of cases who reads cases, the roster's who reaches the whole bureau. */
export function kindsFor({ permissions, unit }: Session): readonly GalleryKind[] {
  const reach = permissions["faces.enrol"];
  if (reach === undefined) return [];
  const kinds: GalleryKind[] = "cases.read" in permissions ? ["case"] : [];
  return reach === "bureau" || (reach === "unit" && unit === "") ? [...kinds, "roster"] : kinds;
}
