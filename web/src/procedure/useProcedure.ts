// The procedure of a case in hand: read at first, and again whenever something of it happened; and the seconds that pass.

import { computed, onBeforeUnmount, onMounted, ref, shallowRef } from "vue";
import { Problem } from "../api/problem";
import { readProcedure, type Duty, type Procedure } from "../api/procedure";
import { leftS, newVerdicts } from "./checklist";

const GATHER_MS = 300; // several verdicts come together
const LATE_MS = 3_000; // after a deadline, for the server to have judged
const OF_IT = new Set(["ProcedureJudged", "StepStarted", "StepEnded", "FindingReviewed"]);

export function useProcedure(caseId: string, serverOffsetMs: () => number, onExpired: () => void) {
  const procedure = shallowRef<Procedure | null>(null);
  const fresh = shallowRef<readonly Duty[]>([]); // judged between the last two looks
  const problem = ref<unknown>(null);
  const nowMs = ref(Date.now());
  const leaving = new AbortController();
  let timer = 0;
  let ticker = 0;

  const serverMs = computed(() => nowMs.value + serverOffsetMs());
  const isCounting = computed(() => openDuties().some((duty) => leftS(duty, serverMs.value) !== null));

  function openDuties(): readonly Duty[] {
    return procedure.value?.steps.filter(({ is_running }) => is_running).flatMap(({ duties }) => duties) ?? [];
  }

  async function read(): Promise<void> {
    const { signal } = leaving;
    try {
      const found = await readProcedure(caseId, signal);
      fresh.value = newVerdicts(procedure.value, found);
      procedure.value = found;
      problem.value = null;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) onExpired();
      else if (!signal.aborted) problem.value = error;
    }
  }

  function readSoon(delayMs = GATHER_MS): void {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void read(), delayMs);
  }

  /** Kinds of the events that came. */
  function heard(kinds: ReadonlySet<string>): void {
    if ([...kinds].some((kind) => OF_IT.has(kind))) readSoon();
  }

  function tick(): void {
    const before = serverMs.value;
    nowMs.value = Date.now();
    const isDue = openDuties().some((duty) => (leftS(duty, before) ?? 0) > 0 && leftS(duty, serverMs.value) === 0);
    if (isDue) readSoon(LATE_MS);
  }

  onMounted(() => {
    void read();
    ticker = window.setInterval(() => isCounting.value && tick(), 1_000);
  });
  onBeforeUnmount(() => {
    leaving.abort();
    window.clearTimeout(timer);
    window.clearInterval(ticker);
  });

  return { procedure, fresh, problem, serverMs, read, heard };
}
