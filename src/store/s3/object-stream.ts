import { GetObjectCommand, type GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { httpBody } from "../../http/body.ts";
import { silentError } from "../../http/error.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Call } from "../../util/async.ts";
import { refusalOf } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { SendError } from "./transport.ts";

/** A body that is silent for so long is given up; the reader's own pauses don't count. */
const quietMs = 30_000;

export type Answer =
  | {
      readonly kind: "object";
      readonly output: GetObjectCommandOutput;
      readonly chunks: AsyncIterable<Uint8Array>;
    }
  | { readonly kind: "missing" }
  /** Not what `IfMatch` names. */
  | { readonly kind: "changed" }
  /** It has no bytes where `Range` begins. */
  | { readonly kind: "beyond" };

/** One GET of an object; its body is read by the caller, with an idle deadline. */
export async function openStream(
  bucket: Bucket,
  key: string,
  condition: { readonly Range?: string; readonly IfMatch?: string },
  c: Call,
): Promise<Answer> {
  const doing = `get ${key}`;
  const { host } = bucket;
  const idle = new Watchdog(bucket.deps.clock, quietMs, () => silentError(doing, host, quietMs));
  const explain = (error: unknown): unknown => {
    if (c.signal.aborted) return c.signal.reason;
    return idle.signal.aborted ? idle.signal.reason : bucket.explain(new SendError(host, error), doing);
  };
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: bucket.nameOf(key), ...condition });
  const send = (signal: AbortSignal): Promise<GetObjectCommandOutput | Answer> =>
    bucket.client
      .send(command, { abortSignal: AbortSignal.any([signal, idle.signal]) })
      .catch((error: unknown) => expected(error));
  let opened = false;
  try {
    const answer = await bucket.run(doing, send, c);
    if ("kind" in answer) return answer;
    const response = new Response(answer.Body?.transformToWebStream() ?? null);
    opened = true;
    return { kind: "object", output: answer, chunks: httpBody(response, { watchdog: idle, explain }) };
  } finally {
    if (!opened) idle.stop();
  }
}

/** A missing bucket is a 404, too, so the code decides. */
function expected(error: unknown): Answer {
  const refusal = refusalOf(error);
  if (refusal?.code === "NoSuchKey") return { kind: "missing" };
  if (refusal?.status === 412) return { kind: "changed" };
  if (refusal?.status === 416) return { kind: "beyond" };
  throw error;
}
