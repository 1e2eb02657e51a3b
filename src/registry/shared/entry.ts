import * as v from "valibot";
import { checksumFiles } from "../../release/checksum-files.ts";
import type { Digest, Release } from "../../release/release.ts";
import type { Latest } from "../registry.ts";
import { codes, maxMessage, maxRetryAfterMs, type SharedFailure } from "./failure.ts";
import { mayName } from "./scope.ts";

/** What the hosts of a scope share, under one key. Times are the writers' clocks'. */
export interface SharedEntry {
  readonly answer: SharedAnswer | null;
  /** A refresh under way; whoever took it up may have died since. */
  readonly claim: Claim | null;
  /** Of the last try; null: it succeeded. */
  readonly failure: SharedFailure | null;
}

export interface SharedAnswer {
  readonly latest: Latest;
  readonly fetchedAt: Date;
  readonly by: string;
}

export interface Claim {
  /** Of this claim alone. */
  readonly id: string;
  readonly by: string;
  /** The claimer asks no longer than this. */
  readonly lengthMs: number;
}

const maxClaimMs = 10 * 60_000;

const line = (max: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(max));
const time = v.pipe(
  line(40),
  v.regex(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
  v.transform((text) => new Date(text)),
  v.check((date) => !Number.isNaN(date.getTime())),
);
const digest = v.pipe(
  v.string(),
  v.regex(/^sha256:[0-9a-f]{64}$/),
  v.transform((text): Digest => `sha256:${text.slice("sha256:".length)}`),
);
const milliseconds = (min: number, max: number) => v.pipe(v.number(), v.minValue(min), v.maxValue(max));

const failureSchema = v.object({
  at: time,
  by: line(300),
  code: v.fallback(v.picklist(codes), "internal"),
  message: line(maxMessage),
  hint: v.nullable(line(maxMessage)),
  retryAfterMs: v.nullable(milliseconds(0, maxRetryAfterMs)),
});

const claimSchema = v.object({ id: line(100), by: line(300), lengthMs: milliseconds(1, maxClaimMs) });

function entrySchema(scope: string) {
  const file = v.object({
    name: line(1024),
    url: v.pipe(
      line(8192),
      v.check((url) => mayName(scope, url)),
    ),
    sizeBytes: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
    digest: v.nullable(digest),
    revision: v.nullable(v.string()),
  });
  const release = v.object({
    tag: line(1024),
    moving: v.exactOptional(v.boolean()),
    createdAt: v.nullable(time),
    artifact: v.nullable(file),
    files: v.array(file),
  });
  const latest = v.object({ release: v.nullable(release), otherSlot: v.nullable(line(1024)) });
  return v.object({
    answer: v.nullable(v.object({ latest, fetchedAt: time, by: line(300) })),
    claim: v.nullable(claimSchema),
    failure: v.nullable(failureSchema),
  });
}

/** null: not what dewy writes for this scope. */
export function decodeEntry(body: Uint8Array, scope: string): SharedEntry | null {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    const { success, output } = v.safeParse(entrySchema(scope), JSON.parse(text));
    return success ? output : null;
  } catch {
    return null; // no UTF-8, or no JSON
  }
}

/** At most `maxBytes` long if that can be: a release of thousands of files is told by those that a deploy reads. */
export function encodeEntry(entry: SharedEntry, maxBytes: number): Uint8Array {
  const whole = Buffer.from(JSON.stringify(entry));
  if (whole.length <= maxBytes || entry.answer === null) return whole;
  const { latest } = entry.answer;
  const release = latest.release === null ? null : withoutOtherFiles(latest.release);
  return Buffer.from(
    JSON.stringify({ ...entry, answer: { ...entry.answer, latest: { ...latest, release } } }),
  );
}

function withoutOtherFiles(release: Release): Release {
  const { artifact } = release;
  if (artifact === null) return { ...release, files: [] };
  const sums = checksumFiles(release.files, artifact.name).map(({ file }) => file);
  return { ...release, files: [artifact, ...sums] };
}
