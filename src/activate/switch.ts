import { records } from "../events.ts";
import type { Log } from "../log.ts";
import type { ReleaseDirectory } from "./release-dir.ts";

export function switchCurrent(releases: ReleaseDirectory, release: string, log: Log): void {
  releases.switchTo(release);
  log.info(records.symlink, { from: releases.pathOf(release), to: releases.link });
}
