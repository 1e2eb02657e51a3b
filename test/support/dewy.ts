import { resolve } from "node:path";
import type { Subprocess } from "bun";
import { refuseSecrets } from "./secrets.ts";
import { until } from "./until.ts";

/** The binary under test, as `./scripts/build` makes it. */
export const dewyBinary = resolve(process.env["DEWY_BINARY"] ?? "dist/dewy-linux-amd64");

export interface LogRecord {
  readonly level: string;
  readonly msg: string;
  readonly [attribute: string]: unknown;
}

export interface DewyOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A command that runs the one behind it: `setpriv --reuid=1000 …`. */
  readonly through?: readonly string[];
}

/** Runs dewy to its end. */
export async function runDewy(
  args: readonly string[],
  options: DewyOptions = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = Bun.spawn([dewyBinary, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: environment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  refuseSecrets(stdout + stderr);
  return { code: child.exitCode, stdout, stderr };
}

/** A running agent, whose log is read as it comes. */
export class RunningDewy implements AsyncDisposable {
  readonly records: LogRecord[] = [];
  /** Everything on stderr, what the app itself prints there included. */
  output = "";
  readonly #child: Subprocess<"ignore", "inherit", "pipe">;
  readonly #reading: Promise<void>;

  constructor(args: readonly string[], options: DewyOptions = {}) {
    const [command = "", ...rest] = args;
    const own = rest.includes("--log-level") || rest.includes("-l") ? [] : ["--log-level", "debug"];
    const through = options.through ?? [];
    this.#child = Bun.spawn([...through, dewyBinary, command, ...own, "--log-format", "json", ...rest], {
      stdio: ["ignore", "inherit", "pipe"],
      env: environment(options.env),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#reading = this.#read(this.#child.stderr);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  errors(): LogRecord[] {
    return this.records.filter((record) => record.level === "ERROR");
  }

  /** Waits until a record with this message (and these attributes) has been logged; the agent's end is a failure. */
  async logged(
    msg: string,
    attributes: Readonly<Record<string, unknown>> = {},
    limitMs?: number,
  ): Promise<LogRecord> {
    const fits = (record: LogRecord) =>
      record.msg === msg && Object.entries(attributes).every(([key, value]) => record[key] === value);
    const look = async () => {
      const ended = !this.running;
      // Its end may be known before its last records are read; an app that outlives it keeps the pipe open.
      if (ended) await Promise.race([this.#reading, Bun.sleep(1000)]);
      const found = this.records.find(fits);
      if (found === undefined && ended) throw new Error(`dewy ended before "${msg}":\n${this.output}`);
      return found;
    };
    return until(`${msg} ${JSON.stringify(attributes)}`, look, limitMs).catch((error) => {
      throw new Error(`${error}\n${this.output}`);
    });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.running) this.#child.kill(signal);
    // A failed test may have left it standing still.
    if (this.running) this.#child.kill("SIGCONT");
    await this.#child.exited;
    // An app that outlives its agent keeps the pipe open.
    if (signal !== "SIGKILL") await this.#reading;
    refuseSecrets(this.output);
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const text = decoder.decode(chunk, { stream: true });
      this.output += text;
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
  }

  #take(line: string): void {
    try {
      this.records.push(JSON.parse(line) as LogRecord);
    } catch {
      // the app's own output, passed through
    }
  }
}

/** The caller's environment without what would change the agent's behaviour. */
function environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    (pair): pair is [string, string] =>
      pair[1] !== undefined && !/^(GH|GITHUB|DEWY|SERVER_STARTER|LISTEN|NOTIFY|WATCHDOG)_/.test(pair[0]),
  );
  return { ...Object.fromEntries(inherited), ...extra };
}
