// Where the reader is: the part of the address behind the "#", so that a link or the back button leads there again.

import { onBeforeUnmount, onMounted, readonly, ref, type Ref } from "vue";

export type Place = { readonly name: "wall" } | { readonly name: "cases" } | { readonly name: "case"; readonly caseId: string };

/** The place that a fragment names; the wall for any other. */
export function placeOf(fragment: string): Place {
  const [, first, second, ...more] = fragment.replace(/^#/, "").split("/");
  if (first !== "cases" || more.length > 0) return { name: "wall" };
  if (second === undefined || second === "") return { name: "cases" };
  try {
    return { name: "case", caseId: decodeURIComponent(second) };
  } catch {
    return { name: "cases" }; // broken %-signs
  }
}

export function fragmentOf(place: Place): string {
  if (place.name === "wall") return "#/";
  return place.name === "cases" ? "#/cases" : `#/cases/${encodeURIComponent(place.caseId)}`;
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
