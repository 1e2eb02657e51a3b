import { DewyError, messageOf } from "../../errors.ts";
import type { Call } from "../../util/async.ts";
import type { Clock } from "../../util/time.ts";
import type { Endpoint } from "./endpoint.ts";
import { garbage, type Refusal } from "./failure.ts";
import { type EngineAnswer, type EngineRequest, exchange, type Limit } from "./transport.ts";
import { readError } from "./wire.ts";

/** The lowest that has all that is needed, and the highest whose changes were looked through. */
const oldest = version("1.40");
const newest = version("1.48");

const quickMs = 30_000;
const maxAnswerBytes = 32 * 1024 * 1024;

export interface Engine {
  readonly name: "docker" | "podman";
  /** That both sides speak: `1.41`. */
  readonly apiVersion: string;
}

/** A request within the API's version; 30 s for it where nothing else is said. */
export type ApiRequest = Omit<EngineRequest, "limit" | "method"> & {
  readonly method?: EngineRequest["method"];
  readonly limit?: Limit;
};

interface ApiDeps {
  /** Asked before each request: where the engine is may change while it is away. */
  readonly endpoint: (c: Call) => Promise<Endpoint>;
  readonly clock: Clock;
}

/** The API of whatever engine answers now. */
export class EngineApi {
  /** Of the engine that answered last; null: find out. */
  #engine: Engine | null = null;

  constructor(private readonly deps: ApiDeps) {}

  get clock(): Clock {
    return this.deps.clock;
  }

  /** Which engine it is and the version that is spoken with it, asked anew after it was away. */
  async engine(c: Call): Promise<Engine> {
    if (this.#engine !== null) return this.#engine;
    const doing = "asking the engine for its version";
    const limit: Limit = { kind: "whole", ms: quickMs };
    const engine = await this.#exchange(
      { method: "GET", path: "/_ping", doing, limit },
      async ({ status, headers }) => {
        if (status !== 200) throw garbage(doing, `${status} to a ping`);
        return identify(headers, doing);
      },
      c,
    );
    this.#engine = engine;
    return engine;
  }

  async request<T>(request: ApiRequest, read: (answer: EngineAnswer) => Promise<T>, c: Call): Promise<T> {
    const { apiVersion } = await this.engine(c);
    const whole: EngineRequest = {
      method: "GET",
      limit: { kind: "whole", ms: quickMs },
      ...request,
      path: `/v${apiVersion}${request.path}`,
    };
    return this.#exchange(whole, read, c);
  }

  /** A status below 400 is read by `read`, another one becomes a Refusal. */
  async json<T>(
    request: ApiRequest,
    read: (json: unknown) => T,
    c: Call,
  ): Promise<{ readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal }> {
    return this.request(
      request,
      async (answer) => {
        if (answer.status >= 400) return { ok: false, refusal: await readRefusal(answer, request.doing) };
        const text = await readText(answer, request.doing);
        return { ok: true, value: parse(text, read, request.doing) };
      },
      c,
    );
  }

  /** For answers without a content; null: done (or, 304, no need to). */
  async command(request: ApiRequest, c: Call): Promise<Refusal | null> {
    return this.request(
      request,
      async (answer) => {
        if (answer.status >= 400) return readRefusal(answer, request.doing);
        await readText(answer, request.doing);
        return null;
      },
      c,
    );
  }

  async #exchange<T>(
    request: EngineRequest,
    read: (answer: EngineAnswer) => Promise<T>,
    c: Call,
  ): Promise<T> {
    try {
      return await exchange(await this.deps.endpoint(c), request, read, this.deps, c);
    } catch (error) {
      // It may come back as another version.
      if (error instanceof DewyError && error.code === "engine-unreachable") this.#engine = null;
      throw error;
    }
  }
}

/** The engine's words; empty where it answered no JSON (a proxy in between). */
export async function readRefusal(answer: EngineAnswer, doing: string): Promise<Refusal> {
  const text = await readText(answer, doing);
  try {
    const { message, cause } = readError(JSON.parse(text));
    const because = typeof cause === "string" && !message.includes(cause) ? ` (${cause})` : "";
    return { status: answer.status, said: `${message}${because}` };
  } catch {
    return { status: answer.status, said: "" };
  }
}

export function filters(by: Readonly<Record<string, readonly string[]>>): string {
  return encodeURIComponent(JSON.stringify(by));
}

/** As the engines' filter takes them; an empty value: any. */
export function labelFilter(labels: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(labels).map(([key, value]) => (value === "" ? key : `${key}=${value}`));
}

async function readText({ chunks }: EngineAnswer, doing: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw garbage(doing, `more than ${maxAnswerBytes} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parse<T>(text: string, read: (json: unknown) => T, doing: string): T {
  try {
    return read(JSON.parse(text));
  } catch (error) {
    const what =
      error instanceof SyntaxError ? "no JSON" : `JSON of an unexpected shape (${messageOf(error)})`;
    throw garbage(doing, what);
  }
}

function identify(headers: Headers, doing: string): Engine {
  const theirs = version(headers.get("api-version") ?? "");
  if (theirs === null) throw garbage(doing, "no Api-Version to a ping");
  if (theirs.order < oldest.order) {
    throw new DewyError("engine-failed", `${doing}: it speaks only API ${theirs.text}`, {
      hint: `dewy needs API ${oldest.text}: Docker 19.03 or Podman 3 and newer`,
    });
  }
  // DOCKER_HOST may well lead to Podman's compatible socket.
  const name = headers.has("libpod-api-version") ? "podman" : "docker";
  return { name, apiVersion: theirs.order < newest.order ? theirs.text : newest.text };
}

function version(text: `${number}`): { order: number; text: string };
function version(text: string): { order: number; text: string } | null;
function version(text: string) {
  const [, major, minor] = /^(\d{1,3})\.(\d{1,3})$/.exec(text) ?? [];
  return major === undefined ? null : { order: Number(major) * 1000 + Number(minor), text };
}
