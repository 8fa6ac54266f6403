// Where the reader is: the part of the address behind the "#", so that a link or the back button leads there again.

import { onBeforeUnmount, onMounted, readonly, ref, type Ref } from "vue";

export type Place =
  | { readonly name: "wall" | "findings" | "rules" | "faces" | "galleries" | "cases" | "recordings" | "approvals" | "users" | "units" | "devices" | "audit" | "me" }
  | { readonly name: "gallery"; readonly galleryId: string }
  | { readonly name: "suggestions"; readonly caseId?: string }
  | { readonly name: "case"; readonly caseId: string }
  | { readonly name: "together"; readonly caseId: string }
  | { readonly name: "recording"; readonly recordingId: string; readonly at_s?: number };

export interface Page {
  readonly name: Exclude<Place["name"], "rules" | "galleries" | "gallery" | "suggestions" | "case" | "together" | "recording">;
  readonly permission: string; // without it the page is not shown
  readonly within?: readonly Place["name"][]; // places that belong to the page
}

/** The pages, in the order of the bar; who may not see the first is led to the next one. */
export const PAGES: readonly Page[] = [
  { name: "wall", permission: "streams.watch" },
  { name: "findings", permission: "findings.read", within: ["rules"] },
  { name: "cases", permission: "cases.read", within: ["case", "together"] },
  { name: "recordings", permission: "recordings.list", within: ["recording"] },
  { name: "approvals", permission: "approvals.ask" },
  { name: "audit", permission: "audit.read" },
  { name: "users", permission: "users.list" },
  { name: "units", permission: "users.list" },
  { name: "devices", permission: "devices.manage" },
  { name: "faces", permission: "faces.state", within: ["galleries", "gallery", "suggestions"] },
  { name: "me", permission: "session.own" },
];

/** The place that a fragment names; the wall for any other. */
export function placeOf(fragment: string): Place {
  const [, first = "", second = "", ...more] = fragment.replace(/^#/, "").split("/");
  if (first === "faces") return facesPlaceOf(second, more);
  const page = PAGES.find((each) => each.name === first);
  const at_s = page?.name === "recordings" && second !== "" && more.length === 1 && /^\d{1,7}(\.\d{1,3})?$/.test(more[0] ?? "") ? Number(more[0]) : null;
  const isTogether = page?.name === "cases" && second !== "" && more.length === 1 && more[0] === "together";
  if (page?.name === "findings" && second === "rules" && more.length === 0) return { name: "rules" };
  if (page === undefined || (more.length > 0 && !isTogether && at_s === null)) return { name: "wall" };
  if (second === "" || (page.name !== "cases" && page.name !== "recordings")) return { name: page.name };
  const id = decoded(second);
  if (id === "") return { name: page.name };
  if (page.name === "recordings") return { name: "recording", recordingId: id, ...(at_s === null ? {} : { at_s }) };
  return { name: isTogether ? "together" : "case", caseId: id };
}

function facesPlaceOf(part: string, [inside = "", ...more]: readonly string[]): Place {
  if (more.length > 0 || !["", "galleries", "suggestions"].includes(part)) return { name: "wall" };
  if (part === "") return { name: inside === "" ? "faces" : "wall" };
  const id = decoded(inside);
  if (part === "galleries") return id === "" ? { name: "galleries" } : { name: "gallery", galleryId: id };
  return id === "" ? { name: "suggestions" } : { name: "suggestions", caseId: id };
}

/** "" for broken %-signs. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

export function fragmentOf(place: Place): string {
  switch (place.name) {
    case "wall":
      return "#/";
    case "rules":
      return "#/findings/rules";
    case "galleries":
      return "#/faces/galleries";
    case "gallery":
      return `#/faces/galleries/${encodeURIComponent(place.galleryId)}`;
    case "suggestions":
      return place.caseId === undefined ? "#/faces/suggestions" : `#/faces/suggestions/${encodeURIComponent(place.caseId)}`;
    case "case":
      return `#/cases/${encodeURIComponent(place.caseId)}`;
    case "together":
      return `#/cases/${encodeURIComponent(place.caseId)}/together`;
    case "recording":
      return `#/recordings/${encodeURIComponent(place.recordingId)}${place.at_s === undefined ? "" : `/${Number(place.at_s.toFixed(3))}`}`;
    default:
      return `#/${place.name}`;
  }
}

export function usePlace(): Readonly<Ref<Place>> {
  const place = ref<Place>(placeOf(location.hash));
  const follow = (): void => {
    place.value = placeOf(location.hash);
  };
  onMounted(() => window.addEventListener("hashchange", follow));
  onBeforeUnmount(() => window.removeEventListener("hashchange", follow));
  return readonly(place);
}
