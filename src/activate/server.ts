import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { Change } from "../supervisor/change.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { unreachable } from "../util/assert.ts";
import type { Activator } from "./activator.ts";
import type { DeliveryStatus } from "./delivery.ts";
import type { ReleaseDirectory } from "./release-dir.ts";
import { switchCurrent } from "./switch.ts";

/** The app runs from `current` under the supervisor, start-first. */
export function serverActivator(releases: ReleaseDirectory, supervisor: Supervisor, log: Log): Activator {
  return {
    async resume(release, c) {
      if (release === null) return;
      const how = await supervisor.resume(release, c);
      const state = supervisor.state;
      const pid = state.kind === "running" ? state.current.pid : undefined;
      log.info(how === "adopted" ? "Adopt running server" : records.startServer, { release, pid });
    },

    async activate(staged, steps, c) {
      const before = releases.linkTarget();
      const change: Change = {
        kind: staged.returning === true ? "return" : "deploy",
        release: staged.release,
        async prepare() {
          switchCurrent(releases, staged.release, log);
          await steps.switched();
          if (supervisor.state.kind === "running") log.info(records.restartServer, { pid: process.pid });
          else log.info(records.startServer, { release: staged.release });
        },
        commit: () => steps.commit(),
        async undo() {
          releases.restoreLink(before);
        },
      };
      return { how: await supervisor.replace(change, c) };
    },

    restart: (c) => supervisor.restart(c),

    status: () => statusOf(supervisor),

    [Symbol.asyncDispose]: () => supervisor[Symbol.asyncDispose](),
  };
}

function statusOf({ state }: Supervisor): DeliveryStatus {
  switch (state.kind) {
    case "stopped":
      return { kind: "idle" };
    case "starting":
      return { kind: "starting", pid: state.next.pid };
    case "running":
    case "reloading":
      return {
        kind: "serving",
        release: state.current.release ?? "",
        pid: state.current.pid,
        generation: state.current.number,
      };
    case "backoff":
      return { kind: "down", reason: state.reason };
    default:
      return unreachable(state);
  }
}
