import type { DeployEvent } from "../events.ts";
import { unreachable } from "../util/assert.ts";

export interface OutboxLimits {
  readonly notices: number;
  readonly sizeBytes: number;
}

export const outboxLimits: OutboxLimits = { notices: 1000, sizeBytes: 16 * 1024 * 1024 };

interface Kept {
  readonly sizeBytes: number;
  readonly isInformational: boolean;
}

/** Nice to know; what the others say is what people are paid to know. */
export function isInformational(event: DeployEvent): boolean {
  const { kind } = event;
  switch (kind) {
    case "agent-started":
    case "agent-stopping":
    case "deploying":
    case "downloaded":
    case "pulled":
    case "restarted":
    case "dropped":
      return true;
    case "hook":
      return event.result.exitCode === 0;
    case "deployed":
    case "failed":
    case "quarantined":
    case "rolled-back":
    case "stranded":
    case "crashed":
    case "replica-lost":
    case "recovered":
      return false;
    default:
      return unreachable(kind);
  }
}

/**
 * Which have to go so that `waiting` (oldest first) stays within the limits: first what is kept for who may never come
 * back (`isForAbsent`), then the oldest informational ones, and only when there are none left the oldest of the others.
 */
export function toDrop<T extends Kept>(
  waiting: readonly T[],
  limits: OutboxLimits,
  isForAbsent: (entry: T) => boolean,
): readonly T[] {
  let notices = waiting.length;
  let sizeBytes = waiting.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  const isOver = () => notices > limits.notices || sizeBytes > limits.sizeBytes;
  const dropped: T[] = [];
  if (!isOver()) return dropped;
  const forAbsent = waiting.filter(isForAbsent);
  const present = waiting.filter((entry) => !isForAbsent(entry));
  const informational = present.filter((entry) => entry.isInformational);
  const others = present.filter((entry) => !entry.isInformational);
  for (const entry of [...forAbsent, ...informational, ...others]) {
    if (!isOver()) break;
    dropped.push(entry);
    notices -= 1;
    sizeBytes -= entry.sizeBytes;
  }
  return dropped;
}
