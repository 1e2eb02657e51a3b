import { startConsul } from "./consul-server.ts";
import { startGcs } from "./gcs-server.ts";
import { startMinio } from "./minio.ts";
import { startRedis } from "./redis-server.ts";
import type { ServerProcess } from "./server-process.ts";

/** A real server, and how dewy is pointed to it. Its content survives `restart`. */
export interface CloudServer extends AsyncDisposable {
  readonly server: ServerProcess;
  /** Of a cache, or of a bucket as registry, through `host` where that is given (a proxy before the server). */
  url(path: string, host?: string): string;
  /** What dewy's environment needs; `host` as above. */
  env(host?: string): Readonly<Record<string, string>>;
}

/** What a person puts there and finds there, without dewy's own clients. Keys are whole. */
export interface Bucket {
  upload(key: string, body: string | Uint8Array): Promise<void>;
  /** In order. */
  keys(prefix: string): Promise<string[]>;
  text(key: string): Promise<string>;
  remove(key: string): Promise<void>;
}

const bucket = "dewy-test";

export const bucketServers: Readonly<Record<"s3" | "gs", () => Promise<CloudServer & Bucket>>> = {
  async s3() {
    const server = await startMinio();
    await server.createBucket(bucket);
    const client = new Bun.S3Client({ ...server.credentials, endpoint: server.endpoint, bucket });
    return {
      server,
      url: (path, host = server.host) => `s3://${server.region}/${bucket}/${path}?endpoint=http://${host}`,
      env: () => server.env,
      upload: async (key, body) => void (await client.write(key, body)),
      keys: async (prefix) => ((await client.list({ prefix })).contents ?? []).map(({ key }) => key).sort(),
      text: (key) => client.file(key).text(),
      remove: (key) => client.delete(key),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async gs() {
    const server = await startGcs({ persistent: true });
    await server.createBucket(bucket);
    const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
      const response = await fetch(`${server.endpoint}${path}`, init);
      if (response.ok) return response;
      throw new Error(`${path}: ${response.status} ${await response.text()}`);
    };
    const objects = `/storage/v1/b/${bucket}/o`;
    return {
      server,
      url: (path) => `gs://${bucket}/${path}`,
      env: (host = server.host) => ({ STORAGE_EMULATOR_HOST: `http://${host}` }),
      async upload(key, body) {
        const query = `uploadType=media&name=${encodeURIComponent(key)}`;
        await ask(`/upload${objects}?${query}`, { method: "POST", body });
      },
      async keys(prefix) {
        const { items = [] } = (await (
          await ask(`${objects}?prefix=${encodeURIComponent(prefix)}`)
        ).json()) as {
          items?: { name: string }[];
        };
        return items.map(({ name }) => name).sort();
      },
      text: async (key) => (await ask(`${objects}/${encodeURIComponent(key)}?alt=media`)).text(),
      remove: async (key) => void (await ask(`${objects}/${encodeURIComponent(key)}`, { method: "DELETE" })),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

/** The services that hosts may share a cache on, by the scheme of their URLs. */
export const cloudServers: Readonly<Record<"s3" | "gs" | "redis" | "consul", () => Promise<CloudServer>>> = {
  ...bucketServers,
  async redis() {
    const server = await startRedis();
    return {
      server,
      url: (path, host = server.host) => `redis://${host}?prefix=${path}`,
      env: () => ({}),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
  async consul() {
    const server = await startConsul({ persistent: true });
    return {
      server,
      url: (path, host = server.host) => `consul://${host}/${path}`,
      env: () => ({}),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};
