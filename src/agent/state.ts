import { existsSync, readFileSync, renameSync } from "node:fs";
import * as v from "valibot";
import { DewyError, messageOf, toDewyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Cause, Digest, PlacedRelease } from "../release/release.ts";
import { writeFileAtomic } from "../util/fs.ts";

const digest = v.custom<Digest>((value) => typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value));

const placedSchema: v.GenericSchema<PlacedRelease> = v.object({
  tag: v.string(),
  digest: v.nullable(digest),
  artifact: v.string(),
  release: v.string(),
  since: v.string(),
});
const quarantinedSchema = v.object({
  tag: v.string(),
  digest: v.nullable(digest),
  /** Of what was published when it failed; another one means something has changed. */
  fingerprint: v.string(),
  reason: v.string(),
  at: v.string(),
});
const failureSchema = v.object({
  tag: v.string(),
  fingerprint: v.string(),
  count: v.number(),
  /** Of these, how many ended with the end of what served. */
  servingEnds: v.optional(v.number()),
  lastError: v.string(),
  at: v.string(),
  nextTryAt: v.string(),
});
const holdSchema = v.object({
  since: v.string(),
  until: v.nullable(v.string()),
  reason: v.nullable(v.string()),
  left: v.nullable(v.string()),
  leftDigest: v.optional(v.nullable(digest)),
});
const soakSchema = v.object({
  /** By its name on this host. */
  release: v.string(),
  since: v.string(),
  until: v.string(),
});
const retreatSchema = v.object({
  /** What failed after its deploy, by its name on this host. */
  release: v.string(),
  reason: v.string(),
  at: v.string(),
  /** How many failed. */
  tries: v.number(),
  /** It ended, as opposed to running and being sick. */
  hasDied: v.optional(v.boolean()),
  /** States of older dewys don't have it: at once. */
  nextTryAt: v.optional(v.string()),
});
const strandedSchema = v.object({
  /** What should be left, by its name on this host. */
  release: v.string(),
  reason: v.string(),
  /** Why it can't be left. */
  why: v.string(),
  /** What the operator should do. */
  hint: v.string(),
  /** Since when; people were told then. */
  at: v.string(),
  /** Its death that told so; null: it fails its checks, and nobody will know when it no longer does. */
  diedAt: v.nullable(v.string()),
  /** When a way back was looked for last. */
  triedAt: v.string(),
  /** Of other content that is published under the good one's tag by now; it is not fetched again. */
  unlike: v.optional(v.nullable(v.string()), null),
});
const cause: v.GenericSchema<Cause> = v.picklist(["check", "deploy", "rollback", "retreat"]);
const sightingSchema = v.object({
  tag: v.string(),
  at: v.string(),
  /** By the registry; null: it does not say. States of older dewys don't have it. */
  createdAt: v.optional(v.nullable(v.string())),
});
const attemptSchema = v.object({ id: v.string(), tag: v.string(), startedAt: v.string() });
const recordSchema = v.object({
  id: v.string(),
  host: v.string(),
  command: v.picklist(["server", "assets", "container"]),
  tag: v.string(),
  digest: v.nullable(digest),
  fromTag: v.nullable(v.string()),
  startedAt: v.string(),
  finishedAt: v.string(),
  durationMs: v.number(),
  result: v.picklist(["deployed", "failed", "rolled-back"]),
  error: v.optional(v.string()),
  cause: v.optional(cause),
});
const stateSchema = v.object({
  version: v.literal(1),
  current: v.nullable(placedSchema),
  /** The last release that was good before the current one. */
  previous: v.nullable(placedSchema),
  quarantine: v.array(quarantinedSchema),
  failure: v.nullable(failureSchema),
  /** A deploy under way; found at start, it was interrupted. */
  attempt: v.nullable(attemptSchema),
  /** The last deploy, until history and registry have it. */
  unreported: v.nullable(recordSchema),
  /** The kept releases, by their name on this host. */
  releases: v.record(
    v.string(),
    v.object({
      tag: v.string(),
      artifact: v.string(),
      digest: v.nullable(digest),
      /** Of what was published when it was deployed; states of older dewys don't have it. */
      fingerprint: v.optional(v.string()),
    }),
  ),
  /** What follows came later: a state of an older dewy has none of it. */
  hold: v.optional(v.nullable(holdSchema), null),
  /** The hold of a rollback that an operator's hold came over, and that is there again when it ends. */
  holdBelow: v.optional(v.nullable(holdSchema), null),
  /** The current release is on probation. */
  soak: v.optional(v.nullable(soakSchema), null),
  /** The current release is to be left for the one before; until it is, whoever dies in between. */
  retreat: v.optional(v.nullable(retreatSchema), null),
  /** The current release should be left, and can't be. */
  stranded: v.optional(v.nullable(strandedSchema), null),
  /** The cause of the current release; its name on disk is an older one. */
  origin: v.optional(cause, "check"),
  /** Releases newer than the current one, by when this host saw them first; oldest first. */
  sightings: v.optional(v.array(sightingSchema), []),
});

export type State = v.InferOutput<typeof stateSchema>;
export type Quarantined = v.InferOutput<typeof quarantinedSchema>;
export type Failure = v.InferOutput<typeof failureSchema>;
export type Sighting = v.InferOutput<typeof sightingSchema>;
export type Retreat = v.InferOutput<typeof retreatSchema>;
export type Stranded = v.InferOutput<typeof strandedSchema>;
export type StateChanges = Partial<Omit<State, "version">>;

export const emptyState: State = {
  version: 1,
  current: null,
  previous: null,
  quarantine: [],
  failure: null,
  attempt: null,
  unreported: null,
  releases: {},
  hold: null,
  holdBelow: null,
  soak: null,
  retreat: null,
  stranded: null,
  origin: "check",
  sightings: [],
};

/**
 * `.dewy/state.json`: what runs on this host, and what was learned of the releases. Written as a whole, fsynced
 * and renamed at each update; it alone decides what is current here.
 */
export class StateFile {
  #state: State;

  private constructor(
    readonly path: string,
    state: State,
  ) {
    this.#state = state;
  }

  /** `fresh`: there was no (readable) state, so what lies on disk may tell what runs. */
  static open(path: string, log: Log): { file: StateFile; fresh: boolean } {
    if (!existsSync(path)) return { file: new StateFile(path, emptyState), fresh: true };
    try {
      return { file: new StateFile(path, readState(path)), fresh: false };
    } catch (error) {
      if (error instanceof DewyError) throw error;
      const aside = `${path}.unreadable`;
      renameSync(path, aside);
      log.warn("State not readable; starting from what is on disk", {
        error: messageOf(error),
        moved_to: aside,
      });
      return { file: new StateFile(path, emptyState), fresh: true };
    }
  }

  get state(): State {
    return this.#state;
  }

  /** Rejects with `disk-full` or `filesystem`; the old state stays then. */
  update(changes: StateChanges): void {
    const next = { ...this.#state, ...changes };
    try {
      writeFileAtomic(this.path, `${JSON.stringify(next, null, 2)}\n`, 0o600);
    } catch (error) {
      throw toDewyError(error, `write ${this.path}`);
    }
    this.#state = next;
  }

  /** For what this agent knows even when it can't be written: on a full disk it must go on serving. */
  learn(changes: StateChanges): void {
    try {
      this.update(changes);
    } catch {
      // The disk is full or gone: the next deploy can't begin and says so.
      this.#state = { ...this.#state, ...changes };
    }
  }
}

/** Throws on what can't be parsed; a state of a newer dewy is `config-invalid`. */
export function readState(path: string): State {
  const content: unknown = JSON.parse(readFileSync(path, "utf8"));
  const version = v.safeParse(v.object({ version: v.number() }), content);
  if (version.success && version.output.version > 1) {
    throw new DewyError("config-invalid", `${path} was written by a newer dewy`, {
      hint: "run that dewy again, or move the file away to start from what is on disk",
    });
  }
  return v.parse(stateSchema, content);
}
