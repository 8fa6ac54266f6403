// The roles of the policy, in its order.

import { isTextKey, t } from "../texts/language";

export const ROLES = [
  "viewer", "commander", "officer", "handler", "reviewer", "archivist", "analyst", "system_admin", "security_admin", "audit_admin",
] as const;

/** A role in the reader's language. */
export function roleText(role: string): string {
  const key = `role.${role}`;
  return isTextKey(key) ? t(key) : role;
}
