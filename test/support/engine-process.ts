import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CleaningPlan } from "./engine-cleaner.ts";
import { until } from "./until.ts";

/** A running engine of the tests' own. */
export interface Engine extends AsyncDisposable {
  readonly name: "docker" | "podman";
  /** Path of the unix socket. */
  readonly socket: string;
  /** What the engine's command line client and dewy find it by: DOCKER_HOST or CONTAINER_HOST. */
  readonly env: Readonly<Record<string, string>>;
  /** All that lies on disk is below it. */
  readonly directory: string;
  /** Of the daemon or service. */
  readonly pid: number;
  /** The engine's command line client; its standard output, trimmed. Throws when it fails. */
  cli(...args: string[]): string;
  /** Ends as on `systemctl stop`; containers and images stay on disk, `restart` brings it back. */
  stop(): Promise<void>;
  /** SIGKILL to the daemon alone: its containers' processes live on. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  readonly logs: string;
}

interface EngineSpec {
  readonly name: Engine["name"];
  readonly directory: string;
  readonly socket: string;
  readonly env: Readonly<Record<string, string>>;
  readonly daemon: readonly string[];
  readonly client: readonly string[];
  /** Pid file of a process that ends with the daemon. */
  readonly companionPid: string | null;
  readonly plan: CleaningPlan;
}

/** Others than root may pass through, to reach a socket they have the right to. */
export function engineDirectory(): string {
  const path = mkdtempSync(join(realpathSync(tmpdir()), "dewy-engine-"));
  chmodSync(path, 0o755);
  return path;
}

export function requirePrograms(programs: readonly string[], packages: string): void {
  const missing = programs.filter((program) => Bun.which(program) === null);
  if (missing.length === 0 && process.getuid?.() === 0) return;
  throw new Error(
    missing.length > 0
      ? `not installed: ${missing.join(", ")}: apt-get install -y ${packages}`
      : "an engine of the tests' own needs root",
  );
}

/** A /24 that no interface of this host has. */
export function freeSubnet(): string {
  const taken = Bun.spawnSync(["ip", "-o", "-4", "addr"]).stdout.toString();
  for (;;) {
    const prefix = `10.${128 + Math.floor(Math.random() * 120)}.${Math.floor(Math.random() * 250)}`;
    if (!taken.includes(` ${prefix}.`)) return prefix;
  }
}

export async function startEngine(spec: EngineSpec): Promise<Engine> {
  const { name, socket, directory } = spec;
  const cleaner = startCleaner(spec.plan);
  const logPath = join(directory, "log");
  const begin = () =>
    launch(spec, logPath).catch(async (error: unknown) => {
      await cleaner.finish();
      throw error;
    });
  let daemon = await begin();
  const end = async (signal: "SIGTERM" | "SIGKILL") => {
    daemon.kill(signal);
    await daemon.exited;
  };
  const logs = () => Bun.spawnSync(["cat", logPath]).stdout.toString();
  return {
    name,
    socket,
    directory,
    env: spec.env,
    get pid() {
      return daemon.pid;
    },
    get logs() {
      return logs();
    },
    cli(...args) {
      const env = { ...process.env, ...spec.env };
      const { exitCode, stdout, stderr } = Bun.spawnSync([...spec.client, ...args], { env });
      if (exitCode !== 0) throw new Error(`${name} ${args.join(" ")}: ${stderr}`);
      return stdout.toString().trim();
    },
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    async restart() {
      await end("SIGTERM");
      if (spec.companionPid !== null) await forget(spec.companionPid);
      daemon = await begin();
    },
    [Symbol.asyncDispose]: () => cleaner.finish(),
  };
}

/**
 * A daemon that starts while its killed predecessor's companion is still dying takes it for alive, and then waits
 * for it in vain.
 */
async function forget(pidFile: string): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = readFileSync(pidFile, "utf8").trim();
  const ended = () => {
    try {
      return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      return true;
    }
  };
  await until("the daemon's companion ends", ended);
  rmSync(pidFile, { force: true });
}

async function launch(spec: EngineSpec, logPath: string) {
  // With CONTAINER_HOST in its environment podman is a client and knows no --root.
  const env = { ...process.env, ...spec.env, CONTAINER_HOST: undefined };
  // The shell appends, so that the log tells of the runs before too.
  const daemon = Bun.spawn(["/bin/sh", "-c", `exec "$0" "$@" >>'${logPath}' 2>&1`, ...spec.daemon], {
    env,
    cwd: spec.directory,
    stdio: ["ignore", "ignore", "ignore"],
    // A Ctrl-C in the terminal is for the tests; the engine ends with them by its cleaner.
    detached: true,
  });
  daemon.unref();
  await until(
    `${spec.name} answers (its log: ${logPath})`,
    async () => {
      if (daemon.exitCode !== null) {
        const log = Bun.spawnSync(["tail", "-n", "20", logPath]).stdout;
        throw new Error(`${spec.name} ended with ${daemon.exitCode}: ${log}`);
      }
      try {
        const signal = AbortSignal.timeout(2000);
        return (await fetch("http://engine/_ping", { unix: spec.socket, signal })).ok;
      } catch {
        return false; // not yet
      }
    },
    60_000,
  );
  return daemon;
}

/** The shell waits, at less cost than Bun, for the end of its input: ours, however this process ends. */
export function startCleaner(plan: CleaningPlan): { finish(): Promise<void> } {
  const program = join(import.meta.dir, "engine-cleaner.ts");
  const command = [process.execPath, program, JSON.stringify(plan)];
  const cleaner = Bun.spawn(["/bin/sh", "-c", 'read -r _; exec "$0" "$@"', ...command], {
    stdio: ["pipe", "ignore", "pipe"],
    detached: true,
  });
  cleaner.unref();
  return {
    async finish() {
      await cleaner.stdin.end();
      const [code, said] = await Promise.all([cleaner.exited, new Response(cleaner.stderr).text()]);
      if (code !== 0) throw new Error(`an engine in ${plan.directory} was not cleaned up: ${said}`);
    },
  };
}
