import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { DewyError, toDewyError } from "../errors.ts";
import { type Reception, receive } from "../http/receive.ts";
import type { Digest, ReleaseFile } from "../release/release.ts";
import type { ArtifactSource } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import { PartFile } from "../util/part-file.ts";
import type { Clock } from "../util/time.ts";
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
    await using part = await PartFile.create(toPath, { partial: `${toPath}.part`, replaces: true });
    await receive(part, receptionOf(source, file, toPath, rules, deps), c);
    const digest = part.digest();
    const verification = verifyDigest(file, digest, rules.expected);
    await part.finish(c);
    return { digest, sizeBytes: part.sizeBytes, verification };
  } catch (error) {
    c.signal.throwIfAborted();
    throw toDewyError(error, doing);
  }
}

function receptionOf(
  source: ArtifactSource,
  file: ReleaseFile,
  toPath: string,
  rules: DownloadRules,
  deps: DownloadDeps,
): Reception {
  const { name, sizeBytes } = file;
  return {
    doing: `download ${name}`,
    open: (resume, call) => source.open(file, resume, call),
    sizeBytes,
    async onTotal(totalBytes) {
      // What was declared has been checked already.
      if (sizeBytes === null) await checkSize(name, totalBytes, toPath, rules, deps);
    },
    onProgress(receivedBytes, totalBytes) {
      if (receivedBytes > rules.maxBytes) throw tooLarge(name, receivedBytes, rules.maxBytes);
      deps.onProgress?.(receivedBytes, totalBytes);
    },
    clock: deps.clock,
    maxFailures: rules.maxFailures,
  };
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
