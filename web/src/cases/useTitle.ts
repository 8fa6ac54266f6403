// The name of the page in the browser's tab, for as long as the page is there.

import { onBeforeUnmount, watchEffect } from "vue";
import { t } from "../texts/language";

export function useTitle(title: () => string): void {
  watchEffect(() => (document.title = `${title()} · ${t("app.name")}`), { flush: "post" });
  onBeforeUnmount(() => (document.title = t("app.title")));
}
