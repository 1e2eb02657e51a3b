import type { AgentView } from "../../agent/orders/operations.ts";
import { unreachable } from "../../util/assert.ts";

/** The app, its version and what is unusual, in a line: what `systemctl status` shows. */
export function managerStatus(view: AgentView): string {
  const { busy, hold, soakUntil, failure, lastPoll } = view;
  return [
    appStatus(view),
    // Checks come and go at each interval.
    busy !== null && busy.with !== "a check" ? busy.with : null,
    hold === null ? null : "held",
    soakUntil === null ? null : "on probation",
    failure === null ? null : `${failure.tag} has failed`,
    lastPoll === null || lastPoll.ok ? null : "the last check failed",
  ]
    .filter((part) => part !== null)
    .join("; ");
}

function appStatus({ app, current }: AgentView): string {
  const tag = current?.tag ?? null;
  switch (app.kind) {
    case "idle":
      return tag === null ? "nothing deployed yet" : `${tag} is in place`;
    case "starting":
      return `${tag ?? "the app"} is starting`;
    case "serving": {
      const { replicas, inRotation } = app;
      const counted = replicas === null || inRotation === null ? "" : ` (${inRotation} of ${replicas})`;
      return `${tag ?? "the app"} is serving${counted}`;
    }
    case "down":
      return `${tag ?? "the app"} is down: ${app.reason}`;
    default:
      return unreachable(app);
  }
}
