import { type Handler, HttpHost, type Reply, type SeenRequest } from "../support/http-host.ts";

interface Stored {
  readonly bytes: Buffer;
  readonly generation: number;
  readonly metadata: object;
}

interface Session {
  readonly name: string;
  readonly metadata: object;
  received: Buffer;
  done: boolean;
}

/**
 * Resumable uploads of the JSON API as Google's service does them and fake-gcs-server does not: it keeps what arrived,
 * says how much that is, and forgets what is cancelled. https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
export class GcsService implements AsyncDisposable {
  readonly objects = new Map<string, Stored>();
  readonly sessions = new Map<string, Session>();
  /** Bytes of a chunk that are kept; the service may take less than it is sent, in steps of 256 KiB. */
  keeps: (chunk: Buffer) => number = (chunk) => chunk.length;
  /** Damages what is stored. */
  stores: (bytes: Buffer) => Buffer = (bytes) => bytes;
  /** Whether a request to a session is answered with 503 after it was done. */
  failsAfterwards: () => boolean = () => false;
  /** After an object was looked at, before its content can be asked for. */
  afterLook: () => void = () => undefined;
  #generation = 1000;
  #host: HttpHost | null = null;

  static async start(): Promise<GcsService> {
    const service = new GcsService();
    const handler: Handler = (request) => service.#answer(request);
    service.#host = await HttpHost.start(handler);
    return service;
  }

  get host(): HttpHost {
    if (this.#host === null) throw new Error("not started");
    return this.#host;
  }

  /** `METHOD Content-Range` of what came to the sessions. */
  get chunks(): string[] {
    const sent = this.host.requests.filter(({ path }) => path.includes("upload_id="));
    return sent.map(({ method, headers }) => `${method} ${headers.get("content-range") ?? ""}`.trim());
  }

  put(name: string, content: string): void {
    this.objects.set(name, { bytes: Buffer.from(content), generation: ++this.#generation, metadata: {} });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.host[Symbol.asyncDispose]();
  }

  #answer(request: SeenRequest): Reply {
    const url = new URL(request.path, "http://host");
    const id = url.searchParams.get("upload_id");
    if (id !== null) {
      const reply = this.#session(id, request);
      return this.failsAfterwards() ? { status: 503 } : reply;
    }
    if (url.pathname.startsWith("/upload/")) return this.#begin(url, request);
    const name = decodeURIComponent(url.pathname.replace(/^.*\/o\/?/, ""));
    const object = this.objects.get(name);
    if (name === "") return json(200, {});
    if (object === undefined) return missing(name);
    if (request.method === "DELETE") {
      this.objects.delete(name);
      return { status: 204 };
    }
    if (url.searchParams.get("alt") === "media") {
      const wanted = url.searchParams.get("generation") ?? `${object.generation}`;
      return wanted === `${object.generation}` ? media(object, request) : missing(name);
    }
    const resource = this.#resource(name);
    this.afterLook();
    return json(200, resource);
  }

  #begin(url: URL, request: SeenRequest): Reply {
    const id = crypto.randomUUID();
    const metadata = JSON.parse(Buffer.from(request.body).toString());
    const name = url.searchParams.get("name") ?? "";
    this.sessions.set(id, { name, metadata, received: Buffer.alloc(0), done: false });
    // Another name for the same host, as an emulator behind a proxy has.
    const location = `https://elsewhere.invalid/upload/storage/v1/b/bucket/o?upload_id=${id}`;
    return { status: 200, headers: { Location: location } };
  }

  #session(id: string, { method, headers, body }: SeenRequest): Reply {
    const session = this.sessions.get(id);
    if (session === undefined) return { status: 410 };
    if (method === "DELETE") {
      this.sessions.delete(id);
      return { status: 499 };
    }
    const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)$/.exec(headers.get("content-range") ?? "");
    const total = Number(range?.[2]);
    if (range?.[1] !== undefined && !session.done) {
      if (Number(range[1]) !== session.received.length) return { status: 503 };
      const chunk = Buffer.from(body);
      session.received = Buffer.concat([session.received, chunk.subarray(0, this.keeps(chunk))]);
      session.done = session.received.length === total;
      if (session.done) this.#commit(session);
    }
    if (session.done) return json(200, this.#resource(session.name));
    const kept = session.received.length;
    return { status: 308, headers: kept === 0 ? {} : { Range: `bytes=0-${kept - 1}` } };
  }

  #commit({ name, metadata, received }: Session): void {
    this.objects.set(name, { bytes: this.stores(received), generation: ++this.#generation, metadata });
  }

  #resource(name: string): object {
    const { bytes, generation, metadata } = this.objects.get(name) ?? {
      bytes: Buffer.alloc(0),
      generation: 0,
    };
    const md5Hash = new Bun.CryptoHasher("md5").update(bytes).digest("base64");
    const updated = "2026-11-21T12:00:00.000Z";
    return { ...metadata, name, generation: `${generation}`, size: `${bytes.length}`, updated, md5Hash };
  }
}

function missing(name: string): Reply {
  return json(404, { error: { code: 404, message: `No such object: bucket/${name}` } });
}

function media({ bytes, generation }: Stored, { headers }: SeenRequest): Reply {
  const named = { "x-goog-generation": `${generation}` };
  const start = Number(/^bytes=(\d+)-$/.exec(headers.get("range") ?? "")?.[1] ?? 0);
  if (start === 0) return { status: 200, headers: named, body: bytes };
  const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  return { status: 206, headers: { ...named, "Content-Range": range }, body: bytes.subarray(start) };
}

export function json(status: number, body: object): Reply {
  return { status, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}
