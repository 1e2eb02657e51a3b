import * as v from "valibot";
import type { DeployEvent } from "../events.ts";
import type { Digest } from "../release/release.ts";
import type { Notice } from "./notice.ts";
import { isNoticeId } from "./notice-id.ts";

/** A notice as it lies on disk, and the deploy whose success it tells. */
export interface StoredNotice {
  readonly notice: Notice;
  /** The deploy record's id; null: it tells of something else. */
  readonly deploy: string | null;
}

const text = v.string();
const tagOrNone = v.nullable(text);
const command = v.picklist(["server", "assets", "container"]);
const digest = v.custom<Digest>((value) => typeof value === "string" && value.startsWith("sha256:"));
const run = v.exactOptional(
  v.object({ count: v.number(), lastUntil: v.nullable(v.picklist(["over", "calm"])) }),
);
const result = v.object({
  command: text,
  stdout: text,
  stderr: text,
  exitCode: v.nullable(v.number()),
  durationMs: v.number(),
  timedOut: v.boolean(),
});

/** Whatever is not an event of this dewy (a newer one's after a downgrade) could not be told either. */
const eventSchema: v.GenericSchema<unknown, DeployEvent> = v.variant("kind", [
  v.object({ kind: v.literal("agent-started"), version: text, command }),
  v.object({ kind: v.literal("agent-stopping"), reason: text }),
  v.object({ kind: v.literal("deploying"), tag: text, command }),
  v.object({ kind: v.picklist(["downloaded", "pulled"]), tag: text }),
  v.object({
    kind: v.literal("deployed"),
    tag: text,
    fromTag: tagOrNone,
    durationMs: v.number(),
    how: v.picklist(["started", "restarted", "placed", "rolled"]),
    hasPort: v.boolean(),
  }),
  v.object({ kind: v.literal("hook"), hook: v.picklist(["before", "after"]), result }),
  v.object({ kind: v.literal("restarted"), signal: text }),
  v.pipe(
    v.object({
      kind: v.literal("failed"),
      tag: tagOrNone,
      message: text,
      hint: v.nullable(text),
      servingTag: tagOrNone,
      run,
      stranded: v.exactOptional(v.object({ tag: text, reason: text, why: text, hint: text })),
    }),
    v.transform(({ stranded, ...failed }): DeployEvent => {
      return stranded === undefined ? failed : { kind: "stranded", ...stranded };
    }),
  ),
  v.object({
    kind: v.literal("quarantined"),
    tag: text,
    digest: v.nullable(digest),
    reason: text,
    hint: v.optional(v.nullable(text)),
    servingTag: v.optional(v.nullable(text)),
  }),
  v.object({ kind: v.literal("rolled-back"), tag: text, fromTag: text, reason: text }),
  v.object({ kind: v.literal("stranded"), tag: text, reason: text, why: text, hint: text }),
  v.object({
    kind: v.literal("replica-lost"),
    how: v.picklist(["died", "sick", "not-started"]),
    tag: text,
    container: v.nullable(text),
    unit: v.exactOptional(v.literal("process")),
    reason: text,
    delayMs: v.number(),
    run,
  }),
  v.object({ kind: v.literal("crashed"), tag: tagOrNone, reason: text, delayMs: v.number(), run }),
  v.object({
    kind: v.literal("recovered"),
    trouble: v.picklist(["check", "deploy", "app"]),
    errors: v.number(),
    heldBack: v.number(),
    outages: v.number(),
    durationMs: v.number(),
  }),
  v.object({ kind: v.literal("dropped"), count: v.number() }),
]);

const noticeSchema: v.GenericSchema<unknown, Notice> = v.object({
  id: v.pipe(text, v.check(isNoticeId)),
  at: v.pipe(text, v.isoTimestamp()),
  host: text,
  command,
  root: text,
  thread: v.nullable(text),
  event: eventSchema,
});

const fileSchema = v.object({ version: v.literal(1), deploy: v.nullable(text), notice: noticeSchema });

export function encodeNotice({ notice, deploy }: StoredNotice): string {
  return `${JSON.stringify({ version: 1, deploy, notice: { ...notice, event: stored(notice.event) } })}\n`;
}

/** An older dewy, which knows nothing of stranded releases, tells of one as of a failure. */
function stored(event: DeployEvent): object {
  if (event.kind !== "stranded") return event;
  const { tag, reason, why, hint } = event;
  const message = `it should be left, and can't be: ${reason}. ${why}`;
  return { kind: "failed", tag, message, hint, servingTag: tag, stranded: { tag, reason, why, hint } };
}

/** Throws on anything that this dewy did not write whole. */
export function decodeNotice(content: string): StoredNotice {
  const { notice, deploy } = v.parse(fileSchema, JSON.parse(content));
  return { notice, deploy };
}
