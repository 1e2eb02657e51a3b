import type { DeployEvent } from "../events.ts";
import { unreachable } from "../util/assert.ts";

/** `success`: what was wanted came about. `warning`: dewy copes with it by itself. `error`: somebody should look. */
export type Severity = "info" | "success" | "warning" | "error";

export function severityOf(event: DeployEvent): Severity {
  switch (event.kind) {
    case "agent-started":
    case "agent-stopping":
    case "deploying":
    case "downloaded":
    case "pulled":
    case "restarted":
      return "info";
    case "deployed":
    case "recovered":
      return "success";
    case "hook":
      return event.result.exitCode === 0 ? "info" : "error";
    case "replica-lost":
      return event.how === "not-started" ? "error" : "warning";
    case "dropped":
      return "warning";
    case "failed":
    case "quarantined":
    case "rolled-back":
    case "stranded":
    case "crashed":
      return "error";
    default:
      return unreachable(event);
  }
}
