import type { Command } from "../../events.ts";
import type { NotifierView } from "../../notify/sender.ts";
import type { Digest, PlacedRelease } from "../../release/release.ts";
import type { Call } from "../../util/async.ts";
import type { Failure, Quarantined } from "../state.ts";

/** What an operator may ask a running agent to do. Orders and checks run one at a time, in the order they came. */
export type Order =
  | { readonly kind: "deploy"; readonly tag: string }
  /** null: the last good release before the current one. */
  | { readonly kind: "rollback"; readonly tag: string | null }
  /** `until` null: until somebody resumes. */
  | { readonly kind: "hold"; readonly until: Date | null; readonly reason: string | null }
  | { readonly kind: "resume" }
  | { readonly kind: "retry" }
  | { readonly kind: "restart" }
  /** The configuration file anew; a bad one is refused and nothing changes. */
  | { readonly kind: "reload" };

/** What whoever waits for an order sees before its end. */
export type OrderProgress =
  /** Something else is under way: `a deploy of v1.2.3`. */
  | { readonly kind: "waiting"; readonly for: string }
  /** `begun`, `obtained`, …: a deploy's steps as people read them. */
  | { readonly kind: "step"; readonly step: string }
  | { readonly kind: "received"; readonly bytes: number; readonly totalBytes: number | null };

/** A sentence for people. An order that can't be carried out is a DewyError. */
export interface OrderResult {
  readonly message: string;
}

/** What a check would do now, and why. */
export interface Preview {
  /** The newest release that the registry offers this host; null: none. */
  readonly newest: string | null;
  readonly current: string | null;
  readonly wouldDeploy: boolean;
  /** A sentence for people. */
  readonly reason: string;
  /** When it would deploy by itself; null: nothing is waited for, or nobody can tell. */
  readonly notBefore: Date | null;
}

/** Nothing new is deployed. After a rollback until a release newer than `left` is there. */
export interface Hold {
  readonly since: string;
  readonly until: string | null;
  readonly reason: string | null;
  /** The release that a rollback went back from; null: an operator's hold. */
  readonly left: string | null;
  /** Of a tag that comes to mean other content: what it meant. */
  readonly leftDigest?: Digest | null | undefined;
}

/** What the agent knows of itself, from memory. Times are ISO 8601. */
export interface AgentView {
  readonly command: Command;
  readonly version: string;
  readonly startedAt: string;
  readonly current: PlacedRelease | null;
  readonly previous: PlacedRelease | null;
  readonly lastPoll: { readonly at: string; readonly ok: boolean; readonly newest: string | null } | null;
  readonly nextPollAt: string | null;
  /** What is under way: `a deploy of v1.2.3`, since when. */
  readonly busy: { readonly with: string; readonly step: string | null; readonly since: string } | null;
  readonly hold: Hold | null;
  /** Why the newest release is not deployed yet, and until when; null: nothing is waited for. */
  readonly waiting: { readonly tag: string; readonly reason: string; readonly until: string | null } | null;
  /** The current release is on probation until then; null: it is not. */
  readonly soakUntil: string | null;
  /** The current release should be left, and why it can't be; null: it is well as far as anybody knows. */
  readonly stranded: {
    readonly reason: string;
    readonly why: string;
    readonly hint: string;
    readonly at: string;
  } | null;
  readonly quarantine: readonly Quarantined[];
  readonly failure: Failure | null;
  readonly lastError: { readonly at: string; readonly message: string } | null;
  /** In the order of the command line. */
  readonly notifiers: readonly NotifierView[];
  readonly app:
    | { readonly kind: "idle" }
    | {
        readonly kind: "serving";
        readonly pid: number | null;
        readonly generation: number | null;
        readonly replicas: number | null;
        readonly inRotation: number | null;
      }
    | { readonly kind: "starting" }
    | { readonly kind: "down"; readonly reason: string };
}

/** What the control socket offers. */
export interface Operations {
  /** Looks at memory only. */
  view(): AgentView;
  /** Asks the registry and changes nothing. */
  check(c: Call): Promise<Preview>;
  /** `c` is the asker's patience: a deploy that has begun goes on without it. */
  carryOut(order: Order, onProgress: (progress: OrderProgress) => void, c: Call): Promise<OrderResult>;
}
