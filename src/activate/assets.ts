import type { Log } from "../log.ts";
import type { Activator } from "./activator.ts";
import type { ReleaseDirectory } from "./release-dir.ts";
import { switchCurrent } from "./switch.ts";

/** Files in place are all there is to it. */
export function assetsActivator(releases: ReleaseDirectory, log: Log): Activator {
  return {
    async resume() {},

    async activate(staged, steps) {
      const before = releases.linkTarget();
      switchCurrent(releases, staged.release, log);
      try {
        await steps.switched();
        await steps.commit();
      } catch (error) {
        releases.restoreLink(before);
        throw error;
      }
      return { how: "placed" };
    },

    async restart() {},

    status() {
      const release = releases.active();
      return release === null ? { kind: "idle" } : { kind: "serving", release, pid: null };
    },

    async [Symbol.asyncDispose]() {},
  };
}
