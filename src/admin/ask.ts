import { type ClientRequest, get, type IncomingMessage } from "node:http";
import { DewyError, systemCode } from "../errors.ts";
import { abortable, type Call, withDeadline } from "../util/async.ts";

/** How long an agent may take; it answers from memory. */
export const answerMs = 1000;
const maxAnswerBytes = 4 * 1024 * 1024;

/**
 * `nobody` listens; `silent`: the connection was taken and no whole answer came in time; `foreign`: what answered is
 * no agent.
 */
export type Answered<T> =
  | { readonly kind: "answered"; readonly answer: T }
  | { readonly kind: "nobody" | "silent" | "foreign" };

/** Asks what listens on a port of this host. `parse` throws on what no agent says. Rejects only when `c` aborts. */
export async function ask<T>(
  port: number,
  path: string,
  parse: (text: string) => T,
  c: Call,
): Promise<Answered<T>> {
  const { signal } = withDeadline(c, answerMs);
  try {
    return { kind: "answered", answer: parse(await fetchText(port, path, signal)) };
  } catch (error) {
    c.signal.throwIfAborted();
    if (signal.aborted) return { kind: "silent" };
    return { kind: systemCode(error) === "ECONNREFUSED" ? "nobody" : "foreign" };
  }
}

/** By node:http, as fetch would go through HTTP_PROXY even to the loopback address. */
async function fetchText(port: number, path: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const options = { host: "127.0.0.1", port, path, agent: false };
  const request: ClientRequest = get(options, (response) => readAnswer(response).then(resolve, reject));
  request.on("error", reject);
  try {
    return await abortable(promise, signal);
  } finally {
    request.destroy();
  }
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const { statusCode, headers } = response;
  if (statusCode !== 200 || !/^application\/json\b/i.test(headers["content-type"] ?? "")) {
    throw new DewyError("bad-answer", "not an agent's answer");
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > maxAnswerBytes) throw new DewyError("bad-answer", "the answer is too large");
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8");
}
