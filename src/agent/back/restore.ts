import type { Delivery } from "../../activate/delivery.ts";
import type { PlacedRelease } from "../../release/release.ts";
import type { State } from "../state.ts";

/** Puts in place again what is recorded, or what was good before it; null: neither is there. */
export function restoreRecorded(delivery: Delivery, { current, previous }: State): PlacedRelease | null {
  return delivery.restore([current, previous].filter((placed) => placed !== null));
}
