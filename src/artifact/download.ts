import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { DewyError, toDewyError } from "../errors.ts";
import type { Digest, ReleaseFile } from "../release/release.ts";
import type { ArtifactBody, ArtifactSource } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import type { Clock } from "../util/time.ts";
import { PartFile } from "./part-file.ts";
import { type ExpectedDigest, type Verification, verifyDigest } from "./verify.ts";

export interface DownloadRules {
  /** `--max-artifact-size` */
  readonly maxBytes: number;
  /** From expectedDigests(); bytes that are not these never get their name. */
  readonly expected: readonly ExpectedDigest[];
  /** Failures in a row, without progress between them, that end the download. */
  readonly maxFailures?: number;
}

export interface DownloadDeps {
  readonly clock: Clock;
  /** Bytes an unprivileged writer may still use on the file system of `directory`. */
  readonly freeBytes?: (directory: string) => Promise<number>;
  readonly onProgress?: (receivedBytes: number, totalBytes: number | null) => void;
}

export interface Download {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly verification: Verification;
}

const defaultMaxFailures = 5;
/** Less than this between two cuts is no progress: a server that cuts after every byte must not keep us for ever. */
const progressBytes = 64 * 1024;
const firstPauseMs = 500;
const longestPauseMs = 30_000;
/** A server that asks for more patience than this is left to the next poll. */
const longestWaitMs = 60_000;
const resumable: ReadonlySet<string> = new Set([
  "network-unreachable",
  "network-timeout",
  "http-status",
  "rate-limited",
]);

/**
 * Streams a file to `toPath`: whole, checked and durable when it resolves, absent when it rejects. After a cut
 * it goes on where it stopped, or starts over when the content changed meanwhile. The directory must exist; one
 * download at a time per path.
 */
export async function downloadArtifact(
  source: ArtifactSource,
  file: ReleaseFile,
  toPath: string,
  rules: DownloadRules,
  deps: DownloadDeps,
  c: Call,
): Promise<Download> {
  const doing = `download ${file.name}`;
  try {
    if (file.sizeBytes !== null) await checkSize(file.name, file.sizeBytes, toPath, rules, deps);
    await using part = await PartFile.create(toPath);
    await fill(part, { source, file, toPath, rules, deps, doing }, c);
    const digest = part.digest();
    const verification = verifyDigest(file, digest, rules.expected);
    await part.finish();
    return { digest, sizeBytes: part.sizeBytes, verification };
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, doing);
  }
}

interface Job {
  readonly source: ArtifactSource;
  readonly file: ReleaseFile;
  readonly toPath: string;
  readonly rules: DownloadRules;
  readonly deps: DownloadDeps;
  readonly doing: string;
}

/** Tries until all bytes are there; only cuts and outages are tried again. */
async function fill(part: PartFile, job: Job, c: Call): Promise<void> {
  const maxFailures = job.rules.maxFailures ?? defaultMaxFailures;
  let validator: string | null = null;
  let failures = 0;
  let furthest = 0;
  for (;;) {
    try {
      const resume =
        validator === null || part.sizeBytes === 0 ? null : { offset: part.sizeBytes, validator };
      const body = await job.source.open(job.file, resume, c);
      validator = body.validator;
      return await transfer(part, body, job);
    } catch (error) {
      c.signal.throwIfAborted();
      const failure = toDewyError(error, job.doing);
      if (!isResumable(failure)) throw failure;
      failures = part.sizeBytes >= furthest + progressBytes ? 1 : failures + 1;
      furthest = Math.max(furthest, part.sizeBytes);
      if (failures > maxFailures) throw failure;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
      await job.deps.clock.sleep(Math.max(pauseMs, failure.retryAfterMs ?? 0), c.signal);
    }
  }
}

function isResumable(failure: DewyError): boolean {
  return failure.retryable && resumable.has(failure.code) && (failure.retryAfterMs ?? 0) <= longestWaitMs;
}

/** One connection's worth of bytes. */
async function transfer(part: PartFile, body: ArtifactBody, job: Job): Promise<void> {
  const { file, rules, deps } = job;
  const declared = file.sizeBytes ?? body.totalBytes;
  const iterator = body.chunks[Symbol.asyncIterator]();
  try {
    if (body.totalBytes !== null && body.totalBytes !== declared) {
      throw wrongSize(job, body.totalBytes, declared ?? 0);
    }
    if (body.offset !== part.sizeBytes) await startOver(part, body, job);
    if (file.sizeBytes === null && declared !== null && part.sizeBytes === 0) {
      await checkSize(file.name, declared, job.toPath, rules, deps);
    }
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      const size = part.sizeBytes + next.value.length;
      if (size > rules.maxBytes) throw tooLarge(file.name, size, rules.maxBytes);
      if (declared !== null && size > declared) throw wrongSize(job, size, declared);
      await part.write(next.value);
      deps.onProgress?.(part.sizeBytes, declared);
    }
  } finally {
    // Ends the connection when it was not read to its end.
    await iterator.return?.();
  }
  if (declared !== null && part.sizeBytes < declared) {
    const text = `${job.doing}: cut after ${part.sizeBytes} of ${declared} bytes`;
    throw new DewyError("network-unreachable", text);
  }
}

/** The source could not go on where we stopped: what is here belongs to other content, or can't be continued. */
async function startOver(part: PartFile, body: ArtifactBody, job: Job): Promise<void> {
  if (body.offset !== 0) {
    throw new DewyError(
      "bad-answer",
      `${job.doing}: got bytes from ${body.offset} on, not ${part.sizeBytes}`,
    );
  }
  await part.restart();
}

async function checkSize(
  name: string,
  sizeBytes: number,
  toPath: string,
  rules: DownloadRules,
  deps: DownloadDeps,
): Promise<void> {
  if (sizeBytes > rules.maxBytes) throw tooLarge(name, sizeBytes, rules.maxBytes);
  const directory = dirname(toPath);
  const free = await (deps.freeBytes ?? freeBytesOf)(directory);
  if (free < sizeBytes + marginBytes(sizeBytes)) {
    throw new DewyError("disk-full", `${name} needs ${sizeBytes} bytes, ${directory} has ${free} left`, {
      hint: "free some disk space; dewy tries again by itself",
    });
  }
}

/** Left for everybody else on the disk: 5 %, at least 1 MiB, at most 64 MiB. */
function marginBytes(sizeBytes: number): number {
  const mib = 1024 * 1024;
  return Math.min(64 * mib, Math.max(mib, sizeBytes / 20));
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

function tooLarge(name: string, sizeBytes: number, maxBytes: number): DewyError {
  return new DewyError(
    "artifact-too-large",
    `${name} has at least ${sizeBytes} bytes, the limit is ${maxBytes}`,
    {
      hint: "raise --max-artifact-size if the artifact is meant to be that large",
    },
  );
}

/** Replaced between the listing and the download, most likely; the next poll lists it anew. */
function wrongSize(job: Job, sizeBytes: number, declared: number): DewyError {
  return new DewyError(
    "bad-answer",
    `${job.doing}: ${sizeBytes} bytes or more, but ${declared} were declared`,
  );
}
