import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type OciTokenServer, startTokenServer, type TokenServerOptions } from "./oci-token-server.ts";
import { ask, type ServerProcess, startServer } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";

export interface OciRegistryOptions {
  /** Basic credentials that it asks for. */
  readonly htpasswd?: { readonly username: string; readonly password: string };
  /** Bearer tokens from a token server of its own. */
  readonly token?: TokenServerOptions;
}

/** Debian's `docker-registry` (distribution 2.8) on a loopback port, with its storage in a temporary directory. */
export interface OciRegistry extends ServerProcess {
  /** `127.0.0.1:<port>`, as it stands in image names. */
  readonly host: string;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  readonly tokens: OciTokenServer | null;
  /** The Authorization header with which these actions (`pull,push`) pass; null where none is asked for. */
  authorization(repository: string, actions: string): string | null;
  /** Loses a blob, as a disk does. */
  forgetBlob(digest: string): void;
}

const program = "docker-registry";

export async function startOciRegistry(options: OciRegistryOptions = {}): Promise<OciRegistry> {
  if (Bun.which(program) === null) {
    throw new Error(`${program} is not installed: apt-get install -y docker-registry`);
  }
  const dir = tempDir();
  const tokens = options.token === undefined ? null : await startTokenServer(dir.path, options.token);
  const auth = tokens === null ? await htpasswdAuth(dir.path, options) : { auth: tokens.registryConfig };
  const config = join(dir.path, "config.yml");
  const server = await startServer(dir, {
    name: program,
    command(port) {
      writeFileSync(config, settings(dir.path, port, auth));
      return [program, "serve", config];
    },
    ready: async (port) => [200, 401].includes((await ask(`http://127.0.0.1:${port}/v2/`)).status),
  });
  const disposeServer = server[Symbol.asyncDispose];
  return Object.assign(server, {
    host: `127.0.0.1:${server.port}`,
    origin: `http://127.0.0.1:${server.port}`,
    tokens,
    authorization(repository: string, actions: string) {
      if (tokens !== null) return `Bearer ${tokens.mint([`repository:${repository}:${actions}`])}`;
      return options.htpasswd === undefined ? null : basic(options.htpasswd);
    },
    forgetBlob(digest: string) {
      const hex = digest.replace("sha256:", "");
      const blobs = join(dir.path, "data/docker/registry/v2/blobs/sha256");
      rmSync(join(blobs, hex.slice(0, 2), hex), { recursive: true });
    },
    async [Symbol.asyncDispose]() {
      await disposeServer();
      await tokens?.[Symbol.asyncDispose]();
    },
  });
}

export function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

async function htpasswdAuth(directory: string, { htpasswd }: OciRegistryOptions): Promise<object> {
  if (htpasswd === undefined) return {};
  const path = join(directory, "htpasswd");
  const hash = await Bun.password.hash(htpasswd.password, { algorithm: "bcrypt", cost: 4 });
  writeFileSync(path, `${htpasswd.username}:${hash}\n`);
  return { auth: { htpasswd: { realm: "test registry", path } } };
}

/** JSON is YAML. */
function settings(directory: string, port: number, auth: object): string {
  const root = join(directory, "data");
  mkdirSync(root, { recursive: true });
  return JSON.stringify({
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: root }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: "test" },
    ...auth,
  });
}
