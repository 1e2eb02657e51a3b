import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";
import type { Announcer } from "../announce.ts";
import type { State, StateChanges, StateFile } from "../state.ts";
import { wayBack } from "./going-back.ts";
import { isStranded } from "./stranded.ts";

interface RetryDeps {
  readonly state: StateFile;
  readonly announcer: Pick<Announcer, "settled">;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
}

/** An operator has all that was given up tried again. Answers the tags that were quarantined. */
export function retry({ state, announcer, clock, log }: RetryDeps): readonly string[] {
  const tags = [...new Set(state.state.quarantine.map(({ tag }) => tag))];
  const changes = lifted(state.state, clock.now());
  // Not well either, as far as anybody knows: people hear no more of it until it fails again.
  if (changes.stranded === null) announcer.settled("app");
  state.update(changes);
  log.info("Retry requested: quarantine lifted");
  return tags;
}

/** A release that could not be left is left now if it can be; else what an operator has seen is over. */
function lifted(state: State, now: Date): StateChanges {
  const changes = { quarantine: [], failure: null };
  const { current, stranded, retreat } = state;
  if (retreat !== null) return { ...changes, retreat: { ...retreat, nextTryAt: retreat.at } };
  if (current === null || stranded === null || !isStranded(state)) return changes;
  if ("why" in wayBack(current, { ...state, ...changes })) return { ...changes, stranded: null };
  const { release, reason, diedAt } = stranded;
  return {
    ...changes,
    stranded: { ...stranded, unlike: null },
    retreat: { release, reason, at: now.toISOString(), tries: 0, hasDied: diedAt !== null },
  };
}
