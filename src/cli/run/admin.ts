import { rmSync } from "node:fs";
import { adminPortTries, firstAdminPort } from "../../admin/protocol.ts";
import { writeAdminRecord } from "../../admin/record.ts";
import { type AdminSource, openAdminApi } from "../../admin/server.ts";
import { messageOf } from "../../errors.ts";
import type { AgentParts } from "./parts.ts";

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
