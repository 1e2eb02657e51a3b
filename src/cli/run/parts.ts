import type { Announcer } from "../../agent/announce.ts";
import type { AppFailure } from "../../agent/back/going-back.ts";
import type { DriverDeps } from "../../drivers/driver.ts";
import type { Log } from "../../log.ts";
import type { Clock } from "../../util/time.ts";
import type { User } from "../../util/user.ts";
import type { AgentTelemetry } from "../measure/telemetry.ts";
import type { Layout } from "./layout.ts";

/** What every kind of agent is made with. */
export interface AgentParts {
  readonly drivers: DriverDeps;
  readonly layout: Layout;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly announcer: Announcer;
  readonly clock: Clock;
  /** Whom the app and the hooks run as; null: as the agent. */
  readonly user: User | null;
  readonly log: Log;
  readonly telemetry: AgentTelemetry;
  /** Aborts when the agent's end is to take no longer. */
  readonly hurry: AbortSignal;
  readonly currentTag: () => string | null;
  /** true: people are told what comes of it, and are not to be told of the failure, too. */
  readonly appFailed: (failure: AppFailure) => boolean;
  /** The current release is on probation. */
  readonly soaking: () => boolean;
  /** Closes what is put into it, in reverse order, when the agent ends. */
  readonly open: AsyncDisposableStack;
}
