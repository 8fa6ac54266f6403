// How wide an element stands on the page now.

import { onBeforeUnmount, onMounted, ref, type Ref } from "vue";

/** In CSS pixels; 0 while it is out of sight. */
export function useWidth(element: Ref<HTMLElement | null>): Ref<number> {
  const widthPx = ref(0);
  const observer = new ResizeObserver(() => (widthPx.value = element.value?.clientWidth ?? 0));
  onMounted(() => {
    if (element.value === null) return;
    widthPx.value = element.value.clientWidth;
    observer.observe(element.value);
  });
  onBeforeUnmount(() => observer.disconnect());
  return widthPx;
}
