import { type Failure, HttpHost, type Reply, type SeenRequest } from "./http-host.ts";

interface StoredFile {
  bytes: Uint8Array;
  etag: string | null;
}

interface FlakyOptions {
  /** false: the server knows no ranges. */
  readonly ranges?: boolean;
  /** false: Range is honoured without a look at If-Range, as broken servers do. */
  readonly ifRange?: boolean;
  /** true: whole files come in chunks, and their size is not told. */
  readonly chunked?: boolean;
}

/** Serves bytes by path as a storage host does (ETag, Range, If-Range), and fails as told. */
export class FlakyServer implements AsyncDisposable {
  private constructor(
    private readonly host: HttpHost,
    private readonly files: Map<string, StoredFile>,
  ) {}

  static async start(options: FlakyOptions = {}): Promise<FlakyServer> {
    const files = new Map<string, StoredFile>();
    const host = await HttpHost.start((request) => serve(files, request, options));
    return new FlakyServer(host, files);
  }

  get url(): string {
    return this.host.origin;
  }

  get requests(): readonly SeenRequest[] {
    return this.host.requests;
  }

  /** `path` begins with a slash. Other bytes mean another ETag unless one is given. */
  put(path: string, bytes: string | Uint8Array, etag?: string | null): void {
    const body = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    this.files.set(path, { bytes: body, etag: etag === undefined ? etagOf(body) : etag });
  }

  delete(path: string): void {
    this.files.delete(path);
  }

  fail(failure: Failure, options: { path?: RegExp; times?: number } = {}): void {
    this.host.fail(failure, options);
  }

  /** Breaks the connections that `hangAfter` keeps. */
  cut(): void {
    this.host.cut();
  }

  heal(): void {
    this.host.heal();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.host[Symbol.asyncDispose]();
  }
}

function serve(files: Map<string, StoredFile>, request: SeenRequest, options: FlakyOptions): Reply {
  const file = files.get(request.path.replace(/\?.*$/, ""));
  if (file === undefined) return { status: 404, body: "no such file" };
  const headers: Record<string, string> = { "Content-Type": "application/octet-stream" };
  if (file.etag !== null) headers["ETag"] = file.etag;
  const range = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "");
  const condition = request.headers.get("if-range");
  const same = options.ifRange === false || condition === null || condition === file.etag;
  if (range === null || !same || options.ranges === false) {
    return { status: 200, headers, body: file.bytes, chunked: options.chunked === true };
  }
  const start = Number(range[1]);
  const total = file.bytes.length;
  if (start >= total) return { status: 416, headers: { ...headers, "Content-Range": `bytes */${total}` } };
  headers["Content-Range"] = `bytes ${start}-${total - 1}/${total}`;
  return { status: 206, headers, body: file.bytes.subarray(start) };
}

function etagOf(bytes: Uint8Array): string {
  return `"${Bun.SHA256.hash(bytes, "hex").slice(0, 16)}"`;
}
