import type { Activation, Delivery, ObtainedRelease } from "../activate/delivery.ts";
import { threadOf } from "../activate/thread.ts";
import { DewyError } from "../errors.ts";
import type { Command } from "../events.ts";
import { duration, type Log } from "../log.ts";
import { setupOf } from "../release/fingerprint.ts";
import type { DeployableRelease, DeployRecord, Digest } from "../release/release.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { type Announcer, describeFailure } from "./announce.ts";
import { runHook } from "./hooks.ts";
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
  readonly hasPort: boolean;
}

export interface DeployDeps {
  readonly settings: DeploySettings;
  readonly delivery: Delivery;
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

/** One try at one release. What is known of it at its end, good or bad, becomes the record. */
export class Deploy {
  readonly #id = crypto.randomUUID();
  readonly #startedAt: Date;
  readonly #startedMs: number;
  readonly #fromTag: string | null;
  #digest: Digest | null = null;
  #thread: string | null = null;

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

  /** The Slack thread that the release brought along, once it is staged. */
  get thread(): string | null {
    return this.#thread;
  }

  /** From the registry to the new release serving. All of it happens or, seen from outside, nothing. */
  async run(c: Call): Promise<DeployRecord> {
    const { state, announcer, settings, onStep } = this.deps;
    state.update({
      attempt: { id: this.#id, tag: this.release.tag, startedAt: this.#startedAt.toISOString() },
    });
    onStep("begun");
    announcer.tell({ kind: "deploying", tag: this.release.tag, command: settings.command });

    using obtained = await this.#obtain(c);
    onStep("obtained");
    await this.#hook("before", "", c);
    onStep("before-hook");
    const steps = {
      staged: (directory: string | null) => {
        this.#thread = directory === null ? null : threadOf(directory);
        onStep("staged");
      },
      switched: async (directory: string | null) => {
        onStep("switched");
        await this.#hook("after", directory ?? "", c);
        onStep("after-hook");
      },
      commit: async (release: string) => {
        onStep("proved");
        this.#commit(release);
        onStep("committed");
      },
    };
    const { how } = await obtained.deliver(steps, c);
    this.#announceSuccess(how);
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

  async #obtain(c: Call): Promise<ObtainedRelease> {
    const { delivery, announcer, state } = this.deps;
    const obtained = await delivery.obtain(this.release, c);
    this.#digest = obtained.digest;
    const known = state.state.quarantine.find(
      ({ tag, digest, fingerprint }) =>
        tag === this.release.tag && digest === obtained.digest && setupOf(fingerprint) === delivery.setup,
    );
    if (known !== undefined) {
      obtained[Symbol.dispose]();
      throw new DewyError(
        "start-failed",
        `published again with the same content that failed before: ${known.reason}`,
        {
          hint: "publish a new version, or run `dewy retry` to try this one again",
        },
      );
    }
    if (obtained.fetched) announcer.tell({ kind: delivery.arrival, tag: this.release.tag });
    return obtained;
  }

  async #hook(which: "before" | "after", directory: string, c: Call): Promise<void> {
    const { settings, announcer, clock } = this.deps;
    const command = settings.hooks[which];
    if (command === null) return;
    const env = {
      ...settings.env,
      DEWY_TAG: this.release.tag,
      DEWY_PREVIOUS_TAG: this.#fromTag ?? "",
      DEWY_ARTIFACT: this.release.artifact.name,
      DEWY_RELEASE_DIR: directory,
      DEWY_COMMAND: settings.command,
    };
    const { timeoutMs, onFailure } = settings.hooks;
    const result = await runHook({ command, root: settings.root, env, timeoutMs }, clock, c);
    c.signal.throwIfAborted();
    announcer.hook(which, result, { thread: this.#thread });
    if (result.exitCode !== 0 && onFailure === "abort") {
      throw new DewyError("hook-failed", `${which} deploy hook: ${describeFailure(result)}`, {
        hint: "the deploy was given up because of --hook-failure abort; dewy tries again by itself",
      });
    }
  }

  /** Only here does the recorded version change. */
  #commit(release: string): void {
    const { state, clock } = this.deps;
    const { tag, artifact, moving = false } = this.release;
    const { current, previous, releases } = state.state;
    state.update({
      current: {
        tag,
        digest: this.#digest,
        artifact: artifact.name,
        release,
        since: clock.now().toISOString(),
      },
      previous:
        current === null || (current.tag === tag && current.digest === this.#digest) ? previous : current,
      attempt: null,
      failure: null,
      quarantine: state.state.quarantine.filter(
        (entry) => entry.tag !== tag || (moving && entry.digest !== this.#digest),
      ),
      unreported: this.record("deployed"),
      releases: { ...releases, [release]: { tag, artifact: artifact.name, digest: this.#digest } },
    });
  }

  #announceSuccess(how: Activation["how"]): void {
    const { announcer, settings, clock, log } = this.deps;
    const durationMs = clock.monotonicMs() - this.#startedMs;
    const { tag } = this.release;
    log.debug("Deploy done", { tag, from: this.#fromTag, duration: duration(durationMs) });
    const { hasPort } = settings;
    announcer.tell(
      { kind: "deployed", tag, fromTag: this.#fromTag, durationMs, how, hasPort },
      { thread: this.#thread, deploy: this.#id },
    );
  }
}
