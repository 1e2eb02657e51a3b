import { sharedGcs } from "../support/gcs-server.ts";
import type { StoreFixture } from "./contract.ts";
import { freshBucket, gcsStore } from "./gcs-fixture.ts";

const prefix = "a/prefix";

/** A bucket of its own on the shared server. */
export async function openGcsFixture(): Promise<StoreFixture> {
  const server = await sharedGcs();
  const bucket = freshBucket();
  await server.createBucket(bucket);
  const store = gcsStore({ bucket, prefix, endpoint: server.endpoint });
  return {
    store,
    corrupt: (key) => rewrite(server.endpoint, bucket, `${prefix}/${key}`),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** One bit is another, and the metadata stay: by the JSON API, as anybody else would use the bucket. */
async function rewrite(endpoint: string, bucket: string, name: string): Promise<void> {
  const object = new URL(`/storage/v1/b/${bucket}/o/${encodeURIComponent(name)}`, endpoint);
  const stored: unknown = await (await fetch(object)).json();
  const metadata =
    typeof stored === "object" && stored !== null && "metadata" in stored ? stored.metadata : {};
  const bytes = new Uint8Array(await (await fetch(`${object}?alt=media`)).arrayBuffer());
  bytes[0] = (bytes[0] ?? 0) ^ 1;
  const body = new Blob([
    `--boundary\r\nContent-Type: application/json\r\n\r\n${JSON.stringify({ metadata })}\r\n`,
    "--boundary\r\nContent-Type: application/octet-stream\r\n\r\n",
    bytes,
    "\r\n--boundary--",
  ]);
  const query = new URLSearchParams({ uploadType: "multipart", name });
  const answer = await fetch(new URL(`/upload/storage/v1/b/${bucket}/o?${query}`, endpoint), {
    method: "POST",
    headers: { "Content-Type": "multipart/related; boundary=boundary" },
    body,
  });
  if (!answer.ok) throw new Error(`${name} was not written: ${answer.status}`);
}
