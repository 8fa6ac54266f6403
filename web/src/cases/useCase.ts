// The head of a case: what it is, its steps, and the names of the devices that its events speak about.

import { computed, onBeforeUnmount, onMounted, ref, shallowRef } from "vue";
import { listSteps, readCase, type Case, type Step, type TimelineItem } from "../api/cases";
import { Problem } from "../api/problem";
import { listStreams } from "../api/server";
import type { Names } from "./sentence";

export function useCase(caseId: string, items: () => readonly TimelineItem[], onExpired: () => void) {
  const found = shallowRef<Case | null>(null);
  const steps = shallowRef<readonly Step[]>([]);
  const devices = shallowRef<ReadonlyMap<string, string>>(new Map());
  const problem = ref<unknown>(null);
  const serverOffsetMs = ref(0); // the server's clock minus this one's; as exact as a request is short
  const leaving = new AbortController();

  async function read(): Promise<void> {
    const { signal } = leaving;
    try {
      [found.value, { items: steps.value }] = await Promise.all([readCase(caseId, signal), listSteps(caseId, signal)]);
      problem.value = null;
      const { items: streams, now } = await listStreams(signal);
      serverOffsetMs.value = Number.isFinite(Date.parse(now)) ? Date.parse(now) - Date.now() : 0;
      devices.value = new Map([...devices.value, ...streams.map(({ stream_id, device_name }) => [stream_id, device_name] as const)]);
    } catch (error) {
      if (error instanceof Problem && error.status === 401) onExpired();
      else if (!signal.aborted) problem.value = error;
    }
  }

  const names = computed<Names>(() => {
    const told = new Map<string, string>();
    const persons = new Map<string, string>();
    for (const { kind, stream_id, device_name, device_id, person_id, name: person } of items()) {
      const name = device_name ?? device_id;
      if (kind === "StreamStarted" && typeof stream_id === "string" && typeof name === "string") told.set(stream_id, name);
      if (kind === "PersonProposed" && typeof person_id === "string" && typeof person === "string") persons.set(person_id, person);
    }
    return {
      devices: new Map([...told, ...devices.value]),
      steps: new Map(steps.value.map(({ step_id, kind }) => [step_id, kind])),
      persons,
    };
  });

  onMounted(() => void read());
  onBeforeUnmount(() => leaving.abort());

  return { found, steps, names, serverOffsetMs, problem, read };
}
