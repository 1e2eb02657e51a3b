import { closeSync, fchownSync } from "node:fs";
import { messageOf } from "../../errors.ts";
import type { HookResult } from "../../events.ts";
import type { Call } from "../../util/async.ts";
import { pipe } from "../../util/libc.ts";
import { killGroup, type ShellCommand, spawnShell } from "../../util/shell.ts";
import type { Clock } from "../../util/time.ts";
import { type User, userEnvironment } from "../../util/user.ts";

export interface HookOptions extends ShellCommand {
  readonly timeoutMs: number;
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
  let child: ReturnType<typeof spawnHook>;
  try {
    child = spawnHook(options, stdout, stderr);
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
  child: ReturnType<typeof spawnHook>,
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

function spawnHook(hook: HookOptions, stdout: Tail, stderr: Tail) {
  const own = hook.user === null ? {} : userEnvironment(hook.user);
  const child = spawnShell({ ...hook, env: { ...hook.env, ...own } }, [stdout.writeFd, stderr.writeFd]);
  stdout.begin();
  stderr.begin();
  return child;
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
  #isCut = false;
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
    const text = this.#bytes.toString("utf8");
    // The rest of a line may be the rest of a secret, which nobody would recognize.
    return (this.#isCut ? text.replace(/^[^\n]*\n/, "") : text).trim();
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
      const all = Buffer.concat([this.#bytes, value]);
      this.#isCut ||= all.length > maxOutputBytes;
      this.#bytes = all.subarray(-maxOutputBytes);
    }
  }
}
