import type { Announcer } from "../agent/announce.ts";
import type { DriverDeps } from "../drivers/driver.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../util/time.ts";
import type { Layout } from "./layout.ts";
import type { AgentTelemetry } from "./telemetry.ts";

/** What every kind of agent is made with. */
export interface AgentParts {
  readonly drivers: DriverDeps;
  readonly layout: Layout;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly log: Log;
  readonly telemetry: AgentTelemetry;
  /** Aborts when the agent's end is to take no longer. */
  readonly hurry: AbortSignal;
  readonly currentTag: () => string | null;
  /** Closes what is put into it, in reverse order, when the agent ends. */
  readonly open: AsyncDisposableStack;
}
