import type { Operations } from "../../agent/orders/operations.ts";
import type { AgentConfig } from "../../config/config.ts";
import { socketOf } from "../../control/client.ts";
import type { RecentRecords } from "../../control/recent.ts";
import { type AgentRecord, writeAgentRecord } from "../../control/record.ts";
import { ControlServer } from "../../control/server.ts";
import { messageOf } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";
import { build } from "../../version.ts";
import { layoutOf } from "./layout.ts";

interface Controlled {
  readonly operations: Operations;
  readonly recent: RecentRecords;
  readonly config: AgentConfig;
  /** Of its delivery. */
  readonly setup: string;
}

interface ControlParts {
  readonly settings: { readonly root: string };
  readonly clock: Clock;
  readonly log: Log;
  readonly open: AsyncDisposableStack;
}

/** Lets operators ask this agent. An app must not stay down because they can't: that is a warning. */
export async function openControl(controlled: Controlled, parts: ControlParts): Promise<void> {
  const { operations, recent } = controlled;
  const { settings, log, clock, open } = parts;
  const { root } = settings;
  try {
    writeAgentRecord(layoutOf(root).agent, recordOf(controlled));
    const source = { operations, recent, version: build.version, root };
    open.use(await ControlServer.open(socketOf(root), source, log, clock));
  } catch (error) {
    log.warn("Operators can't reach this agent", { error: messageOf(error) });
  }
}

/** What `dewy check` needs where no agent runs. */
function recordOf({ config, setup }: Controlled): Omit<AgentRecord, "version"> {
  const { command, registry, calver, slot, schedule } = config;
  const { windows, minAgeMs, jitterMs } = schedule;
  return {
    command,
    registry,
    calver,
    slot,
    setup,
    schedule: { windows: windows.map(({ text }) => text), minAgeMs, jitterMs },
  };
}
