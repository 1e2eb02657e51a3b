import { rmSync } from "node:fs";
import { adminPortTries, type ContainerView, firstAdminPort, type StatusView } from "../../admin/protocol.ts";
import { writeAdminRecord } from "../../admin/record.ts";
import { type AdminSource, openAdminApi } from "../../admin/server.ts";
import { messageOf } from "../../errors.ts";
import type { AgentParts } from "./parts.ts";

/** What stays as it is for as long as the agent runs. */
interface Described {
  readonly name: string;
  readonly command: StatusView["command"];
  /** null: it has no replicas. */
  readonly desiredReplicas: number | null;
}

interface AppView extends Pick<StatusView, "proxyBackends" | "isRunning" | "trouble"> {
  readonly containers: readonly ContainerView[];
}

/** What the admin API shows, whatever kind of agent it is; `look` is asked anew each time. */
export function adminSource(
  app: Described,
  look: () => AppView,
  { layout, currentTag }: Pick<AgentParts, "layout" | "currentTag">,
): Omit<AdminSource, "metrics"> {
  return {
    containers: () => look().containers,
    status: () => {
      const { containers: _, ...now } = look();
      return { ...app, ...now, currentVersion: currentTag(), root: layout.root, pid: process.pid };
    },
  };
}

/** The admin API, and the note by which `dewy status` finds it. `port`: null: the usual one. */
export function openAdmin(
  port: number | null,
  source: Omit<AdminSource, "metrics">,
  { layout, log, open, telemetry }: AgentParts,
): void {
  const { page } = telemetry;
  const options = { port: port ?? firstAdminPort, tries: adminPortTries };
  const server = open.use(openAdminApi(options, page === null ? source : { ...source, metrics: page }, log));
  try {
    if (server === null) forgetAdmin(layout);
    else writeAdminRecord(layout.admin, { port: server.port, pid: process.pid });
  } catch (error) {
    log.warn("dewy status will not see all", { error: messageOf(error) });
  }
}

/** What an earlier agent noted is no longer so. */
export function forgetAdmin(layout: AgentParts["layout"]): void {
  rmSync(layout.admin, { force: true });
}
