import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Activator, StagedArtifact } from "../../src/activate/activator.ts";
import { ArchiveDelivery, type ArchiveDeps } from "../../src/activate/archive.ts";
import type { DeliveryStatus } from "../../src/activate/delivery.ts";
import { ReleaseDirectory } from "../../src/activate/release-dir.ts";
import { Agent, type AgentDeps } from "../../src/agent/agent.ts";
import { Announcer } from "../../src/agent/announce.ts";
import { usualCrashLoop } from "../../src/agent/back/going-back.ts";
import type { DeploySettings } from "../../src/agent/deploy/deploy.ts";
import { History } from "../../src/agent/history.ts";
import { Live, type LiveSettings } from "../../src/agent/live.ts";
import { StateFile } from "../../src/agent/state.ts";
import { openObjectCache } from "../../src/cache/object.ts";
import { TroubleFile } from "../../src/notify/limiter-file.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { tagOrder } from "../../src/release/version.ts";
import { always } from "../../src/schedule/evaluate.ts";
import { openLocalStore } from "../../src/store/local.ts";
import { FakeClock } from "./clock.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { recordingLog, recordingOutbox } from "./recording.ts";
import { tempDir } from "./temp-dir.ts";

type Changes = Partial<Omit<AgentDeps, "settings" | "delivery">> &
  Partial<Pick<ArchiveDeps, "cache" | "shared" | "maxCacheBytes">> &
  Partial<LiveSettings> & { readonly settings?: Partial<DeploySettings> };

const usualLive: LiveSettings = {
  intervalMs: 10_000,
  hooks: { before: null, after: null, onFailure: "continue", timeoutMs: 60_000 },
  rules: always,
  keep: 7,
  soakMs: 0,
  logLevel: "info",
};

/** A working directory with an agent whose world is in this process: registry, clock, people, app. */
export class AgentHost implements Disposable {
  readonly #dir = tempDir();
  readonly root = this.#dir.path;
  readonly cacheDir = join(this.root, ".dewy/cache");
  readonly clock: FakeClock;
  readonly log = recordingLog();
  readonly outbox: ReturnType<typeof recordingOutbox>;
  readonly registry: MemoryRegistry;
  readonly releases: ReleaseDirectory;
  readonly history = new History(join(this.root, ".dewy/history.jsonl"));
  readonly retryRequest = join(this.root, ".dewy/retry");
  readonly app: FakeApp;

  /** `crashed`: what another one has on disk at this moment, as a kill -9 of its agent would leave it. */
  constructor(crashed: AgentHost | null = null) {
    this.clock = crashed?.clock ?? new FakeClock();
    this.registry = crashed?.registry ?? new MemoryRegistry();
    this.outbox = recordingOutbox(crashed?.outbox.told);
    this.releases = new ReleaseDirectory(this.root, this.clock);
    this.app = new FakeApp(this.releases);
    if (crashed !== null) cpSync(crashed.root, this.root, { recursive: true, verbatimSymlinks: true });
    mkdirSync(this.cacheDir, { recursive: true });
    mkdirSync(this.releases.path, { recursive: true });
  }

  /** The agent as it is at its start: what it knows is what is on disk. */
  agent(changes: Changes = {}): Agent {
    return this.agentOf(this.deps(changes));
  }

  agentOf(deps: AgentDeps): Agent {
    return new Agent(deps);
  }

  deps(changes: Changes = {}): AgentDeps {
    const { log, clock, registry, history, retryRequest } = this;
    const { cache, shared, maxCacheBytes, settings: settingChanges, ...others } = changes;
    const { intervalMs, hooks, rules, keep, soakMs, logLevel, ...parts } = others;
    const archives = { cache, shared, maxCacheBytes };
    const live = { intervalMs, hooks, rules, keep, soakMs, logLevel };
    const troubles = TroubleFile.open(join(this.root, ".dewy/limiter.json"), log);
    const { file: state, fresh } = StateFile.open(this.statePath, log);
    const settings: DeploySettings = {
      command: "server",
      root: this.root,
      host: "web1",
      env: { PATH: process.env["PATH"] },
      user: null,
      hasPort: true,
      ...settingChanges,
    };
    return {
      registry,
      delivery: new ArchiveDelivery({ ...this.archiveDeps(), ...definedOf(archives) }),
      state,
      freshState: fresh,
      history,
      announcer: new Announcer({ outbox: this.outbox, troubles, clock, log, mask: (text) => text }),
      clock,
      log,
      live: new Live({ ...usualLive, ...definedOf(live) }),
      order: tagOrder(semverScheme(null)),
      version: "0.1.0",
      crashLoop: usualCrashLoop,
      reload: null,
      phase: null,
      report: true,
      retryRequest,
      onStep: () => undefined,
      notifiers: () => [],
      onQuiet: () => undefined,
      ...parts,
      settings,
    };
  }

  archiveDeps(): ArchiveDeps {
    const { log, clock, releases, registry, cacheDir } = this;
    return {
      source: registry,
      cache: openObjectCache(openLocalStore(cacheDir), { log }),
      cacheDir,
      shared: null,
      maxCacheBytes: null,
      activator: this.app,
      releases,
      clock,
      log,
      maxArtifactBytes: 1024 * 1024,
      links: [],
      root: this.root,
      user: null,
      tmpDir: join(this.root, ".dewy/tmp"),
    };
  }

  get statePath(): string {
    return join(this.root, ".dewy/state.json");
  }

  /** What is on disk, not what an agent remembers. */
  get state() {
    return StateFile.open(this.statePath, this.log).file.state;
  }

  /** What the release that `current` leads to says of itself; null: it leads nowhere. */
  get current(): string | null {
    try {
      return readFileSync(join(this.root, "current/VERSION"), "utf8");
    } catch {
      return null;
    }
  }

  /** The kinds of what people were told. */
  get told(): string[] {
    return this.outbox.events.map(({ kind }) => kind);
  }

  [Symbol.dispose](): void {
    this.#dir[Symbol.dispose]();
  }
}

/** Activates as the real ones do; whether a release starts is up to the test. */
export class FakeApp implements Activator {
  /** Asked between the after hook and the commit; what it answers, the start fails with. */
  startFailure: (staged: StagedArtifact) => Error | null = () => null;
  readonly resumed: (string | null)[] = [];
  current: DeliveryStatus = { kind: "idle" };
  resumeFailure: Error | null = null;

  constructor(private readonly releases: ReleaseDirectory) {}

  async resume(release: string | null) {
    this.resumed.push(release);
    if (this.resumeFailure !== null) throw this.resumeFailure;
  }

  async activate(
    staged: StagedArtifact,
    steps: { switched(): Promise<void>; commit(): Promise<void> },
    c: { signal: AbortSignal },
  ) {
    const before = this.releases.linkTarget();
    this.releases.switchTo(staged.release);
    try {
      await steps.switched();
      c.signal.throwIfAborted();
      const failure = this.startFailure(staged);
      if (failure !== null) throw failure;
      await steps.commit();
    } catch (error) {
      this.releases.restoreLink(before);
      throw error;
    }
    return { how: before === null ? "started" : "restarted" } as const;
  }

  async restart() {}

  status() {
    return this.current;
  }

  async [Symbol.asyncDispose]() {}
}

function definedOf<T extends object>(changes: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [K in keyof T]?: NonNullable<T[K]> };
}
