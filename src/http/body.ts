import { DewyError } from "../errors.ts";
import type { Watchdog } from "./watchdog.ts";

/** A response's bytes. Iterate them or `discard()` them: an answer left alone keeps its connection. */
export interface HttpBody extends AsyncIterable<Uint8Array> {
  discard(): Promise<void>;
}

interface BodyOptions {
  readonly watchdog: Watchdog;
  /** Turns what reading threw into a DewyError. */
  readonly explain: (error: unknown) => unknown;
}

/** The body with an idle deadline; reading fails with a retryable DewyError when the connection is cut. */
export function httpBody(response: Response, options: BodyOptions): HttpBody {
  const { watchdog, explain } = options;
  const reader = response.body?.getReader();
  const end = async (): Promise<IteratorResult<Uint8Array>> => {
    watchdog.stop();
    // Cancelling a broken stream rejects; it is over either way.
    await reader?.cancel().catch(() => undefined);
    return { done: true, value: undefined };
  };
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (reader === undefined) return end();
    watchdog.wait();
    try {
      const { done, value } = await reader.read();
      watchdog.rest();
      return done ? await end() : { done: false, value };
    } catch (error) {
      await end();
      throw explain(error);
    }
  };
  return {
    [Symbol.asyncIterator]: () => ({ next, return: end }),
    discard: async () => void (await end()),
  };
}

const tooLarge = new Error("the answer passes its size limit");

/** Whether a request failed only because its answer was too large: asking for less may help. */
export function isAnswerTooLarge(error: unknown): boolean {
  return error instanceof DewyError && error.cause === tooLarge;
}

/** The whole body as text; `bad-answer` when it is longer than `maxBytes`. */
export async function readText(body: HttpBody, maxBytes: number, doing: string): Promise<string> {
  return (await readBytes(body, maxBytes, doing)).toString("utf8");
}

/** The whole body; `bad-answer` when it is longer than `maxBytes`. */
export async function readBytes(body: HttpBody, maxBytes: number, doing: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) {
      const text = `${doing}: the answer is larger than ${maxBytes} bytes`;
      throw new DewyError("bad-answer", text, { cause: tooLarge });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
