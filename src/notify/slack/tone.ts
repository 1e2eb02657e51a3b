import type { DeployEvent } from "../../events.ts";
import { unreachable } from "../../util/assert.ts";
import { filterOf } from "../filter.ts";

/** Slack's own names for green, yellow and red; null: neither good nor bad, grey. */
export type Tone = "good" | "warning" | "danger" | null;

export function toneOf(event: DeployEvent): Tone {
  switch (event.kind) {
    case "agent-started":
    case "deployed":
    case "restarted":
    case "recovered":
      return "good";
    case "deploying":
    case "downloaded":
    case "pulled":
      return null;
    case "hook":
      return event.result.exitCode === 0 ? "good" : "danger";
    case "agent-stopping":
    case "dropped":
      return "warning";
    case "replica-lost":
      return event.how === "not-started" ? "danger" : "warning";
    case "failed":
    case "quarantined":
    case "rolled-back":
    case "stranded":
    case "crashed":
      return "danger";
    default:
      return unreachable(event);
  }
}

/** What those are to see, too, who don't follow the thread: errors, and that they are over. */
export const isAlarm: (event: DeployEvent) => boolean = filterOf({ on: ["error"], quiet: null });
