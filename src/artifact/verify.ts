import { DewyError, messageOf } from "../errors.ts";
import { type ChecksumFile, checksumFiles } from "../release/checksum-files.ts";
import type { DeployableRelease, Digest, ReleaseFile } from "../release/release.ts";
import type { ArtifactSource } from "../release/source.ts";
import type { Call } from "../util/async.ts";
import { checksumFor } from "./checksums.ts";

const maxChecksumFileBytes = 1024 * 1024;

/** What somebody published says the artifact's digest is. */
export interface ExpectedDigest {
  readonly digest: Digest;
  /** Who says so: `registry digest`, or the name of a checksum file. */
  readonly by: string;
}

export interface Verification {
  /** Empty: nothing was published to check against. */
  readonly checkedAgainst: readonly string[];
}

/** Finds out what one kind of publication says about an artifact; signatures will be further checks. */
type Check = (release: DeployableRelease, source: ArtifactSource, c: Call) => Promise<ExpectedDigest | null>;

const checks: readonly Check[] = [registryDigest, checksumFileDigest];

/**
 * Every digest published for the release's artifact. Asked before the download, so that a contradiction is found
 * without one, and again for a cache hit. Fails closed: a checksum file that is listed but cannot be fetched is
 * the fetch's error, one that cannot be understood `digest-mismatch`.
 */
export async function expectedDigests(
  release: DeployableRelease,
  source: ArtifactSource,
  c: Call,
): Promise<readonly ExpectedDigest[]> {
  const expected: ExpectedDigest[] = [];
  for (const check of checks) {
    const found = await check(release, source, c);
    if (found !== null) expected.push(found);
  }
  const [first] = expected;
  if (first !== undefined) verifyDigest(release.artifact, first.digest, expected, `${first.by} says`);
  return expected;
}

/** Throws `digest-mismatch` unless the artifact's bytes, with this digest, are what all of `expected` say. */
export function verifyDigest(
  artifact: ReleaseFile,
  digest: Digest,
  expected: readonly ExpectedDigest[],
  claim = "its bytes have",
): Verification {
  for (const { digest: wanted, by } of expected) {
    if (wanted !== digest) {
      throw new DewyError(
        "digest-mismatch",
        `${artifact.name}: ${claim} ${digest}, but ${by} says ${wanted}`,
        { hint: "publish the artifact and its checksums again, from one build" },
      );
    }
  }
  return { checkedAgainst: expected.map(({ by }) => by) };
}

/** Both steps at once, for bytes that are already here. */
export async function verifyArtifact(
  subject: { readonly release: DeployableRelease; readonly digest: Digest },
  source: ArtifactSource,
  c: Call,
): Promise<Verification> {
  const { release, digest } = subject;
  return verifyDigest(release.artifact, digest, await expectedDigests(release, source, c));
}

async function registryDigest({ artifact }: DeployableRelease): Promise<ExpectedDigest | null> {
  return artifact.digest === null ? null : { digest: artifact.digest, by: "registry digest" };
}

/** The first checksum file, in the order of the plan, that lists the artifact. */
async function checksumFileDigest(
  { artifact, files }: DeployableRelease,
  source: ArtifactSource,
  c: Call,
): Promise<ExpectedDigest | null> {
  for (const entry of checksumFiles(files, artifact.name)) {
    const digest = listedDigest(artifact.name, entry, await fetchText(entry.file, source, c));
    if (digest !== null) return { digest, by: entry.file.name };
  }
  return null;
}

function listedDigest(artifactName: string, entry: ChecksumFile, text: string): Digest | null {
  try {
    return checksumFor(artifactName, text, entry.kind);
  } catch (error) {
    throw badChecksumFile(entry.file, messageOf(error));
  }
}

async function fetchText(file: ReleaseFile, source: ArtifactSource, c: Call): Promise<string> {
  const body = await source.open(file, null, c);
  const hasher = new Bun.CryptoHasher("sha256");
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body.chunks) {
    size += chunk.length;
    if (size > maxChecksumFileBytes)
      throw badChecksumFile(file, `is larger than ${maxChecksumFileBytes} bytes`);
    hasher.update(chunk);
    chunks.push(chunk);
  }
  const declared = body.totalBytes ?? file.sizeBytes;
  if (declared !== null && size !== declared) {
    throw new DewyError("bad-answer", `${file.name}: ${size} bytes came instead of ${declared}`);
  }
  const digest: Digest = `sha256:${hasher.digest("hex")}`;
  if (file.digest !== null && file.digest !== digest) {
    throw badChecksumFile(file, `has ${digest}, but the registry says ${file.digest}`);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function badChecksumFile(file: ReleaseFile, why: string): DewyError {
  return new DewyError("digest-mismatch", `bad checksum file: ${file.name} ${why}`, {
    hint: "publish it again as sha256sum writes it: 64 hex digits, two spaces, the file's name",
  });
}
