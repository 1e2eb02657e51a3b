import { readFileSync } from "node:fs";
import { join } from "node:path";
import { processStat } from "../../src/util/procfs.ts";
import type { RunningDewy } from "./dewy.ts";
import { type AppFiles, TestHost } from "./host.ts";
import { startLoad } from "./load.ts";
import { type PrivateMode, privateApp } from "./private-app.ts";

/** A private app's. */
export const privateCommand: readonly string[] = [process.execPath, "./current/app.ts"];

/** A host whose agent is to serve behind its own proxy, with processes that know nothing of dewy. */
export class Proxied extends TestHost {
  /** `dewy server --proxy`, with two replicas unless `flags` say how many. */
  agent(flags: readonly string[] = [], app: readonly string[] = privateCommand): RunningDewy {
    const replicas = flags.includes("--replicas") ? [] : ["--replicas", "2"];
    return this.server(["--proxy", ...replicas, ...flags], app);
  }

  /** The agent, once it serves `tag`. */
  async serving(
    tag: string,
    flags: readonly string[] = [],
    { files = privateFiles(tag), app = privateCommand }: { files?: AppFiles; app?: readonly string[] } = {},
  ): Promise<RunningDewy> {
    this.publish(tag, files);
    const agent = this.agent(flags, app);
    await agent.logged("Start notification", {}, 60_000);
    return agent;
  }

  publishMode(tag: string, mode?: PrivateMode): void {
    this.publish(tag, privateFiles(tag, mode));
  }

  /** New connections all the time, with a short pause after each answer. */
  load({ kept = 0, fresh = 2, pauseMs = 5 } = {}) {
    return startLoad(this.port, { kept, fresh, pauseMs });
  }

  get processes(): readonly {
    readonly name: string;
    readonly pid: number;
    readonly release: string;
    readonly stopping: boolean;
  }[] {
    return JSON.parse(readFileSync(join(this.root, ".dewy/replicas.json"), "utf8")).processes;
  }

  get pids(): number[] {
    return this.processes.map(({ pid }) => pid).sort((a, b) => a - b);
  }

  /** A crash of the release that is current, all its processes at once. */
  killCurrent(): void {
    const current = this.processes.filter(({ release }) => this.currentLink().endsWith(release));
    for (const { pid } of current) process.kill(pid, "SIGKILL");
  }
}

function privateFiles(tag: string, mode?: PrivateMode): AppFiles {
  return { "app.ts": privateApp(tag, mode) };
}

/** One that has ended stays until whoever started it, or init, takes notice. */
export function isAlive(pid: number): boolean {
  const state = processStat(pid)?.state ?? "Z";
  return state !== "Z";
}
