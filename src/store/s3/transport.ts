import { silentError } from "../../http/error.ts";
import { Watchdog } from "../../http/watchdog.ts";
import type { Clock } from "../../util/time.ts";

const quietMs = 30_000;
/** Slower than this, an upload is as good as silent. */
const leastBytesPerMs = 32;

interface TransportOptions {
  readonly clock: Clock;
  /** PEM of the authorities to trust instead of the system's; null: those. */
  readonly ca: string | null;
}

/** What the AWS library sends (HttpRequest of @smithy/types), in the parts that matter here. */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  /** Escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A request that got no answer. `$retryable` is what the library looks for before it tries again. */
export class SendError extends Error {
  readonly $retryable = { throttling: false };

  constructor(
    /** `host[:port]` */
    readonly host: string,
    cause: unknown,
  ) {
    super("no answer", { cause });
  }
}

/**
 * Carries the AWS library's requests over Bun's fetch, which honours HTTPS_PROXY, HTTP_PROXY, NO_PROXY and
 * SSL_CERT_FILE by itself and keeps connections; the library's own transport does neither. Bodies are bytes, never
 * streams. An answer's head must come within 30 s (and the time a slow line needs for the body).
 */
export function fetchTransport({ clock, ca }: TransportOptions) {
  return {
    metadata: { handlerProtocol: "http/1.1" },
    async handle(request: SdkRequest, { abortSignal }: { abortSignal?: unknown } = {}) {
      const url = urlOf(request);
      const body = bodyOf(request);
      const limitMs = quietMs + Math.ceil((body?.byteLength ?? 0) / leastBytesPerMs);
      const watchdog = new Watchdog(clock, limitMs, () => silentError("send", url.host, limitMs));
      const signals = abortSignal instanceof AbortSignal ? [abortSignal, watchdog.signal] : [watchdog.signal];
      watchdog.wait();
      try {
        const response = await fetch(url, {
          method: request.method,
          // The stored bytes as they are; the library has no use for compressed answers either.
          headers: { ...request.headers, "Accept-Encoding": "identity" },
          ...(body === null ? {} : { body }),
          ...(ca === null ? {} : { tls: { ca } }),
          redirect: "manual",
          decompress: false,
          signal: AbortSignal.any(signals),
        });
        const { status, headers, body: stream } = response;
        // The library takes the absence of a body for a stream of Node's.
        const answered = stream ?? new ReadableStream({ start: (controller) => controller.close() });
        return { response: { statusCode: status, headers: Object.fromEntries(headers), body: answered } };
      } catch (error) {
        throw new SendError(url.host, watchdog.signal.aborted ? watchdog.signal.reason : error);
      } finally {
        watchdog.stop();
      }
    },
    destroy() {},
    updateHttpClientConfig() {},
    httpHandlerConfigs() {
      return {};
    },
  };
}

function urlOf({ protocol, hostname, port, path, query }: SdkRequest): URL {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? "" : `:${port}`}${path}`);
  const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
    [value]
      .flat()
      .map((each) => (each === null ? escaped(name) : `${escaped(name)}=${escaped(String(each))}`)),
  );
  url.search = pairs.join("&");
  return url;
}

/** RFC 3986, as in what was signed. */
function escaped(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function bodyOf({ method, body }: SdkRequest): Uint8Array<ArrayBuffer> | null {
  if (method === "GET" || method === "HEAD" || body === undefined || body === null || body === "")
    return null;
  if (typeof body === "string") return Buffer.from(body);
  // A stream would be sent in chunks with trailers, which not every S3 service understands.
  if (!(body instanceof Uint8Array)) throw new TypeError("only bytes are sent");
  return body as Uint8Array<ArrayBuffer>; // Ours: none is made over shared memory.
}
