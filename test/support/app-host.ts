import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Change } from "../../src/supervisor/change.ts";
import { RecordFile } from "../../src/supervisor/record.ts";
import type { Sickness } from "../../src/supervisor/soak-watch.ts";
import { type Crash, Supervisor, type SupervisorOptions } from "../../src/supervisor/supervisor.ts";
import {
  commandName,
  environment,
  processGroup,
  processIds,
  workingDirectory,
} from "../../src/util/procfs.ts";
import { type Clock, systemClock } from "../../src/util/time.ts";
import { freePort } from "./free-port.ts";
import type { GateBehaviour } from "./gate-app.ts";
import { recordingLog } from "./recording.ts";
import { tempDir } from "./temp-dir.ts";
import { until } from "./until.ts";

const forEver = { signal: new AbortController().signal };

/** Runs whatever `current/app` is. */
export const shellCommand: readonly string[] = ["./current/app"];
/** Runs the demo's HTTP app. */
export const httpCommand: readonly string[] = [process.execPath, "./current/app.ts"];

/** Shell apps by what they do. */
export const shellApps = {
  stays: "exec sleep 1000",
  dies: "exit 3",
  /** As soon as there is a file of that name. */
  diesWhenTold: "until [ -e die ]; do sleep 0.02; done; exit 4",
  ignoresTerm: "trap '' TERM; while :; do sleep 1000; done",
  /** A parent that ends on SIGTERM, with a child that does not. */
  leavesChild: "(trap '' TERM; exec sleep 1000) & exec sleep 1000",
} as const;

/** A working directory with releases of little apps, and what a supervisor of them needs. */
export class AppHost implements AsyncDisposable {
  readonly #dir = tempDir();
  /** Of the supervisor, under way. */
  #sleeps = 0;
  readonly root = this.#dir.path;
  readonly port = freePort();
  readonly log = recordingLog();
  readonly crashes: Crash[] = [];
  readonly sicknesses: Sickness[] = [];
  isSoaking = false;
  /** How often the supervisor asked whether it is so. */
  soakingAsked = 0;
  readonly record = new RecordFile(join(this.root, "supervisor.json"));
  readonly steps: string[] = [];

  /** A release whose app is a shell script. */
  shellRelease(name: string, script: string): string {
    const path = join(this.root, "releases", name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "app"), `#!/bin/sh\n${script}\n`);
    chmodSync(join(path, "app"), 0o755);
    return name;
  }

  /** A release of the demo's app, that answers with its name. */
  httpRelease(name: string, app = readFileSync("scripts/demo-app/app.ts", "utf8")): string {
    const path = join(this.root, "releases", name);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "app.ts"), app);
    writeFileSync(join(path, "VERSION"), name);
    return name;
  }

  /** A release of an HTTP app that answers with its name and behaves as told. */
  gateRelease(name: string, behaviour: GateBehaviour): string {
    this.httpRelease(name, readFileSync("test/support/gate-app.ts", "utf8"));
    writeFileSync(join(this.root, "releases", name, "BEHAVIOUR"), JSON.stringify(behaviour));
    return name;
  }

  switchTo(release: string): void {
    rmSync(join(this.root, "new"), { force: true });
    symlinkSync(join("releases", release), join(this.root, "new"));
    renameSync(join(this.root, "new"), join(this.root, "current"));
  }

  options(changes: Partial<SupervisorOptions> = {}): SupervisorOptions {
    return {
      command: shellCommand,
      root: this.root,
      env: { PATH: process.env["PATH"] },
      envDir: null,
      user: null,
      listen: [],
      stopTimeoutMs: 5000,
      killOldDelayMs: 0,
      minUptimeMs: 150,
      health: null,
      rehearse: false,
      tmpDir: join(this.root, "tmp"),
      ...changes,
    };
  }

  /** Once it does, it does nothing more before something ends or somebody calls. */
  async waitsForNothing(): Promise<void> {
    await until("no time is waited for", () => this.#sleeps === 0);
  }

  open(changes: Partial<SupervisorOptions> = {}, c = forEver): Promise<Supervisor> {
    const { log, record } = this;
    const clock: Clock = {
      now: () => systemClock.now(),
      monotonicMs: () => systemClock.monotonicMs(),
      sleep: (ms, signal) => {
        this.#sleeps += 1;
        return systemClock.sleep(ms, signal).finally(() => (this.#sleeps -= 1));
      },
    };
    const onCrash = (crash: Crash) => void this.crashes.push(crash);
    const onSick = (sickness: Sickness) => void this.sicknesses.push(sickness);
    const soaking = () => {
      this.soakingAsked += 1;
      return this.isSoaking;
    };
    const deps = { clock, log, record, onCrash, onSick, soaking };
    return Supervisor.open(this.options(changes), deps, c);
  }

  /** With a listener on this host's port, for the HTTP app. */
  openHttp(changes: Partial<SupervisorOptions> = {}): Promise<Supervisor> {
    return this.open({ command: httpCommand, listen: [this.listen], ...changes });
  }

  get listen() {
    return { kind: "tcp", host: null, port: this.port } as const;
  }

  /** A change from one release to another, whose steps are noted; `overrides` may do something else. */
  change(release: string, before: string | null, overrides: Partial<Change> = {}): Change {
    return {
      kind: "deploy",
      release,
      prepare: async () => {
        this.steps.push("prepare");
        this.switchTo(release);
      },
      commit: async () => void this.steps.push("commit"),
      undo: async () => {
        this.steps.push("undo");
        if (before !== null) this.switchTo(before);
      },
      ...overrides,
    };
  }

  /** What the HTTP app answers: version, generation, pid. Empty when nothing does. */
  async ask(): Promise<string> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.port}/`, { keepalive: false });
      return (await answer.text()).trim();
    } catch {
      return "";
    }
  }

  serves(version: string): Promise<string> {
    return until(`${version} serves`, async () => {
      const answer = await this.ask();
      return answer.startsWith(`${version} `) && answer;
    });
  }

  /** Whatever of these groups a test left running goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { generations = [] } = this.record.read() ?? {};
    for (const { pid } of generations) if (pid !== null) killGroup(pid);
    // What went into a session of its own is in no group that is known.
    for (const pid of processIds()) if (workingDirectory(pid) === this.root) process.kill(pid, "SIGKILL");
    this.#dir[Symbol.dispose]();
  }
}

/** The pid of what a supervisor runs now. */
export function pidOf({ state }: Supervisor): number {
  if (state.kind === "running" || state.kind === "reloading") return state.current.pid;
  throw new Error(`the app is ${state.kind}`);
}

/** Once it does, its script has been read: what `current` leads to from then on is no matter to it. */
export function sleeps(supervisor: Supervisor): Promise<boolean> {
  return until("the app sleeps", () => commandName(pidOf(supervisor)) === "sleep");
}

/** The environment a process got, once it runs `program` and no longer the shell that starts it. */
export function environmentOf(pid: number, program: string): Promise<Map<string, string>> {
  return until(`pid ${pid} runs ${program}`, () => {
    if (commandName(pid) !== program) return null;
    // An exec gives the name first; until it is through, the environment reads as empty.
    const found = environment(pid);
    return found.size > 0 && found;
  });
}

export function groupIsGone(pid: number): boolean {
  return processGroup(pid).length === 0;
}

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // gone already
  }
}
