import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { acquireLock } from "../../src/agent/lock.ts";
import type { Operations } from "../../src/agent/orders/operations.ts";
import { runOperator } from "../../src/cli/operator/operator.ts";
import type { OperatorRequest } from "../../src/cli/operator/request.ts";
import type { Screen } from "../../src/cli/operator/screen.ts";
import { type Layout, layoutOf, prepareLayout } from "../../src/cli/run/layout.ts";
import { socketOf } from "../../src/control/client.ts";
import { RecentRecords } from "../../src/control/recent.ts";
import { ControlServer } from "../../src/control/server.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { systemClock } from "../../src/util/time.ts";
import { tempDir } from "../support/temp-dir.ts";

/** Keeps what is written; no terminal unless it is given columns. */
export function screen(changes: Partial<Omit<Screen, "write">> = {}): Screen & { text(): string } {
  let text = "";
  return {
    columns: () => null,
    colour: false,
    live: false,
    ...changes,
    write: (more) => {
      text += more;
      return true;
    },
    text: () => text,
  };
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** Lines of `out`. */
  readonly lines: readonly string[];
  readonly error: DewyError | null;
}

type Asked<T> = T extends unknown ? Omit<T, "json"> & { readonly json?: boolean } : never;

/** Runs a command as main.ts does. `stdout`: what takes the place of it. */
export async function operate(
  request: Asked<OperatorRequest>,
  stdout: Partial<Pick<Screen, "write">> = {},
): Promise<Outcome> {
  const [out, err] = [screen(), screen()];
  const c = { signal: new AbortController().signal };
  let error: DewyError | null = null;
  let code: number;
  const watched = async () => null;
  try {
    code = await runOperator(
      { json: false, ...request },
      { ...{ out: { ...out, ...stdout }, err, env: {}, clock: systemClock }, watched },
      c,
    );
  } catch (thrown) {
    if (!(thrown instanceof DewyError)) throw thrown;
    error = thrown;
    code = thrown.exitCode;
  }
  return { code, out: out.text(), err: err.text(), lines: out.text().split("\n").slice(0, -1), error };
}

export interface AgentDir extends AsyncDisposable {
  readonly root: string;
  readonly layout: Layout;
  endAgent(): Promise<void>;
}

/** A directory whose agent runs, as far as its lock says; with `operations` it answers, too. */
export async function agentDir(holder: string, operations: Operations | null = null): Promise<AgentDir> {
  const dir = tempDir();
  const root = dir.path;
  const agent = new AsyncDisposableStack();
  agent.use(acquireLock(prepareLayout(root).lock, holder));
  if (operations !== null) {
    const source = { operations, recent: new RecentRecords(), version: "v0.1.0", root };
    agent.use(await ControlServer.open(socketOf(root), source, silentLog, systemClock));
  }
  return {
    root,
    layout: layoutOf(root),
    endAgent: () => agent.disposeAsync(),
    async [Symbol.asyncDispose]() {
      await agent.disposeAsync();
      dir[Symbol.dispose]();
    },
  };
}

export function writeState(path: string, changes: Record<string, unknown>): void {
  mkdirSync(dirname(path), { recursive: true });
  const empty = { current: null, previous: null, quarantine: [], failure: null };
  const rest = { version: 1, attempt: null, unreported: null, releases: {} };
  writeFileSync(path, JSON.stringify({ ...rest, ...empty, ...changes }));
}
