import { join } from "node:path";
import { releaseName } from "../../src/activate/release-name.ts";
import { ProcessEngine, type ProcessEngineOptions } from "../../src/process-engine/engine.ts";
import { type ProcessPlan, planProcesses } from "../../src/process-engine/plan.ts";
import { ProcessRecord } from "../../src/process-engine/record.ts";
import type { Deployment } from "../../src/replicas/deployment.ts";
import { systemClock } from "../../src/util/time.ts";
import { type PrivateMode, placePrivateApp } from "../support/private-app.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";

export const c = { signal: new AbortController().signal };
export const app = "shop";

/** An agent's directory with releases in it, and engines of one agent after the other. */
export class ProcessHost implements AsyncDisposable {
  readonly #directory = tempDir();
  readonly log = recordingLog();
  readonly record: ProcessRecord;
  readonly #engines: ProcessEngine[] = [];
  #deploys = 0;

  constructor() {
    this.record = new ProcessRecord(join(this.#directory.path, "replicas.json"));
  }

  get root(): string {
    return this.#directory.path;
  }

  engine(options: Partial<ProcessEngineOptions> = {}): ProcessEngine {
    const { root, record, log } = this;
    const env = { PATH: process.env["PATH"] };
    const all = { app, root, env, envDir: null, user: null, avoidPorts: [], healthCommand: null, ...options };
    const engine = ProcessEngine.open(all, { record, clock: systemClock, log });
    this.#engines.push(engine);
    return engine;
  }

  deployment(
    engine: ProcessEngine,
    version: string,
    mode: PrivateMode = "serve",
    plan: Partial<ProcessPlan> = {},
  ): Deployment {
    const deployedAt = new Date(Date.parse("2026-11-21T09:00:00Z") + 1000 * ++this.#deploys);
    const release = releaseName(deployedAt);
    placePrivateApp(this.root, release, version, mode);
    const all: ProcessPlan = {
      app,
      root: this.root,
      command: [process.execPath, "./current/app.ts"],
      ports: [{ port: 8000, variable: "PORT" }],
      envDir: null,
      user: null,
      ...plan,
    };
    return planProcesses(all, { version, release, deployedAt }, engine);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.#engines) {
      for (const { id } of await engine.list({})) await engine.remove(id, c);
    }
    this.#directory[Symbol.dispose]();
  }
}
