import * as v from "valibot";
import { checksumFiles } from "../../release/checksum-files.ts";
import type { Digest, Release, ReleaseFile } from "../../release/release.ts";
import { isListedTag, isSafeTag } from "../../release/tag.ts";
import type { Latest } from "../registry.ts";
import { codes, maxFailures, maxMessage, maxRetryAfterMs, type SharedFailure } from "./failure.ts";
import { isGrpcScope, isImageScope, mayName } from "./place.ts";

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
  /** When it was made, or renewed. */
  readonly at: Date;
  /** Not renewed for so long, its host is dead. */
  readonly lengthMs: number;
}

const maxClaimMs = 10 * 60_000;
const maxFiles = 1000;
const maxNameBytes = 255;
const maxUrlChars = 8192;

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
  failures: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(maxFailures)),
  code: v.fallback(v.picklist(codes), "internal"),
  message: line(maxMessage),
  hint: v.nullable(line(maxMessage)),
  retryAfterMs: v.nullable(milliseconds(0, maxRetryAfterMs)),
});

const claimSchema = v.object({
  id: line(100),
  by: line(300),
  at: time,
  lengthMs: milliseconds(1, maxClaimMs),
});

/** Who may write to the cache may be no friend: what an entry says becomes file names, keys, requests and log records. */
function latestSchema(scope: string) {
  const isTag = isGrpcScope(scope) ? isSafeTag : isListedTag;
  const tag = v.pipe(
    v.string(),
    v.check((text) => isTag(text), "a tag that is no safe name"),
  );
  const file = v.object({
    name: v.string(),
    url: v.pipe(
      line(maxUrlChars),
      v.check((url) => mayName(scope, url), "a URL that is not the registry's to give"),
    ),
    sizeBytes: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
    digest: v.nullable(digest),
    revision: v.nullable(v.pipe(v.string(), v.maxLength(maxUrlChars))),
  });
  const named = v.pipe(
    file,
    v.check((given) => isFileName(scope, given), "a file name that can be none"),
  );
  const release = v.pipe(
    v.object({
      tag,
      moving: v.exactOptional(v.boolean()),
      createdAt: v.nullable(time),
      artifact: v.nullable(named),
      files: v.pipe(
        v.array(named),
        v.check((given) => given.length <= maxFiles, `more than ${maxFiles} files`),
      ),
    }),
    v.check(({ artifact, files }) => isOneOf(files, artifact), "an artifact that is not among the files"),
  );
  return v.object({ release: v.nullable(release), otherSlot: v.nullable(tag) });
}

function isFileName(scope: string, { name, url }: Pick<ReleaseFile, "name" | "url">): boolean {
  // An image is named as engines name it.
  if (isImageScope(scope)) return url === `img://${name}`;
  const plain = name !== "" && name !== "." && name !== ".." && !/[/\\\p{Cc}\p{Cs}]/u.test(name);
  return plain && Buffer.byteLength(name) <= maxNameBytes;
}

function isOneOf(files: readonly ReleaseFile[], artifact: ReleaseFile | null): boolean {
  if (artifact === null) return true;
  const { name, url, digest, revision } = artifact;
  return files.some(
    (file) => file.name === name && file.url === url && file.digest === digest && file.revision === revision,
  );
}

function entrySchema(scope: string) {
  return v.object({
    answer: v.nullable(v.object({ latest: latestSchema(scope), fetchedAt: time, by: line(300) })),
    claim: v.nullable(claimSchema),
    failure: v.nullable(failureSchema),
  });
}

/** `rule`: what it breaks of the rules for what dewy writes for this scope, without a word of its content. */
export function decodeEntry(
  body: Uint8Array,
  scope: string,
): { readonly entry: SharedEntry } | { readonly rule: string } {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return { rule: "no JSON" };
  }
  const { success, output, issues } = v.safeParse(entrySchema(scope), json);
  return success ? { entry: output } : { rule: ruleOf(issues[0]) };
}

/** Of an answer, once encoded; null: every host of this scope would take it. */
export function brokenRule(latest: Latest, scope: string): string | null {
  const release = latest.release && tellable(latest.release, scope);
  const shared = JSON.parse(JSON.stringify({ ...latest, release }));
  const { success, issues } = v.safeParse(latestSchema(scope), shared);
  return success ? null : ruleOf(issues[0]);
}

/** The library's own messages repeat what was received; `expected` is null in those written here. */
function ruleOf(issue: v.BaseIssue<unknown>): string {
  const rule = issue.expected === null ? issue.message : `expected ${issue.expected}`;
  return `${v.getDotPath(issue) ?? "entry"}: ${rule}`;
}

/** At most `maxBytes` long if that can be: a release of thousands of files is told by those that a deploy reads. */
export function encodeEntry(entry: SharedEntry, scope: string, maxBytes: number): Uint8Array {
  const whole = encode(entry, (release) => tellable(release, scope));
  return whole.length <= maxBytes ? whole : encode(entry, (release) => essential(tellable(release, scope)));
}

function encode(entry: SharedEntry, told: (release: Release) => Release): Uint8Array {
  const { answer } = entry;
  if (answer === null || answer.latest.release === null) return Buffer.from(JSON.stringify(entry));
  const latest = { ...answer.latest, release: told(answer.latest.release) };
  return Buffer.from(JSON.stringify({ ...entry, answer: { ...answer, latest } }));
}

/** Without files that no host would take from the cache, and that none needs. */
function tellable(release: Release, scope: string): Release {
  const isTold = (file: ReleaseFile) => isFileName(scope, file) && mayName(scope, file.url);
  const told = { ...release, files: release.files.filter(isTold) };
  return told.files.length <= maxFiles ? told : essential(told);
}

/** What a deploy reads. */
function essential(release: Release): Release {
  const { artifact } = release;
  if (artifact === null) return { ...release, files: [] };
  const sums = checksumFiles(release.files, artifact.name).map(({ file }) => file);
  return { ...release, files: [artifact, ...sums.slice(0, maxFiles - 1)] };
}
