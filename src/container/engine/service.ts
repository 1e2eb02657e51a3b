import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { DewyError, messageOf } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { type Call, Mutex, pollUntil, withDeadline } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Endpoint, Environment } from "./endpoint.ts";

const startMs = 20_000;
const stopMs = 5_000;
const lookEveryMs = 20;
const maxSaidBytes = 2000;

interface ServiceDeps {
  readonly env: Environment;
  readonly log: Log;
  readonly clock: Clock;
}

interface Running {
  readonly process: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly socket: string;
  /** The end of what it printed. */
  said: string;
  ended: boolean;
}

/**
 * `podman system service` as a child, for hosts where nobody else serves Podman's API. Started when it is needed,
 * again when it has died; it ends with this process, however that ends. Its containers go on without it.
 */
export class PodmanService implements AsyncDisposable {
  readonly #turn = new Mutex();
  #directory: string | null = null;
  #running: Running | null = null;
  #closed = false;

  constructor(private readonly deps: ServiceDeps) {}

  /** `engine-unreachable` where podman is not installed or its service does not come up. */
  endpoint(c: Call): Promise<Endpoint> {
    return this.#turn.run(async () => {
      c.signal.throwIfAborted();
      // Asked of the socket: that a child has died is known here only later.
      if (this.#running === null || !(await accepts(this.#running.socket))) {
        this.#running?.process.kill("SIGKILL");
        this.#running = await this.#start(c);
      }
      return { kind: "unix", path: this.#running.socket };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#turn.run(async () => {
      if (this.#running !== null) await end(this.#running.process);
      if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true });
    });
  }

  async #start(c: Call): Promise<Running> {
    if (this.#closed) throw new DewyError("stopped", "starting podman's service: dewy is stopping");
    const { env, log, clock } = this.deps;
    const program = Bun.which("podman", { PATH: env["PATH"] ?? "" });
    if (program === null) {
      throw new DewyError("engine-unreachable", "podman is not installed and no socket of it is there", {
        hint: "install podman, or name a socket in CONTAINER_HOST",
      });
    }
    this.#directory ??= privateDirectory(env);
    const socket = join(this.#directory, "podman.sock");
    rmSync(socket, { force: true });
    log.info("Starting Podman's API service", { socket });
    const running = spawnService(program, socket, env);
    const deadline = withDeadline(c, startMs);
    try {
      await pollUntil(() => whetherUp(running), lookEveryMs, clock, deadline);
      return running;
    } catch (error) {
      running.process.kill("SIGKILL");
      if (c.signal.aborted || !deadline.signal.aborted) throw error;
      throw new DewyError("engine-unreachable", `podman's service is not up after ${startMs / 1000}s`);
    }
  }
}

/** Only this user gets in: the socket gives away the host. */
function privateDirectory(env: Environment): string {
  const runtimeDir = env["XDG_RUNTIME_DIR"] ?? "";
  return mkdtempSync(join(isAbsolute(runtimeDir) ? runtimeDir : tmpdir(), "dewy-podman-"));
}

async function end(process: Running["process"]): Promise<void> {
  process.kill("SIGTERM");
  const impatience = setTimeout(() => process.kill("SIGKILL"), stopMs);
  await process.exited;
  clearTimeout(impatience);
}

function spawnService(program: string, socket: string, env: Environment): Running {
  // Both in a session of their own: a Ctrl-C in the terminal is for dewy, which needs the engine to clean up.
  const process = Bun.spawn([program, "system", "service", "--time=0", `unix://${socket}`], {
    // With CONTAINER_HOST podman would be a client of that.
    env: { ...env, CONTAINER_HOST: undefined },
    // conmon leaves a file named `oom` there when a container runs out of memory.
    cwd: dirname(socket),
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
  });
  // After a kill -9 of this process nobody else would end it: the pipe closes, the shell goes on.
  const guard = Bun.spawn(["/bin/sh", "-c", 'read -r _; kill "$0"', String(process.pid)], {
    env: {},
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  const running: Running = { process, socket, said: "", ended: false };
  void process.exited.then(() => {
    running.ended = true;
    // Before its number can be another process's.
    guard.kill("SIGKILL");
  });
  void keepEnd(process.stderr, running);
  return running;
}

/** Read all the time, lest the service block on a full pipe. */
async function keepEnd(output: ReadableStream<Uint8Array>, running: Running): Promise<void> {
  const decoder = new TextDecoder();
  try {
    for await (const chunk of output) {
      running.said = `${running.said}${decoder.decode(chunk, { stream: true })}`.slice(-maxSaidBytes);
    }
  } catch (error) {
    running.said += messageOf(error);
  }
}

async function whetherUp(running: Running): Promise<true | undefined> {
  if (running.ended) {
    throw new DewyError("engine-unreachable", `podman's service ended at once: ${running.said.trim()}`, {
      hint: "try `podman info` as the same user",
    });
  }
  return (await accepts(running.socket)) ? true : undefined;
}

/** The file alone says nothing: it is there a moment before somebody listens, and long after. */
async function accepts(socket: string): Promise<boolean> {
  try {
    await Bun.connect({ unix: socket, socket: { open: (connection) => void connection.end(), data() {} } });
    return true;
  } catch {
    return false;
  }
}
