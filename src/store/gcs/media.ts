import { DewyError } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { GcsTask } from "./error.ts";
import type { GcsSdk } from "./sdk.ts";
import { type GcsReply, send } from "./transport.ts";
import type { WireObject } from "./wire.ts";

interface Place {
  readonly object: WireObject;
  /** At most the object's size. */
  readonly offset: number;
  readonly url: URL;
}

export interface Media {
  readonly offset: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** The bytes of one generation, as they are stored, from `offset` on; from 0 where the service serves no ranges. */
export async function readMedia(
  { object, offset, url }: Place,
  sdk: GcsSdk,
  task: GcsTask,
  clock: Clock,
  c: Call,
): Promise<Media> {
  // A range that begins at the end would be refused.
  if (offset === Number(object.size)) return { offset, chunks: nothing() };
  const headers = new Headers({ "Accept-Encoding": acceptedEncoding(object) });
  if (offset > 0) headers.set("Range", `bytes=${offset}-`);
  await sdk.authorize(url, headers, task, c);
  const reply = await send({ url, method: "GET", headers, raw: true }, task, clock, c);
  const problem = problemOf(reply, object, offset);
  if (problem === null) return { offset: reply.status === 206 ? offset : 0, chunks: reply.body };
  await reply.body.discard();
  throw new DewyError("bad-answer", `${task.doing}: ${task.host} answered ${problem}`, {
    hint: "something between this host and Google Cloud Storage changes answers: check the proxy and endpoint=",
  });
}

/** An object that was stored compressed is decompressed on its way, and without ranges, unless it is asked for so. */
function acceptedEncoding({ contentEncoding }: WireObject): string {
  return contentEncoding === "gzip" ? "gzip" : "identity";
}

function problemOf({ status, headers }: GcsReply, object: WireObject, offset: number): string | null {
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity" && encoding !== object.contentEncoding) return `content encoded as ${encoding}`;
  const generation = headers.get("x-goog-generation");
  if (generation !== null && generation !== object.generation) return "another generation than asked for";
  if (status === 200) return null;
  const range = headers.get("content-range") ?? "none";
  return range.startsWith(`bytes ${offset}-`) ? null : `another range than asked for (${range})`;
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
