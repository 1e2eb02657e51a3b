import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { Call } from "../../util/async.ts";
import type { Version } from "../store.ts";
import { refusalOf } from "./answer.ts";
import type { Bucket } from "./bucket.ts";

/** The version of what is stored, if it is the write that carries `writeId`; null: it is another's, or gone. */
export async function ownWrite(
  bucket: Bucket,
  key: string,
  writeId: string,
  c: Call,
): Promise<Version | null> {
  const input = { Bucket: bucket.name, Key: bucket.nameOf(key) };
  const output = await bucket.run(
    `look at ${key}`,
    (abortSignal) =>
      bucket.client.send(new HeadObjectCommand(input), { abortSignal }).catch((error: unknown) => {
        if (refusalOf(error)?.status === 404) return null;
        throw error;
      }),
    c,
  );
  return output?.Metadata?.["write-id"] === writeId ? (output.ETag ?? null) : null;
}
