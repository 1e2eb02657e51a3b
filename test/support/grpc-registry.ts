import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { Metadata, Server, ServerCredentials, type sendUnaryData, status } from "@grpc/grpc-js";
import {
  type CurrentRequest,
  CurrentRequestSchema,
  CurrentResponseSchema,
  type ReportRequest,
  ReportRequestSchema,
} from "../../src/registry/grpc/registry_pb.ts";

/** What the server does with a call. */
export type Script =
  | { readonly answer: MessageInitShape<typeof CurrentResponseSchema> }
  /** The message's bytes as they are. */
  | { readonly bytes: Uint8Array }
  | Refusal
  | { readonly hang: true };

interface Refusal {
  readonly code: number;
  readonly details?: string;
  readonly trailers?: Readonly<Record<string, string | Uint8Array>>;
}

export interface GrpcRegistryOptions {
  /** PEM; plain without. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** `127.0.0.1` unless given. */
  readonly address?: string;
  /** A free one unless given. */
  readonly port?: number;
  /** false: a server of something else. */
  readonly service?: boolean;
}

/** A @grpc/grpc-js server of `dewy.RegistryService` in this process, with scripted answers and a log of requests. */
export class GrpcRegistry implements AsyncDisposable {
  readonly requests: CurrentRequest[] = [];
  readonly reports: ReportRequest[] = [];
  /** Headers of every call. */
  readonly headers: Readonly<Record<string, string>>[] = [];
  /** Clients' addresses: one each connection. */
  readonly peers = new Set<string>();
  /** Calls that the client gave up. */
  cancelled = 0;
  current: Script = { code: status.NOT_FOUND };
  report: Script | null = null;
  #server = new Server();
  #port = 0;

  private constructor(private readonly options: GrpcRegistryOptions) {}

  static async start(options: GrpcRegistryOptions = {}): Promise<GrpcRegistry> {
    const registry = new GrpcRegistry(options);
    await registry.#listen(options.port ?? 0);
    return registry;
  }

  get port(): number {
    return this.#port;
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return `${this.#address}:${this.#port}`;
  }

  /** Ends all connections; nothing listens any more. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** Answers again, at the same port. */
  async restart(): Promise<void> {
    this.stop();
    this.#server = new Server();
    await this.#listen(this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  get #address(): string {
    return this.options.address ?? "127.0.0.1";
  }

  async #listen(port: number): Promise<void> {
    if (this.options.service !== false) this.#addService();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.bindAsync(`${this.#address}:${port}`, this.#credentials(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
    this.#port = await promise;
  }

  #credentials(): ServerCredentials {
    const { tls } = this.options;
    if (tls === undefined) return ServerCredentials.createInsecure();
    const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
    return ServerCredentials.createSsl(null, [pair]);
  }

  #addService(): void {
    const bytes = {
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    };
    this.#server.addService(
      {
        Current: { path: "/dewy.RegistryService/Current", ...bytes },
        Report: { path: "/dewy.RegistryService/Report", ...bytes },
      },
      {
        Current: (call: UnaryCall, done: sendUnaryData<Buffer>) => {
          this.#note(call);
          this.requests.push(fromBinary(CurrentRequestSchema, call.request));
          play(this.current, done);
        },
        Report: (call: UnaryCall, done: sendUnaryData<Buffer>) => {
          this.#note(call);
          const taken = { bytes: toBinary(EmptySchema, create(EmptySchema)) };
          this.reports.push(fromBinary(ReportRequestSchema, call.request));
          play(this.report ?? taken, done);
        },
      },
    );
  }

  #note(call: UnaryCall): void {
    this.peers.add(call.getPeer());
    call.on("cancelled", () => {
      this.cancelled++;
    });
    this.headers.push(
      Object.fromEntries(Object.entries(call.metadata.getMap()).map(([key, value]) => [key, String(value)])),
    );
  }
}

interface UnaryCall {
  readonly request: Buffer;
  readonly metadata: Metadata;
  getPeer(): string;
  on(event: "cancelled", listener: () => void): unknown;
}

function play(script: Script, done: sendUnaryData<Buffer>): void {
  if ("hang" in script) return;
  if ("code" in script) fail(script, done);
  else done(null, Buffer.from("bytes" in script ? script.bytes : bytesOf(script.answer)));
}

function bytesOf(answer: MessageInitShape<typeof CurrentResponseSchema>): Uint8Array {
  return toBinary(CurrentResponseSchema, create(CurrentResponseSchema, answer));
}

function fail({ code, details = "", trailers = {} }: Refusal, done: sendUnaryData<Buffer>): void {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(trailers)) {
    metadata.set(key, typeof value === "string" ? value : Buffer.from(value));
  }
  done({ code, details, metadata });
}

/** Runs as a process of its own that can be killed and paused: `bun test/support/grpc-registry.ts <port> <tag>`. */
if (import.meta.main) {
  const [port, tag] = process.argv.slice(2);
  const registry = await GrpcRegistry.start({ port: Number(port) });
  const artifactUrl = `https://files.example/${tag}/app.tar.gz`;
  registry.current = { answer: { id: `answer for ${tag}`, tag: String(tag), artifactUrl } };
}
