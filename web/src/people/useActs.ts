// What a page asks of the server: one thing at a time, with what went wrong in the reader's words.

import { computed, ref, type ComputedRef, type Ref } from "vue";
import { Problem } from "../api/problem";
import { tellProblem, type Told } from "../texts/problems";

export interface Acts {
  readonly isBusy: Ref<boolean>;
  readonly told: ComputedRef<Told | null>;
  /** Runs `act`; whether it was done. */
  readonly run: (act: () => Promise<void>) => Promise<boolean>;
}

export function useActs(expired: () => void): Acts {
  const isBusy = ref(false);
  const problem = ref<unknown>(null);
  const told = computed(() => (problem.value === null ? null : tellAct(problem.value)));

  async function run(act: () => Promise<void>): Promise<boolean> {
    isBusy.value = true;
    problem.value = null;
    try {
      await act();
      return true;
    } catch (error) {
      if (error instanceof Problem && error.status === 401) expired();
      else problem.value = error;
      return false;
    } finally {
      isBusy.value = false;
    }
  }

  return { isBusy, told, run };
}

/** What the server says of a refusal is more exact than its number. */
function tellAct(error: unknown): Told {
  const told = tellProblem(error);
  return error instanceof Problem && error.status >= 400 && error.status < 500 ? { what: error.detail || told.what, remedy: error.remedy } : told;
}
