import type { Activator } from "../activate/activator.ts";
import type { ReleaseDirectory } from "../activate/release-dir.ts";
import { extractArchive } from "../artifact/extract/extract.ts";
import type { Cache } from "../cache/cache.ts";
import { DewyError } from "../errors.ts";
import { type Command, records } from "../events.ts";
import { duration, type Log } from "../log.ts";
import type { DeployableRelease, DeployRecord, Digest } from "../release/release.ts";
import type { ArtifactSource } from "../release/source.ts";
import { type Call, withDeadline } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type Announcer, describeFailure } from "./announce.ts";
import { runHook } from "./hooks.ts";
import { type ObtainedArtifact, obtainArtifact } from "./obtain.ts";
import type { StateFile } from "./state.ts";

export interface DeploySettings {
  readonly command: Command;
  readonly root: string;
  readonly host: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly hooks: {
    readonly before: string | null;
    readonly after: string | null;
    readonly onFailure: "continue" | "abort";
    readonly timeoutMs: number;
  };
  readonly maxArtifactBytes: number;
  readonly hasPort: boolean;
  /** For work in progress, on the file system of the releases. */
  readonly tmpDir: string;
}

export interface DeployDeps {
  readonly settings: DeploySettings;
  readonly source: ArtifactSource;
  readonly cache: Cache;
  readonly releases: ReleaseDirectory;
  readonly activator: Activator;
  readonly state: StateFile;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly log: Log;
  /** Called at each point a deploy passes; for tests that stop the agent there. */
  readonly onStep: (step: DeployStep) => void;
}

/** The points a deploy passes, in order. */
export const deploySteps = [
  "begun",
  "obtained",
  "before-hook",
  "staged",
  "switched",
  "after-hook",
  "proved",
  "committed",
] as const;
export type DeployStep = (typeof deploySteps)[number];

const maxFilesInRelease = 1_000_000;
const extractDeadlineMs = 60 * 60_000;

/** One try at one release. What is known of it at its end, good or bad, becomes the record. */
export class Deploy {
  readonly #id = crypto.randomUUID();
  readonly #startedAt: Date;
  readonly #startedMs: number;
  readonly #fromTag: string | null;
  #digest: Digest | null = null;

  constructor(
    readonly release: DeployableRelease,
    private readonly deps: DeployDeps,
  ) {
    this.#startedAt = deps.clock.now();
    this.#startedMs = deps.clock.monotonicMs();
    this.#fromTag = deps.state.state.current?.tag ?? null;
  }

  /** Of the artifact's bytes, once they are here. */
  get digest(): Digest | null {
    return this.#digest;
  }

  /** From the registry to the new release serving. All of it happens or, seen from outside, nothing. */
  async run(c: Call): Promise<DeployRecord> {
    const { activator, releases, state, announcer, settings, onStep } = this.deps;
    state.update({
      attempt: { id: this.#id, tag: this.release.tag, startedAt: this.#startedAt.toISOString() },
    });
    onStep("begun");
    await announcer.tell({ kind: "deploying", tag: this.release.tag, command: settings.command }, c);

    using artifact = await this.#obtain(c);
    onStep("obtained");
    await this.#hook("before", c);
    onStep("before-hook");
    const release = await this.#stage(artifact, c);
    try {
      onStep("staged");
      const steps = {
        switched: async () => {
          onStep("switched");
          await this.#hook("after", c);
          onStep("after-hook");
        },
        commit: async () => {
          onStep("proved");
          this.#commit(release);
          onStep("committed");
        },
      };
      const { how } = await activator.activate({ tag: this.release.tag, release }, steps, c);
      await this.#announceSuccess(how, c);
    } catch (error) {
      // What has been committed stands, whatever happens after it; what `current` leads to is never pulled away.
      if (state.state.current?.release !== release && releases.active() !== release) releases.remove(release);
      throw error;
    }
    return this.record("deployed");
  }

  record(result: DeployRecord["result"], error?: DewyError): DeployRecord {
    const { settings, clock } = this.deps;
    return {
      id: this.#id,
      host: settings.host,
      command: settings.command,
      tag: this.release.tag,
      digest: this.#digest,
      fromTag: this.#fromTag,
      startedAt: this.#startedAt.toISOString(),
      finishedAt: clock.now().toISOString(),
      durationMs: Math.round(clock.monotonicMs() - this.#startedMs),
      result,
      ...(error === undefined ? {} : { error: error.message }),
    };
  }

  async #obtain(c: Call): Promise<ObtainedArtifact> {
    const { settings, announcer, state } = this.deps;
    const artifact = await obtainArtifact(this.release, { ...this.deps, ...settings }, c);
    this.#digest = artifact.digest;
    const known = state.state.quarantine.find(
      ({ tag, digest }) => tag === this.release.tag && digest === artifact.digest,
    );
    if (known !== undefined) {
      artifact[Symbol.dispose]();
      throw new DewyError(
        "start-failed",
        `published again with the same content that failed before: ${known.reason}`,
        {
          hint: "publish a new version, or run `dewy retry` to try this one again",
        },
      );
    }
    if (!artifact.fromCache) await announcer.tell({ kind: "downloaded", tag: this.release.tag }, c);
    return artifact;
  }

  async #hook(which: "before" | "after", c: Call): Promise<void> {
    const { settings, announcer, clock, releases } = this.deps;
    const command = settings.hooks[which];
    if (command === null) return;
    const env = {
      ...settings.env,
      DEWY_TAG: this.release.tag,
      DEWY_PREVIOUS_TAG: this.#fromTag ?? "",
      DEWY_ARTIFACT: this.release.artifact.name,
      DEWY_RELEASE_DIR: which === "after" ? releases.pathOf(releases.active() ?? "") : "",
      DEWY_COMMAND: settings.command,
    };
    const { timeoutMs, onFailure } = settings.hooks;
    const result = await runHook({ command, root: settings.root, env, timeoutMs }, clock, c);
    c.signal.throwIfAborted();
    await announcer.hook(which, result, c);
    if (result.exitCode !== 0 && onFailure === "abort") {
      throw new DewyError("hook-failed", `${which} deploy hook: ${describeFailure(result)}`, {
        hint: "the deploy was given up because of --hook-failure abort; dewy tries again by itself",
      });
    }
  }

  async #stage(artifact: ObtainedArtifact, c: Call): Promise<string> {
    const { releases, log, settings } = this.deps;
    const limits = { maxBytes: settings.maxArtifactBytes * 8, maxEntries: maxFilesInRelease };
    const release = await releases.stage(
      async (intoDir, call) => {
        await extractArchive(artifact.path, intoDir, limits, call);
      },
      withDeadline(c, extractDeadlineMs),
    );
    log.info(records.extract, { path: releases.pathOf(release) });
    return release;
  }

  /** Only here does the recorded version change. */
  #commit(release: string): void {
    const { state, clock } = this.deps;
    const { tag, artifact } = this.release;
    const { current, previous, releases } = state.state;
    state.update({
      current: {
        tag,
        digest: this.#digest,
        artifact: artifact.name,
        release,
        since: clock.now().toISOString(),
      },
      previous: current === null || current.tag === tag ? previous : current,
      attempt: null,
      failure: null,
      quarantine: state.state.quarantine.filter((entry) => entry.tag !== tag),
      unreported: this.record("deployed"),
      releases: { ...releases, [release]: { tag, artifact: artifact.name, digest: this.#digest } },
    });
  }

  async #announceSuccess(how: "started" | "restarted" | "placed", c: Call): Promise<void> {
    const { announcer, settings, clock, log } = this.deps;
    const durationMs = clock.monotonicMs() - this.#startedMs;
    const { tag } = this.release;
    log.debug("Deploy done", { tag, from: this.#fromTag, duration: duration(durationMs) });
    const { hasPort } = settings;
    await announcer.tell({ kind: "deployed", tag, fromTag: this.#fromTag, durationMs, how, hasPort }, c);
  }
}
