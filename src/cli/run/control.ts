import type { LiveSettings } from "../../agent/live.ts";
import type { Operations } from "../../agent/orders/operations.ts";
import type { AgentConfig } from "../../config/config.ts";
import { socketOf } from "../../control/client.ts";
import type { RecentRecords } from "../../control/recent.ts";
import { type AgentRecord, writeAgentRecord } from "../../control/record.ts";
import { ControlServer, type OpenControl } from "../../control/server.ts";
import { messageOf } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Rules } from "../../schedule/evaluate.ts";
import type { Clock } from "../../util/time.ts";
import { build } from "../../version.ts";
import { layoutOf } from "./layout.ts";

interface Recorded {
  readonly config: Pick<AgentConfig, "command" | "registry" | "calver" | "slot">;
  /** Of its delivery. */
  readonly setup: string;
}

interface Controlled extends Recorded {
  readonly operations: Operations;
  readonly recent: RecentRecords;
  readonly config: AgentConfig;
}

interface ControlParts {
  readonly settings: { readonly root: string };
  readonly clock: Clock;
  readonly log: Log;
  readonly open: AsyncDisposableStack;
}

/** Lets operators ask this agent. An app must not stay down because they can't: that is a warning. */
export class Control {
  #server: OpenControl | null = null;
  #trouble: string | null = null;

  constructor(
    private readonly controlled: Controlled,
    private readonly parts: ControlParts,
  ) {}

  /** Has them able to, also where the socket was removed since. Told once, and again where it changes. */
  async ensure(): Promise<void> {
    const { log } = this.parts;
    try {
      if (this.#server === null) this.#server = await this.#open();
      else if (await this.#server.restore()) {
        log.warn("The control socket was removed; it is made again", {
          hint: "leave the files in .dewy of an agent that runs alone",
        });
      }
      this.#trouble = null;
    } catch (error) {
      const trouble = messageOf(error);
      if (trouble !== this.#trouble) log.warn("Operators can't reach this agent", { error: trouble });
      this.#trouble = trouble;
    }
  }

  async #open(): Promise<OpenControl> {
    const { operations, recent, config } = this.controlled;
    const { settings, log, clock, open } = this.parts;
    const { root } = settings;
    writeAgentRecord(layoutOf(root).agent, recordOf(this.controlled, config.schedule));
    const source = { operations, recent, version: build.version, root };
    return open.use(await ControlServer.open(socketOf(root), source, log, clock));
  }
}

/** Reads the configuration anew, and writes down what it changes of what `dewy check` needs; null: there is none. */
export function recordedReload(
  reload: (() => Promise<LiveSettings>) | null,
  agent: Recorded,
  { settings, log }: Pick<ControlParts, "settings" | "log">,
): (() => Promise<LiveSettings>) | null {
  if (reload === null) return null;
  return async () => {
    const live = await reload();
    try {
      writeAgentRecord(layoutOf(settings.root).agent, recordOf(agent, live.rules));
    } catch (error) {
      log.warn("`dewy check` will not know the new rules without an agent", { error: messageOf(error) });
    }
    return live;
  };
}

/** What `dewy check` needs where no agent runs. */
function recordOf({ config, setup }: Recorded, rules: Rules): Omit<AgentRecord, "version"> {
  const { command, registry, calver, slot } = config;
  const { windows, minAgeMs, jitterMs } = rules;
  return {
    command,
    registry,
    calver,
    slot,
    setup,
    schedule: { windows: windows.map(({ text }) => text), minAgeMs, jitterMs },
  };
}
