import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { decodeExport, type ReceivedExport, type ReceivedMetric } from "./otlp-metrics.ts";
import { SecretWatch } from "./secrets.ts";

const path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/** What the collector does with an export. */
export type CollectorMood = "takes" | "hangs" | { readonly refuses: number; readonly details: string };

export interface OtlpReceiverOptions {
  /** PEM; plain without. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** A free one unless given. */
  readonly port?: number;
  /** `127.0.0.1` unless given. */
  readonly address?: string;
}

/** A collector in this process: OTLP over gRPC, by @grpc/grpc-js. */
export class OtlpReceiver implements AsyncDisposable {
  readonly exports: ReceivedExport[] = [];
  /** Of every call. */
  readonly headers: Readonly<Record<string, string>>[] = [];
  mood: CollectorMood = "takes";
  /** Calls that came in, whatever became of them. */
  calls = 0;
  readonly #watch = new SecretWatch();
  readonly #server = new Server();
  #port = 0;

  static async start(options: OtlpReceiverOptions = {}): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver();
    await receiver.#listen(options);
    return receiver;
  }

  get port(): number {
    return this.#port;
  }

  /** As the last export had it; undefined: it was not in it. */
  metric(name: string): ReceivedMetric | undefined {
    return this.exports.at(-1)?.metrics.find((metric) => metric.name === name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    this.#watch.refuse();
  }

  async #listen({ tls, port = 0, address = "127.0.0.1" }: OtlpReceiverOptions): Promise<void> {
    const same = (bytes: Buffer) => bytes;
    const method = {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    } as const;
    this.#server.addService(
      { export: method },
      {
        export: (
          call: { request: Buffer; metadata: { getMap(): Record<string, string | Buffer> } },
          done: sendUnaryData<Buffer>,
        ) => {
          this.calls += 1;
          const map = Object.entries(call.metadata.getMap());
          const headers = Object.fromEntries(map.map(([name, value]) => [name, value.toString()]));
          this.headers.push(headers);
          this.#watch.see(call.request.toString("latin1"), headers);
          if (this.mood === "hangs") return;
          if (this.mood !== "takes") {
            done({ code: this.mood.refuses, details: this.mood.details });
            return;
          }
          this.exports.push(decodeExport(call.request));
          done(null, Buffer.alloc(0));
        },
      },
    );
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(null, [
            { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) },
          ]);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.bindAsync(`${address}:${port}`, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
    this.#port = await promise;
  }
}
