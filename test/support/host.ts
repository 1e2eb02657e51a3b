import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { DeployRecord } from "../../src/release/release.ts";
import { RunningDewy } from "./dewy.ts";
import { freePort } from "./free-port.ts";
import { refuseSecretsIn } from "./secrets.ts";
import { until } from "./until.ts";

/** The app's files by name; a string is its content, executable if it begins with `#!`. */
export type AppFiles = Readonly<Record<string, string>>;

/** A scratch host: a working directory, a directory registry beside it, a free port. */
export class TestHost implements AsyncDisposable {
  readonly scratch = mkdtempSync(join(tmpdir(), "dewy-e2e-"));
  readonly registry = join(this.scratch, "registry");
  readonly root = join(this.scratch, "root");
  readonly port = freePort();
  readonly #agents: RunningDewy[] = [];

  constructor() {
    mkdirSync(this.registry);
    mkdirSync(this.root);
  }

  /** The demo's app at a version, or whatever files are given. */
  publish(tag: string, files?: AppFiles): string {
    const directory = join(this.registry, tag);
    mkdirSync(directory, { recursive: true });
    const path = join(directory, "app_linux_amd64.tar.gz");
    renameSync(this.archive(tag, files), path);
    return path;
  }

  unpublish(tag: string): void {
    rmSync(join(this.registry, tag), { recursive: true });
  }

  /** A .tar.gz of the app, somewhere on the same file system. */
  archive(tag: string, files: AppFiles = demoApp(tag)): string {
    const build = mkdtempSync(join(this.scratch, "build-"));
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(build, name), content, { mode: content.startsWith("#!") ? 0o755 : 0o644 });
    }
    const path = `${build}.tar.gz`;
    const { exitCode, stderr } = Bun.spawnSync(["tar", "czf", path, "-C", build, "."]);
    if (exitCode !== 0) throw new Error(stderr.toString());
    rmSync(build, { recursive: true });
    return path;
  }

  /** `dewy server` on the demo app; `flags` come before the app's command. */
  server(
    flags: readonly string[] = [],
    app: readonly string[] = demoCommand,
    env: Record<string, string> = {},
  ): RunningDewy {
    return this.start(
      ["server", ...this.flags(), "--port", `${this.port}`, "--min-uptime", "300ms", ...flags, "--", ...app],
      env,
    );
  }

  assets(flags: readonly string[] = [], env: Record<string, string> = {}): RunningDewy {
    return this.start(["assets", ...this.flags(), ...flags], env);
  }

  start(args: readonly string[], env: Record<string, string> = {}): RunningDewy {
    const agent = new RunningDewy(args, { env });
    this.#agents.push(agent);
    return agent;
  }

  flags(): string[] {
    return ["--root", this.root, "--registry", `file://${this.registry}`, "--interval", "1s"];
  }

  /** What the app answers: `<version> <generation> <pid>`; empty when nothing does. */
  async ask(port = this.port): Promise<string> {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/`, {
        keepalive: false,
        signal: AbortSignal.timeout(15_000),
      });
      return (await answer.text()).trim();
    } catch {
      return "";
    }
  }

  serves(tag: string): Promise<string> {
    return until(`the app serves ${tag}`, async () => {
      const answer = await this.ask();
      return answer.startsWith(`${tag} `) && answer;
    });
  }

  history(): DeployRecord[] {
    const path = join(this.root, ".dewy/history.jsonl");
    if (!existsSync(path)) return [];
    return readFileSync(path, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  state(): {
    current: { tag: string; release: string } | null;
    quarantine: { tag: string; reason: string }[];
    failure: unknown;
  } {
    return JSON.parse(readFileSync(join(this.root, ".dewy/state.json"), "utf8"));
  }

  /** What `current` leads to, whole: its version. */
  current(): string {
    return readFileSync(join(this.root, "current/VERSION"), "utf8").trim();
  }

  currentLink(): string {
    return resolve(this.root, readlinkSync(join(this.root, "current")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.stop()));
    refuseSecretsIn(join(this.root, ".dewy"));
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

export const demoCommand: readonly string[] = [process.execPath, "./current/app.ts"];

/** Runs the release's own script, which for the demo's app starts that. */
export const startCommand: readonly string[] = ["/bin/sh", "./current/start"];

export function demoApp(tag: string): AppFiles {
  return {
    "app.ts": readFileSync("scripts/demo-app/app.ts", "utf8"),
    start: `exec ${demoCommand.join(" ")}\n`,
    VERSION: `${tag}\n`,
  };
}

/** Under `startCommand` it ends at once: Bun on a busy machine may be up for --min-uptime before it can end. */
export function dyingApp(tag: string, code: number): AppFiles {
  return { start: `exit ${code}\n`, VERSION: `${tag}\n` };
}
