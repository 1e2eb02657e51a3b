import { closeSync, fchownSync } from "node:fs";
import { messageOf } from "../../errors.ts";
import type { HookResult } from "../../events.ts";
import type { Call } from "../../util/async.ts";
import { pipe } from "../../util/libc.ts";
import { spawnAs } from "../../util/spawn-as.ts";
import type { Clock } from "../../util/time.ts";
import { type User, userEnvironment } from "../../util/user.ts";

export interface HookOptions {
  readonly command: string;
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  /** Whom it runs as; null: as the agent. */
  readonly user: User | null;
}

/** Of each stream, this much of its end is kept. */
const maxOutputBytes = 64 * 1024;

/**
 * Runs an operator's hook by `/bin/sh -c` and captures its output. At the deadline, or when `c` aborts, its whole
 * process group is killed. Never rejects: a failing hook is a result.
 */
export async function runHook(options: HookOptions, clock: Clock, c: Call): Promise<HookResult> {
  const startedMs = clock.monotonicMs();
  const { command } = options;
  using stdout = new Tail(options.user);
  using stderr = new Tail(options.user);
  let child: ReturnType<typeof spawnShell>;
  try {
    child = spawnShell(options, stdout, stderr);
  } catch (error) {
    // As a shell says that it could not execute something.
    return { command, stdout: "", stderr: messageOf(error), exitCode: 126, durationMs: 0, timedOut: false };
  }
  const timedOut = await untilEnded(child, options.timeoutMs, clock, c);
  // What the hook left running in the background may keep the pipes open: it is not waited for.
  const drained = Promise.all([stdout.read(), stderr.read()]);
  await Promise.race([drained, clock.sleep(200, c.signal).catch(() => undefined)]);
  return {
    command,
    stdout: stdout.text(),
    stderr: stderr.text(),
    exitCode: child.exitCode,
    durationMs: clock.monotonicMs() - startedMs,
    timedOut,
  };
}

/** Whether the deadline ended it. */
async function untilEnded(
  child: ReturnType<typeof spawnShell>,
  timeoutMs: number,
  clock: Clock,
  c: Call,
): Promise<boolean> {
  const ended = new AbortController();
  let timedOut = false;
  const deadline = clock.sleep(timeoutMs, AbortSignal.any([c.signal, ended.signal])).then(
    () => {
      timedOut = true;
      killGroup(child.pid);
    },
    () => {
      if (!ended.signal.aborted) killGroup(child.pid);
    },
  );
  await child.exited;
  ended.abort();
  await deadline;
  return timedOut;
}

function spawnShell({ command, root, env, user }: HookOptions, stdout: Tail, stderr: Tail) {
  const child = spawnAs(user, (ids) =>
    Bun.spawn(["/bin/sh", "-c", command], {
      cwd: root,
      env: { ...env, ...(user === null ? {} : userEnvironment(user)) },
      detached: true,
      stdio: ["ignore", stdout.writeFd, stderr.writeFd],
      ...ids,
    }),
  );
  stdout.begin();
  stderr.begin();
  return child;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it ended meanwhile
  }
}

/** As much as is needed of a ReadableStreamDefaultReader, of which there are two in the types. */
interface OutputReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/**
 * A pipe whose last bytes are kept. Bun's own "pipe" is a socket, which `echo x > /dev/stderr` in a hook can't open.
 */
class Tail implements Disposable {
  readonly writeFd: number;
  readonly #readFd: number;
  #reader: OutputReader | null = null;
  #reading: Promise<void> = Promise.resolve();
  #bytes = Buffer.alloc(0);
  #writable = true;

  constructor(user: User | null) {
    const { readFd, writeFd } = pipe();
    // Opening it by its name is for its owner alone.
    if (user !== null) fchownSync(writeFd, user.uid, user.gid);
    this.#readFd = readFd;
    this.writeFd = writeFd;
  }

  /** The child has its end; ours must go, or the pipe never ends. */
  begin(): void {
    this.#closeWriteEnd();
    const reader = Bun.file(this.#readFd).stream().getReader();
    this.#reader = reader;
    // A failure to read is the end of what there is.
    this.#reading = this.#keep(reader).catch(() => undefined);
  }

  /** Resolves at the end of the output. */
  read(): Promise<void> {
    return this.#reading;
  }

  text(): string {
    return this.#bytes.toString("utf8").trim();
  }

  [Symbol.dispose](): void {
    this.#closeWriteEnd();
    const close = () => closeSync(this.#readFd);
    if (this.#reader === null) close();
    else void this.#reader.cancel().then(close, close);
  }

  #closeWriteEnd(): void {
    if (this.#writable) closeSync(this.writeFd);
    this.#writable = false;
  }

  async #keep(reader: OutputReader): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || value === undefined) return;
      this.#bytes = Buffer.concat([this.#bytes, value]).subarray(-maxOutputBytes);
    }
  }
}
