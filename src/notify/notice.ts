import type { Command, DeployEvent } from "../events.ts";

/** One event as it is told: what happened, and where. Plain JSON, as it lies in the outbox. */
export interface Notice {
  /** Unique, and in the order of the events: sorts as text. */
  readonly id: string;
  /** ISO 8601. */
  readonly at: string;
  readonly host: string;
  readonly command: Command;
  /** The agent's root directory. */
  readonly root: string;
  /** The Slack thread that the release brought along (`.slack-thread-ts`); null: none. */
  readonly thread: string | null;
  readonly event: DeployEvent;
}
