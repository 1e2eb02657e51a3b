import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import type { tempDir } from "./temp-dir.ts";
import { until } from "./until.ts";

/** A real server in a process of its own on loopback. */
export interface ServerProcess extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** What it said since it was first started. */
  readonly logs: string;
  /** SIGKILL. What it keeps on disk stays for `restart`. */
  stop(): Promise<void>;
  /** Stops it if it runs; answers again at the same port when this resolves. */
  restart(): Promise<void>;
  /** SIGSTOP: connections are still taken by the kernel, and nobody answers. */
  pause(): void;
  resume(): void;
}

export interface ServerSpec {
  readonly name: string;
  /** Program and arguments with which it listens at 127.0.0.1:`port`. */
  readonly command: (port: number) => readonly string[];
  /** On top of ours. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether it does its work; may throw as long as it doesn't. */
  readonly ready: (port: number) => boolean | Promise<boolean>;
}

/** Starts it on a free port and waits until it works; `directory` holds its files, and goes with it. */
export async function startServer(
  directory: ReturnType<typeof tempDir>,
  spec: ServerSpec,
): Promise<ServerProcess> {
  const log = join(directory.path, "log");
  const port = freePort();
  const cleaner = removeAtExit(directory.path);
  const begin = () => launch(spec, port, log);
  const clean = async () => {
    directory[Symbol.dispose]();
    await cleaner.stdin.end();
  };
  let running = await begin().catch((error: unknown) => clean().then(() => Promise.reject(error)));
  const stop = async () => {
    running.kill("SIGKILL");
    await running.exited;
  };
  return {
    port,
    get pid() {
      return running.pid;
    },
    get logs() {
      return readFileSync(log, "utf8");
    },
    stop,
    async restart() {
      await stop();
      running = await begin();
    },
    pause: () => running.kill("SIGSTOP"),
    resume: () => running.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await stop();
      await clean();
    },
  };
}

/** The shell waits for the end of its input: ours, however this process ends. The server may still be writing then. */
function removeAtExit(path: string) {
  const script = 'read -r _; for _ in 1 2 3 4 5; do rm -rf "$0" && exit; sleep 0.2; done';
  const cleaner = Bun.spawn(["/bin/sh", "-c", script, path], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  cleaner.unref();
  return cleaner;
}

async function launch(spec: ServerSpec, port: number, log: string): Promise<Bun.Subprocess> {
  const output = openSync(log, "a");
  // A test run that is killed takes it along.
  const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", ...spec.command(port)], {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...spec.env },
  });
  closeSync(output);
  child.unref();
  const running = () => {
    if (child.exitCode === null && child.signalCode === null) return;
    throw new Error(`${spec.name} ended with ${child.exitCode ?? child.signalCode}: ${tail(log)}`);
  };
  const ready = async () => {
    running();
    try {
      return await spec.ready(port);
    } catch {
      return false; // not yet
    }
  };
  try {
    await until(`${spec.name} works`, ready, 60_000);
    running(); // else another's server at the same port had answered
  } catch (error) {
    child.kill("SIGKILL");
    await child.exited;
    throw new Error(`${spec.name} does not start: ${tail(log)}`, { cause: error });
  }
  return child;
}

function tail(log: string): string {
  return readFileSync(log, "utf8").slice(-2000);
}

/** Path of a server that `scripts/servers` builds. */
export function builtServer(name: string): string {
  const cache = process.env["DEWY_TEST_CACHE"] ?? join(homedir(), ".cache/dewy-test");
  const path = join(cache, "bin", name);
  if (!existsSync(path)) throw new Error(`${path} is missing: run ./scripts/servers`);
  return path;
}

/** Makes a function that starts a server at its first call; the server ends with this process. */
export function lazily<T extends ServerProcess>(start: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= start();
    return running;
  };
}

/** As `fetch`, within twenty seconds. */
export async function ask(url: string, init: BunFetchRequestInit = {}): Promise<Response> {
  return fetch(url, { ...init, signal: AbortSignal.timeout(20_000) });
}
