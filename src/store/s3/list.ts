import { ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { Call } from "../../util/async.ts";
import type { ObjectEntry } from "../store.ts";
import type { Bucket } from "./bucket.ts";
import { entriesOf, isKeyPrefix, type PageContext } from "./list-page.ts";

const pageSize = 1000;

/** Page by page, as the reader asks for more: memory does not grow with the bucket. */
export async function* listObjects(
  bucket: Bucket,
  prefix: string,
  delimiter: string | undefined,
  c: Call,
): AsyncGenerator<ObjectEntry> {
  c.signal.throwIfAborted();
  // No key begins so, and not every service takes it.
  if (!isKeyPrefix(prefix)) return;
  const doing = `list ${prefix}*`;
  const root = bucket.options.prefix === "" ? "" : `${bucket.options.prefix}/`;
  const context: PageContext = { root, prefix, fail: (answered) => bucket.notS3(doing, answered) };
  let token: string | undefined;
  let last = "";
  do {
    const command = new ListObjectsV2Command({
      Bucket: bucket.name,
      Prefix: `${root}${prefix}`,
      MaxKeys: pageSize,
      // XML can't hold every character a key may have.
      EncodingType: "url",
      ...(delimiter === undefined ? {} : { Delimiter: delimiter }),
      ...(token === undefined ? {} : { ContinuationToken: token }),
    });
    const page = await bucket.run(doing, (abortSignal) => bucket.client.send(command, { abortSignal }), c);
    for (const entry of entriesOf(page, context)) {
      c.signal.throwIfAborted();
      // A prefix of more keys than a page holds: MinIO tells it with every page, unless the delimiter is `/`.
      if (entry.key === last) continue;
      last = entry.key;
      yield entry;
    }
    const next = page.IsTruncated === true ? (page.NextContinuationToken ?? "") : undefined;
    // The same page again and again must not keep us for ever.
    if (next === "" || (next !== undefined && next === token)) {
      throw context.fail("a page that does not say where the listing goes on");
    }
    token = next;
  } while (token !== undefined);
}
