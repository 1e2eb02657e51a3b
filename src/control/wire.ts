import * as v from "valibot";
import type { Order, OrderProgress } from "../agent/orders/operations.ts";
import { DewyError } from "../errors.ts";
import { logLevels } from "../log.ts";
import type { Digest } from "../release/release.ts";
import { type AnswerLine, type Answers, maxTagLength, protocolVersion, type Question } from "./protocol.ts";

/** Whatever an agent or an operator makes up is bounded before it is shown or kept. */
const line = (max: number) => v.pipe(v.string(), v.maxLength(max));
const tag = v.pipe(v.string(), v.minLength(1), v.maxLength(maxTagLength));
const text = line(64 * 1024);
const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const instant = v.pipe(
  line(40),
  v.check((given) => !Number.isNaN(Date.parse(given)), "no time"),
);
const date = v.pipe(
  instant,
  v.transform((given) => new Date(given)),
);
const digest = v.custom<Digest>((value) => typeof value === "string" && /^sha256:[0-9a-f]{64}$/.test(value));

const orderSchema: v.GenericSchema<unknown, Order> = v.variant("kind", [
  v.object({ kind: v.literal("deploy"), tag }),
  v.object({ kind: v.literal("rollback"), tag: v.nullable(tag) }),
  v.object({ kind: v.literal("hold"), until: v.nullable(date), reason: v.nullable(line(500)) }),
  v.object({ kind: v.literal("resume") }),
  v.object({ kind: v.literal("retry") }),
  v.object({ kind: v.literal("restart") }),
  v.object({ kind: v.literal("reload") }),
]);

const questionSchema: v.GenericSchema<unknown, Question> = v.variant("kind", [
  v.object({ kind: v.literal("view") }),
  v.object({ kind: v.literal("check") }),
  v.object({
    kind: v.literal("logs"),
    count: v.pipe(count, v.minValue(1), v.maxValue(100_000)),
    level: v.picklist(logLevels),
    format: v.picklist(["text", "json"]),
    after: v.nullable(count),
  }),
  v.object({ kind: v.literal("order"), order: orderSchema }),
]);

const versionSchema = v.object({ protocol: v.number(), version: line(100) });

/** `config-invalid` for what is no question, or one of another version of the protocol. */
export function parseQuestion(body: string, ownVersion: string): Question {
  const content = parseJson(body);
  const version = v.safeParse(versionSchema, content);
  if (version.success && version.output.protocol !== protocolVersion) {
    throw skew({ agent: ownVersion, command: version.output.version });
  }
  const parsed = v.safeParse(
    v.object({ protocol: v.literal(protocolVersion), ask: questionSchema }),
    content,
  );
  if (parsed.success) return parsed.output.ask;
  throw new DewyError("config-invalid", "the agent does not understand what it was asked", {
    hint: "use the dewy that the agent was started with",
  });
}

export function skew({ agent, command }: { agent: string; command: string }): DewyError {
  return new DewyError(
    "config-invalid",
    `the agent is dewy ${agent} and this command dewy ${command}: they do not understand each other`,
    { hint: "use the binary that the agent runs, or restart the agent with this one" },
  );
}

const progressSchema: v.GenericSchema<unknown, OrderProgress> = v.variant("kind", [
  v.object({ kind: v.literal("waiting"), for: line(1000) }),
  v.object({ kind: v.literal("step"), step: line(1000) }),
  v.object({ kind: v.literal("received"), bytes: count, totalBytes: v.nullable(count) }),
]);

const lineSchema: v.GenericSchema<unknown, AnswerLine> = v.variant("kind", [
  v.object({
    kind: v.literal("hello"),
    protocol: v.number(),
    version: line(100),
    pid: count,
    root: line(4096),
  }),
  v.object({ kind: v.literal("alive") }),
  v.object({ kind: v.literal("progress"), progress: progressSchema }),
  v.object({ kind: v.literal("result"), result: v.unknown() }),
  v.object({ kind: v.literal("error"), code: line(100), message: text, hint: v.nullable(text) }),
]);

const placed = v.object({ tag, digest: v.nullable(digest), artifact: text, release: text, since: instant });
const anyCount = v.nullable(count);

const answerSchemas: { readonly [K in keyof Answers]: v.GenericSchema<unknown, Answers[K]> } = {
  view: v.object({
    command: v.picklist(["server", "assets", "container"]),
    version: line(100),
    startedAt: instant,
    current: v.nullable(placed),
    previous: v.nullable(placed),
    lastPoll: v.nullable(v.object({ at: instant, ok: v.boolean(), newest: v.nullable(tag) })),
    nextPollAt: v.nullable(instant),
    busy: v.nullable(v.object({ with: text, step: v.nullable(text), since: instant })),
    hold: v.nullable(
      v.object({
        since: instant,
        until: v.nullable(instant),
        reason: v.nullable(text),
        left: v.nullable(tag),
        leftDigest: v.optional(v.nullable(digest)),
      }),
    ),
    waiting: v.nullable(v.object({ tag, reason: text, until: v.nullable(instant) })),
    soakUntil: v.nullable(instant),
    // Agents of earlier versions don't tell.
    stranded: v.optional(v.nullable(v.object({ reason: text, why: text, hint: text, at: instant })), null),
    quarantine: v.pipe(
      v.array(v.object({ tag, digest: v.nullable(digest), fingerprint: text, reason: text, at: instant })),
      v.maxLength(1000),
    ),
    failure: v.nullable(
      v.object({ tag, fingerprint: text, count, lastError: text, at: instant, nextTryAt: instant }),
    ),
    lastError: v.nullable(v.object({ at: instant, message: text })),
    // Agents of earlier versions don't tell.
    notifiers: v.optional(
      v.pipe(v.array(v.object({ name: text, waiting: count, problem: v.nullable(text) })), v.maxLength(1000)),
      [],
    ),
    app: v.variant("kind", [
      v.object({ kind: v.literal("idle") }),
      v.object({
        kind: v.literal("serving"),
        pid: anyCount,
        generation: anyCount,
        replicas: anyCount,
        inRotation: anyCount,
      }),
      v.object({ kind: v.literal("starting") }),
      v.object({ kind: v.literal("down"), reason: text }),
    ]),
  }),
  check: v.object({
    newest: v.nullable(tag),
    current: v.nullable(tag),
    wouldDeploy: v.boolean(),
    reason: text,
    notBefore: v.nullable(date),
  }),
  logs: v.object({ lines: v.array(v.string()), last: count }),
  order: v.object({ message: text }),
};

/** One line of an answer; `bad-answer` for what no agent says. */
export function parseLine(given: string): AnswerLine {
  const parsed = v.safeParse(lineSchema, parseJson(given));
  if (parsed.success) return parsed.output;
  throw notAnAgent();
}

export function parseResult<K extends keyof Answers>(kind: K, result: unknown): Answers[K] {
  const schema: v.GenericSchema<unknown, Answers[K]> = answerSchemas[kind];
  const parsed = v.safeParse(schema, result);
  if (parsed.success) return parsed.output;
  throw notAnAgent();
}

export function notAnAgent(): DewyError {
  return new DewyError("bad-answer", "what answers on the agent's socket is no agent's answer", {
    hint: "see which process holds .dewy/dewy.sock, and restart the agent",
  });
}

function parseJson(given: string): unknown {
  try {
    return JSON.parse(given);
  } catch {
    return null;
  }
}
