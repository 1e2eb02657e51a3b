import { DeleteObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import type { Call } from "../../util/async.ts";
import type { ObjectStore, Version } from "../store.ts";
import { refusalOf } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { ownWrite } from "./own-write.ts";

/** Writers that met (409) try so often before they count as lost. */
const maxConflicts = 5;
const conflictPauseMs = 100;
/** Slow lines get time for large bodies. */
const deadlineMs = 100_000;
const leastBytesPerMs = 32;

type Condition = Parameters<ObjectStore["put"]>[2];

/** null: lost. */
export async function putObject(
  bucket: Bucket,
  key: string,
  body: Uint8Array,
  { ifVersion }: Condition,
  c: Call,
): Promise<Version | null> {
  const doing = `put ${key}`;
  const writeId = crypto.randomUUID();
  const input = {
    Bucket: bucket.name,
    Key: bucket.nameOf(key),
    Body: body,
    Metadata: { sha256: Bun.SHA256.hash(body, "hex"), "write-id": writeId },
    ...(ifVersion === undefined ? {} : ifVersion === null ? { IfNoneMatch: "*" } : { IfMatch: ifVersion }),
  };
  const limitMs = deadlineMs + (3 * body.length) / leastBytesPerMs;
  for (let conflicts = 0; ; conflicts++) {
    const send = (abortSignal: AbortSignal) =>
      bucket.client
        .send(new PutObjectCommand(input), { abortSignal })
        .then(({ ETag }) => ({ kind: "written", version: ETag }) as const)
        .catch((error: unknown) => outcomeOf(error, ifVersion !== undefined));
    const outcome = await bucket.run(doing, send, c, limitMs);
    if (outcome.kind === "written") return versionOf(bucket, outcome.version, doing);
    // The library, and Bun's fetch below it unseen, send a write again when its answer got lost: the write that it
    // then loses to may be itself.
    if (outcome.kind === "lost") return ownWrite(bucket, key, writeId, c);
    if (conflicts === maxConflicts) return null;
    await bucket.deps.clock.sleep(conflictPauseMs, c.signal);
  }
}

interface Outcome {
  readonly kind: "lost" | "conflict";
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
function outcomeOf(error: unknown, conditional: boolean): Outcome {
  const refusal = conditional ? refusalOf(error) : null;
  if (refusal?.status === 412 || refusal?.code === "NoSuchKey") return { kind: "lost" };
  if (refusal?.status === 409) return { kind: "conflict" };
  throw error;
}

export async function deleteObject(bucket: Bucket, key: string, c: Call): Promise<void> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key) };
  await bucket.run(
    `delete ${key}`,
    async (abortSignal) => {
      try {
        await bucket.client.send(new DeleteObjectCommand(input), { abortSignal });
      } catch (error) {
        if (refusalOf(error)?.code !== "NoSuchKey") throw error;
      }
    },
    c,
  );
}

export function versionOf(bucket: Bucket, version: string | undefined, doing: string): Version {
  if (version === undefined || version === "") throw bucket.notS3(doing, "without an ETag");
  return version;
}
