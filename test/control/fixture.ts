import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type {
  AgentView,
  Operations,
  Order,
  OrderProgress,
  OrderResult,
  Preview,
} from "../../src/agent/orders/operations.ts";
import { socketOf } from "../../src/control/client.ts";
import { RecentRecords } from "../../src/control/recent.ts";
import { ControlServer } from "../../src/control/server.ts";
import { type Log, silentLog } from "../../src/log.ts";
import type { Call } from "../../src/util/async.ts";
import { systemClock } from "../../src/util/time.ts";
import { tempDir } from "../support/temp-dir.ts";

const at = "2026-11-21T09:00:00.000Z";
export const forEver: Call = { signal: new AbortController().signal };

export const view: AgentView = {
  command: "server",
  version: "v0.1.0",
  startedAt: at,
  current: { tag: "v1.2.3", digest: null, artifact: "app.tar.gz", release: "20261121T090000Z", since: at },
  previous: null,
  lastPoll: { at, ok: true, newest: "v1.2.3" },
  nextPollAt: at,
  busy: null,
  hold: null,
  waiting: null,
  soakUntil: null,
  stranded: null,
  quarantine: [],
  failure: null,
  lastError: null,
  notifiers: [],
  app: { kind: "serving", pid: 4711, generation: 1, replicas: null, inRotation: null },
};

type CarryOut = (
  order: Order,
  onProgress: (progress: OrderProgress) => void,
  c: Call,
) => Promise<OrderResult>;

/** An agent that answers as it is told to. */
export class ScriptedOperations implements Operations {
  readonly orders: Order[] = [];
  now: AgentView = view;

  constructor(private readonly script: CarryOut = async () => ({ message: "Done." })) {}

  view(): AgentView {
    return this.now;
  }

  async check(): Promise<Preview> {
    return {
      newest: "v1.2.3",
      current: "v1.2.3",
      wouldDeploy: false,
      reason: "it runs already",
      notBefore: null,
    };
  }

  carryOut(order: Order, onProgress: (progress: OrderProgress) => void, c: Call): Promise<OrderResult> {
    this.orders.push(order);
    return this.script(order, onProgress, c);
  }
}

/** A working directory whose control socket answers. */
export async function controlHost(
  operations: Operations = new ScriptedOperations(),
  log: Log = silentLog,
  depth = "",
) {
  const dir = tempDir();
  const root = join(dir.path, depth);
  mkdirSync(join(root, ".dewy"), { recursive: true });
  const recent = new RecentRecords();
  const open = () =>
    ControlServer.open(socketOf(root), { operations, recent, version: "v0.1.0", root }, log, systemClock);
  const server = await open();
  return {
    root,
    socket: socketOf(root),
    recent,
    open,
    restore: () => server.restore(),
    close: () => server[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}
