import type { DeliveryStatus } from "../../activate/delivery.ts";
import type { Command } from "../../events.ts";
import type { NotifierView } from "../../notify/sender.ts";
import { unreachable } from "../../util/assert.ts";
import { isSoaking } from "../back/going-back.ts";
import { holdNow } from "../back/hold.ts";
import { strandedOf } from "../back/stranded.ts";
import type { Notes } from "../notes.ts";
import type { State } from "../state.ts";
import type { AgentView } from "./operations.ts";
import type { Turn } from "./turns.ts";

interface AgentFacts {
  readonly command: Command;
  readonly version: string;
  readonly startedAt: Date;
  readonly state: State;
  readonly notes: Notes;
  readonly busy: Turn | null;
  readonly notifiers: readonly NotifierView[];
  readonly status: DeliveryStatus;
  readonly now: Date;
}

export function viewOf(facts: AgentFacts): AgentView {
  const { command, version, startedAt, state, notes, busy, notifiers, status, now } = facts;
  const { current, previous, quarantine, failure, soak } = state;
  return {
    command,
    version,
    startedAt: startedAt.toISOString(),
    current,
    previous,
    lastPoll: notes.lastPoll,
    nextPollAt: notes.nextPollAt?.toISOString() ?? null,
    busy,
    hold: holdNow(state, now),
    waiting: notes.waiting,
    soakUntil: soak !== null && isSoaking(state, now) ? soak.until : null,
    stranded: strandedOf(state),
    quarantine,
    failure,
    lastError: notes.lastError,
    notifiers,
    app: appOf(status),
  };
}

function appOf(status: DeliveryStatus): AgentView["app"] {
  switch (status.kind) {
    case "idle":
    case "down":
      return status;
    case "starting":
      return { kind: "starting" };
    case "serving": {
      const { pid, generation = null, replicas = null, inRotation = null } = status;
      return { kind: "serving", pid, generation, replicas, inRotation };
    }
    default:
      return unreachable(status);
  }
}
