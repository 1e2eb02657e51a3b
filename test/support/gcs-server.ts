import { join } from "node:path";
import { makeCertificates } from "./engine-certificates.ts";
import { ask, builtServer, lazily, type ServerProcess, startServer } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";

export interface GcsOptions {
  /** With a certificate for 127.0.0.1 by an authority of its own. */
  readonly tls?: boolean;
  /** Objects in files, which survive `restart`; else they are in memory, and a restart loses buckets too. */
  readonly persistent?: boolean;
}

/**
 * fake-gcs-server: Google Cloud Storage's JSON API; asks for no credentials. It sends a resumable upload's later
 * requests to the host that the first one named, so a proxy before it sees them all.
 */
export interface GcsServer extends ServerProcess {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** `http://127.0.0.1:<port>`, or https. */
  readonly endpoint: string;
  /** What Google's libraries find it by. */
  readonly env: Readonly<Record<string, string>>;
  /** Path of the authority's certificate; null without TLS. */
  readonly ca: string | null;
  createBucket(name: string): Promise<void>;
}

/** One for all tests of a process: each makes buckets of its own. */
export const sharedGcs = lazily(() => startGcs());

export async function startGcs(options: GcsOptions = {}): Promise<GcsServer> {
  const program = builtServer("fake-gcs-server");
  const directory = tempDir();
  const { path } = directory;
  const certificates = options.tls === true ? makeCertificates(join(path, "authority")).server : null;
  const ca = certificates?.ca ?? null;
  const scheme = ca === null ? "http" : "https";
  const origin = (port: number) => `${scheme}://127.0.0.1:${port}`;
  const send = (endpoint: string, target: string, init: BunFetchRequestInit = {}) =>
    ask(`${endpoint}${target}`, { ...init, ...(ca === null ? {} : { tls: { ca: Bun.file(ca) } }) });
  const server = await startServer(directory, {
    name: "fake-gcs-server",
    command: (port) => [
      ...[program, "-scheme", scheme, "-host", "127.0.0.1", "-port", `${port}`, "-log-level", "warn"],
      ...["-external-url", origin(port)],
      ...["-backend", options.persistent === true ? "filesystem" : "memory"],
      ...["-filesystem-root", join(path, "data")],
      ...(certificates === null ? [] : ["-cert-location", certificates.cert]),
      ...(certificates === null ? [] : ["-private-key-location", certificates.key]),
    ],
    ready: async (port) => (await send(origin(port), "/storage/v1/b?project=test")).ok,
  });
  const endpoint = origin(server.port);
  return Object.assign(server, {
    host: `127.0.0.1:${server.port}`,
    endpoint,
    env: { STORAGE_EMULATOR_HOST: endpoint },
    ca,
    async createBucket(name: string) {
      const init = { method: "POST", body: JSON.stringify({ name }) };
      const response = await send(endpoint, "/storage/v1/b?project=test", init);
      if (response.ok) return;
      throw new Error(`fake-gcs-server: bucket ${name}: ${response.status} ${await response.text()}`);
    },
  });
}
