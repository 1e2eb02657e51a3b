import { type ConsulServer, startConsul } from "./consul-server.ts";
import { type GcsServer, startGcs } from "./gcs-server.ts";
import { type Minio, startMinio } from "./minio.ts";
import { type RedisOptions, startRedis } from "./redis-server.ts";
import type { ServerProcess } from "./server-process.ts";

/** A server that keeps a value, whichever it is. */
export interface Keeper extends AsyncDisposable {
  readonly server: ServerProcess;
  put(value: string): Promise<void>;
  get(): Promise<string>;
}

/** Every server that keeps what it was given over a restart. */
export const keepers: Readonly<Record<string, () => Promise<Keeper>>> = {
  minio: async () => inMinio(await startMinio()),
  "minio with TLS in a region": async () => inMinio(await startMinio({ tls: true, region: "eu-central-1" })),
  "fake-gcs-server": async () => inGcs(await startGcs({ persistent: true })),
  "fake-gcs-server with TLS": async () => inGcs(await startGcs({ persistent: true, tls: true })),
  "redis-server": async () => inRedis({}),
  "redis-server with a password": async () => inRedis({ password: 'a "quoted" one' }),
  "redis-server with TLS": async () => inRedis({ tls: true }),
  consul: async () => inConsul(await startConsul({ persistent: true })),
};

async function inMinio(server: Minio): Promise<Keeper> {
  await server.createBucket("bucket");
  const { accessKeyId, secretAccessKey } = server.credentials;
  const client = new Bun.S3Client({
    accessKeyId,
    secretAccessKey,
    endpoint: server.endpoint,
    region: server.region,
  });
  const url = () => client.presign("key", { bucket: "bucket", method: "PUT" });
  return overHttp(server, {
    put: url,
    get: () => client.presign("key", { bucket: "bucket" }),
    ca: server.ca,
    method: "PUT",
  });
}

async function inGcs(server: GcsServer): Promise<Keeper> {
  await server.createBucket("bucket");
  return overHttp(server, {
    put: () => `${server.endpoint}/upload/storage/v1/b/bucket/o?uploadType=media&name=key`,
    get: () => `${server.endpoint}/storage/v1/b/bucket/o/key?alt=media`,
    ca: server.ca,
    method: "POST",
  });
}

function inConsul(server: ConsulServer): Keeper {
  const url = () => `${server.endpoint}/v1/kv/key?raw`;
  return overHttp(server, { put: url, get: url, ca: server.ca, method: "PUT" });
}

interface Web {
  put(): string;
  get(): string;
  readonly method: string;
  readonly ca: string | null;
}

function overHttp(server: ServerProcess, web: Web): Keeper {
  const tls = web.ca === null ? {} : { tls: { ca: Bun.file(web.ca) } };
  const text = async (url: string, init: BunFetchRequestInit) => {
    const response = await fetch(url, { ...init, ...tls });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return response.text();
  };
  return {
    server,
    async put(body) {
      await text(web.put(), { method: web.method, body });
    },
    get: () => text(web.get(), {}),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function inRedis(options: RedisOptions): Promise<Keeper> {
  const server = await startRedis(options);
  return {
    server,
    async put(value) {
      await server.command("SET", "foo", value);
    },
    get: () => server.command("GET", "foo"),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
