import type { Activation, Delivery, ObtainedRelease, Received } from "../../activate/delivery.ts";
import { threadOf } from "../../activate/thread.ts";
import { DewyError } from "../../errors.ts";
import type { Command, DeployEvent } from "../../events.ts";
import { duration, type Log } from "../../log.ts";
import { setupOf } from "../../release/fingerprint.ts";
import type { DeployRecord, Digest } from "../../release/release.ts";
import type { TagOrder } from "../../release/version.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { User } from "../../util/user.ts";
import { type Announcer, describeFailure } from "../announce.ts";
import { isFailureOf } from "../failure.ts";
import type { Live } from "../live.ts";
import type { Quarantined, StateFile } from "../state.ts";
import { committed } from "./commit.ts";
import type { Errand } from "./errand.ts";
import { runHook } from "./hooks.ts";

export interface DeploySettings {
  readonly command: Command;
  readonly root: string;
  readonly host: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whom the hooks run as; null: as the agent. */
  readonly user: User | null;
  readonly hasPort: boolean;
}

export interface DeployDeps {
  readonly settings: DeploySettings;
  readonly live: Live;
  /** Which of two tags is older. */
  readonly order: TagOrder;
  readonly delivery: Delivery;
  readonly state: StateFile;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly log: Log;
  /** Called at each point a deploy passes; for tests that stop the agent there. */
  readonly onStep: (step: DeployStep) => void;
  readonly onReceived?: Received;
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
  /** One more try of a release that failed before; an operator's order is not. */
  readonly #isAgain: boolean;
  /** Hook results that people are told of if the deploy succeeds. */
  readonly #kept: DeployEvent[] = [];

  constructor(
    readonly errand: Errand,
    private readonly deps: DeployDeps,
  ) {
    this.#startedAt = deps.clock.now();
    this.#startedMs = deps.clock.monotonicMs();
    const { current, failure } = deps.state.state;
    this.#fromTag = current?.tag ?? null;
    this.#isAgain = errand.cause === "check" && isFailureOf(failure, errand);
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
      attempt: { id: this.#id, tag: this.errand.tag, startedAt: this.#startedAt.toISOString() },
    });
    onStep("begun");
    const { tag } = this.errand;
    if (!this.#goesBack && !this.#isAgain) {
      announcer.tell({ kind: "deploying", tag, command: settings.command });
    }

    using obtained = await this.#obtain(c);
    onStep("obtained");
    await this.#hook("before", "", c);
    onStep("before-hook");
    const steps = {
      returning: this.#goesBack,
      staged: (directory: string | null) => {
        this.#thread = directory === null ? null : threadOf(directory);
        onStep("staged");
      },
      switched: async (directory: string | null, call: Call) => {
        onStep("switched");
        await this.#hook("after", directory ?? "", call);
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
    return this.#success();
  }

  get #goesBack(): boolean {
    return this.errand.cause === "retreat";
  }

  #success(): DeployRecord {
    const { reason } = this.errand;
    return this.#goesBack ? this.record("rolled-back", reason ?? "it failed") : this.record("deployed");
  }

  record(result: DeployRecord["result"], error?: string): DeployRecord {
    const { settings, clock } = this.deps;
    return {
      id: this.#id,
      host: settings.host,
      command: settings.command,
      tag: this.errand.tag,
      digest: this.#digest,
      fromTag: this.#fromTag,
      startedAt: this.#startedAt.toISOString(),
      finishedAt: clock.now().toISOString(),
      durationMs: Math.round(clock.monotonicMs() - this.#startedMs),
      result,
      cause: this.errand.cause,
      ...(error === undefined ? {} : { error }),
    };
  }

  async #obtain(c: Call): Promise<ObtainedRelease> {
    const { delivery, announcer } = this.deps;
    const obtained = await this.errand.obtain(c, this.deps.onReceived ?? (() => undefined));
    this.#digest = obtained.digest;
    const known = this.#knownFailure();
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
    if (obtained.fetched && !this.#goesBack) announcer.tell({ kind: delivery.arrival, tag: this.errand.tag });
    return obtained;
  }

  /** An operator who asks for it by its tag has a reason to. */
  #knownFailure(): Quarantined | undefined {
    const { delivery, state } = this.deps;
    if (this.errand.cause !== "check") return undefined;
    return state.state.quarantine.find(
      ({ tag, digest, fingerprint }) =>
        tag === this.errand.tag && digest === this.#digest && setupOf(fingerprint) === delivery.setup,
    );
  }

  async #hook(which: "before" | "after", directory: string, c: Call): Promise<void> {
    const { settings, live, announcer, clock } = this.deps;
    const { [which]: command, timeoutMs, onFailure } = live.settings.hooks;
    if (command === null) return;
    const env = {
      ...settings.env,
      DEWY_TAG: this.errand.tag,
      DEWY_PREVIOUS_TAG: this.#fromTag ?? "",
      DEWY_ARTIFACT: this.errand.artifact,
      DEWY_RELEASE_DIR: directory,
      DEWY_COMMAND: settings.command,
    };
    const { root, user } = settings;
    const result = await runHook({ command, root, env, user, timeoutMs }, clock, c);
    c.signal.throwIfAborted();
    // Of the errors of this release people were promised to hear no more.
    const isKept = this.#isAgain && announcer.holdsBack("deploy");
    const keep = (event: DeployEvent) => void this.#kept.push(event);
    announcer.hook(which, result, { thread: this.#thread, ...(isKept ? { keep } : {}) });
    // A bad release must not stay because of a hook.
    if (result.exitCode !== 0 && onFailure === "abort" && !this.#goesBack) {
      throw new DewyError("hook-failed", `${which} deploy hook: ${describeFailure(result)}`, {
        hint: "the deploy was given up because of --hook-failure abort; dewy tries again by itself",
      });
    }
  }

  /** Only here does the recorded version change. */
  #commit(release: string): void {
    const { state, clock, live, order, announcer } = this.deps;
    const { errand } = this;
    for (const event of this.#kept.splice(0)) announcer.tell(event, { thread: this.#thread });
    const now = clock.now();
    const { tag, artifact } = errand;
    const placed = { tag, digest: this.#digest, artifact, release, since: now.toISOString() };
    const { soakMs } = live.settings;
    state.update(committed(state.state, { errand, placed, record: this.#success(), soakMs, order, now }));
  }

  #announceSuccess(how: Activation["how"]): void {
    const { announcer, settings, clock, log } = this.deps;
    const durationMs = clock.monotonicMs() - this.#startedMs;
    const { tag, reason } = this.errand;
    log.debug("Deploy done", { tag, from: this.#fromTag, duration: duration(durationMs) });
    const { hasPort } = settings;
    const origin = { thread: this.#thread, deploy: this.#id };
    if (this.#goesBack) {
      const fromTag = this.#fromTag ?? "";
      announcer.tell({ kind: "rolled-back", tag, fromTag, reason: reason ?? "it failed" }, origin);
      return;
    }
    announcer.tell({ kind: "deployed", tag, fromTag: this.#fromTag, durationMs, how, hasPort }, origin);
  }
}
