import { createHmac, timingSafeEqual } from "node:crypto";
import { HttpHost, type Reply, type SeenRequest } from "./http-host.ts";
import { SecretWatch } from "./secrets.ts";

/** A web hook's receiver as somebody might write it: it checks the signature and takes every notice once. */
export class WebhookReceiver implements AsyncDisposable {
  /** Bodies in the order they came, without those sent again. */
  readonly taken: string[] = [];
  readonly #ids = new Set<string>();
  readonly #watch = new SecretWatch();

  private constructor(
    readonly http: HttpHost,
    private readonly key: string | null,
  ) {}

  /** `key`: null takes whatever comes. */
  static async start(key: string | null): Promise<WebhookReceiver> {
    const box: { receiver: WebhookReceiver | null } = { receiver: null };
    const http = await HttpHost.start((request) => box.receiver?.take(request) ?? { status: 500 });
    box.receiver = new WebhookReceiver(http, key);
    return box.receiver;
  }

  get host(): string {
    return new URL(this.http.origin).host;
  }

  take(request: SeenRequest): Reply {
    const body = Buffer.from(request.body).toString("utf8");
    this.#watch.see(body, Object.fromEntries(request.headers));
    if (this.key !== null && !isSignedBy(this.key, request.headers.get("x-dewy-signature") ?? "", body)) {
      return { status: 401, body: "no such signature" };
    }
    const id = request.headers.get("x-dewy-id") ?? "";
    if (!this.#ids.has(id)) this.taken.push(body);
    this.#ids.add(id);
    return { status: 200, body: "ok" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http[Symbol.asyncDispose]();
    this.#watch.refuse();
  }
}

/** By node:crypto, from the description alone. */
export function isSignedBy(key: string, header: string, body: string): boolean {
  const parts = new Map(
    header.split(",").map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]),
  );
  const given = Buffer.from(parts.get("v1") ?? "", "hex");
  const right = createHmac("sha256", key)
    .update(`${parts.get("t")}.${body}`, "utf8")
    .digest();
  return given.length === right.length && timingSafeEqual(given, right);
}
