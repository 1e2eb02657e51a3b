import { readFileSync, renameSync } from "node:fs";
import * as v from "valibot";
import { messageOf, systemCode } from "../errors.ts";
import type { Trouble } from "../events.ts";
import type { Log } from "../log.ts";
import { writeFileAtomic } from "../util/fs.ts";
import { noTrouble, type TroubleState } from "./limiter.ts";

const time = v.pipe(v.string(), v.isoTimestamp());
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const stateSchema: v.GenericSchema<unknown, TroubleState> = v.object({
  episode: v.nullable(
    v.object({
      count,
      errors: count,
      heldBack: count,
      outages: count,
      since: time,
      lastErrorAt: time,
      isWell: v.boolean(),
    }),
  ),
  outages: v.array(time),
  // Not in the files of earlier agents.
  endedAt: v.optional(v.nullable(time), null),
});
const fileSchema = v.object({
  version: v.literal(1),
  check: stateSchema,
  deploy: stateSchema,
  app: stateSchema,
});
type States = Readonly<Record<Trouble, TroubleState>>;

const allWell: States = { check: noTrouble, deploy: noTrouble, app: noTrouble };

/** Where each trouble stands, over restarts: an outage that outlasts an agent is not announced anew. */
export class TroubleFile {
  #states: States;

  private constructor(
    private readonly path: string | null,
    private readonly log: Log,
    states: States,
  ) {
    this.#states = states;
  }

  /** null: it is remembered as long as the agent runs. What can't be read is set aside with a WARN. */
  static open(path: string | null, log: Log): TroubleFile {
    return new TroubleFile(path, log, path === null ? allWell : readStates(path, log));
  }

  get(trouble: Trouble): TroubleState {
    return this.#states[trouble];
  }

  set(trouble: Trouble, state: TroubleState): void {
    if (state === this.#states[trouble]) return;
    this.#states = { ...this.#states, [trouble]: state };
    if (this.path === null) return;
    try {
      writeFileAtomic(this.path, `${JSON.stringify({ version: 1, ...this.#states })}\n`, 0o600);
    } catch (error) {
      // The disk is full: it is remembered until the agent ends, and the outbox has told of the disk.
      this.log.debug("Error count not written", { path: this.path, error: messageOf(error) });
    }
  }
}

function readStates(path: string, log: Log): States {
  try {
    const { version: _, ...states } = v.parse(fileSchema, JSON.parse(readFileSync(path, "utf8")));
    return states;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return allWell;
    log.warn("Error count not readable; counting from nothing", { path, error: messageOf(error) });
    try {
      renameSync(path, `${path}.unreadable`);
    } catch {
      // The next error is written over it.
    }
    return allWell;
  }
}
