import type { Release } from "../../release/release.ts";
import { unreachable } from "../../util/assert.ts";
import { holdNow } from "../back/hold.ts";
import type { Decision, SkipReason } from "../decide.ts";
import type { State } from "../state.ts";
import type { Hold } from "./operations.ts";

const shownFiles = 3;

export interface Explanation {
  /** A sentence without its end. */
  readonly text: string;
  /** When it changes by itself; null: it does not, or nobody can tell. */
  readonly until: Date | null;
}

/** Why a decision about a release is what it is. */
export function explain(decision: Decision, about: Release | null, state: State, now: Date): Explanation {
  switch (decision.kind) {
    case "deploy":
      return { text: `${decision.release.tag} is to be deployed`, until: null };
    case "no-artifact":
      return { text: `${decision.tag} has no artifact for this host`, until: null };
    case "wait":
      return { text: decision.text, until: decision.due ?? decision.until };
    case "skip":
      return explainSkip(decision.reason, about, state, now);
    default:
      return unreachable(decision);
  }
}

function explainSkip(reason: SkipReason, about: Release | null, state: State, now: Date): Explanation {
  const { quarantine, failure } = state;
  const tag = about?.tag ?? "";
  switch (reason) {
    case "no-release":
      return { text: "the registry has no release for this host", until: null };
    case "current":
      return { text: `${tag} runs`, until: null };
    case "held": {
      const hold = holdNow(state, now);
      return { text: holdText(hold), until: hold?.until == null ? null : new Date(hold.until) };
    }
    case "grace":
      return { text: `${tag} has no artifact yet${otherFiles(about)}`, until: null };
    case "quarantined": {
      const entry = quarantine.findLast((each) => each.tag === tag);
      return { text: `${tag} is quarantined: ${entry?.reason ?? "it failed"}`, until: null };
    }
    case "backoff":
      return {
        text: `${tag} failed and is tried again: ${failure?.lastError ?? ""}`,
        until: failure === null ? null : new Date(failure.nextTryAt),
      };
    default:
      return unreachable(reason);
  }
}

/** A file that is there and does not fit is what somebody looks for. */
function otherFiles(release: Release | null): string {
  const names = release?.files.map(({ name }) => name) ?? [];
  const more = names.length > shownFiles ? ` and ${names.length - shownFiles} more` : "";
  return names.length === 0
    ? ""
    : ` that fits this host, only ${names.slice(0, shownFiles).join(", ")}${more}`;
}

function holdText(hold: Hold | null): string {
  if (hold === null) return "held";
  if (hold.left !== null) return `held since the way back from ${hold.left}, until a newer release comes`;
  return hold.reason === null ? "held by an operator" : `held by an operator: ${hold.reason}`;
}
