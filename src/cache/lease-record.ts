import * as v from "valibot";

/** How a holder gave a lease back. `unshared`: its work is done, but the others can't have it. */
export type LeaseOutcome = "done" | "failed" | "unshared";

export interface EndedLease {
  readonly id: string;
  readonly owner: string;
  readonly outcome: Exclude<LeaseOutcome, "done">;
}

export interface HeldLeaseRecord {
  readonly id: string;
  readonly owner: string;
  readonly ttlMs: number;
  /** Makes each renewal another content, and so another version in every cache. */
  readonly renewals: number;
}

/** No entry keeps the others waiting for longer, whatever it says. */
const maxTtlMs = 10 * 60_000;

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(300));
const schema = v.union([
  v.object({ id: name, owner: name, outcome: v.picklist(["failed", "unshared"]) }),
  v.object({
    id: name,
    owner: name,
    ttlMs: v.pipe(v.number(), v.minValue(1), v.maxValue(maxTtlMs)),
    renewals: v.number(),
  }),
]);

export function encodeLease(record: HeldLeaseRecord | EndedLease): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/** null: nothing that dewy writes. */
export function decodeLease(body: Uint8Array): HeldLeaseRecord | EndedLease | null {
  try {
    const { success, output } = v.safeParse(schema, JSON.parse(Buffer.from(body).toString("utf8")));
    return success ? output : null;
  } catch {
    return null;
  }
}
