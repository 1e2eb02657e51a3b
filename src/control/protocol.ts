import type { AgentView, Order, OrderProgress, OrderResult, Preview } from "../agent/orders/operations.ts";
import type { LogLevel } from "../log.ts";

/**
 * What goes over `.dewy/dewy.sock`: one POST with a question as JSON; the answer is a line of JSON for each thing that
 * is said (application/x-ndjson): first who answers, last the result or the error, between them progress and signs
 * of life. Either side refuses another version by this number.
 */
export const protocolVersion = 1;

export const maxRequestBytes = 64 * 1024;
/** Of a release. */
export const maxTagLength = 256;
export const maxAnswerBytes = 8 * 1024 * 1024;
/** The agent says at least this often that it lives, however long an order takes. */
export const aliveMs = 2_000;

export type Question =
  | { readonly kind: "view" }
  | { readonly kind: "check" }
  | {
      readonly kind: "logs";
      /** The last so many. */
      readonly count: number;
      readonly level: LogLevel;
      readonly format: "text" | "json";
      /** Only records behind this number; null: from the oldest that is kept. */
      readonly after: number | null;
    }
  | { readonly kind: "order"; readonly order: Order };

export interface LogPage {
  /** As the agent's log prints them. */
  readonly lines: readonly string[];
  /** To ask for what comes behind them. */
  readonly last: number;
}

/** What each kind of question is answered with. */
export interface Answers {
  readonly view: AgentView;
  readonly check: Preview;
  readonly logs: LogPage;
  readonly order: OrderResult;
}

export interface Hello {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
  readonly root: string;
}

export type AnswerLine =
  | ({ readonly kind: "hello" } & Hello)
  | { readonly kind: "alive" }
  | { readonly kind: "progress"; readonly progress: OrderProgress }
  | { readonly kind: "result"; readonly result: unknown }
  | {
      readonly kind: "error";
      readonly code: string;
      readonly message: string;
      readonly hint: string | null;
    };
