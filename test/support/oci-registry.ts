import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type OciTokenServer, startTokenServer, type TokenServerOptions } from "./oci-token-server.ts";
import { tempDir } from "./temp-dir.ts";

export interface OciRegistryOptions {
  /** Basic credentials that it asks for. */
  readonly htpasswd?: { readonly username: string; readonly password: string };
  /** Bearer tokens from a token server of its own. */
  readonly token?: TokenServerOptions;
  /** A free one unless given. */
  readonly port?: number;
}

/** Debian's `docker-registry` (distribution 2.8) on a loopback port, with its storage in a temporary directory. */
export interface OciRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>`, as it stands in image names. */
  readonly host: string;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  readonly tokens: OciTokenServer | null;
  /** The Authorization header with which these actions (`pull,push`) pass; null where none is asked for. */
  authorization(repository: string, actions: string): string | null;
  /** Loses a blob, as a disk does. */
  forgetBlob(digest: string): void;
  /** Stops answering; its content stays. */
  stop(): Promise<void>;
  /** Answers again, at the same port. */
  restart(): Promise<void>;
}

const program = "docker-registry";

export async function startOciRegistry(options: OciRegistryOptions = {}): Promise<OciRegistry> {
  if (Bun.which(program) === null) {
    throw new Error(`${program} is not installed: apt-get install -y docker-registry`);
  }
  const dir = tempDir();
  const tokens = options.token === undefined ? null : await startTokenServer(dir.path, options.token);
  const auth = tokens === null ? await htpasswdAuth(dir.path, options) : { auth: tokens.registryConfig };
  let running = await serve(dir.path, options.port ?? 0, auth);
  const { port } = running;
  const stop = async () => {
    running.process.kill("SIGKILL");
    await running.process.exited;
  };
  return {
    host: `127.0.0.1:${port}`,
    origin: `http://127.0.0.1:${port}`,
    tokens,
    authorization(repository, actions) {
      if (tokens !== null) return `Bearer ${tokens.mint([`repository:${repository}:${actions}`])}`;
      return options.htpasswd === undefined ? null : basic(options.htpasswd);
    },
    forgetBlob(digest) {
      const hex = digest.replace("sha256:", "");
      const blobs = join(dir.path, "data/docker/registry/v2/blobs/sha256");
      rmSync(join(blobs, hex.slice(0, 2), hex), { recursive: true });
    },
    stop,
    async restart() {
      await stop();
      running = await serve(dir.path, port, auth);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await tokens?.[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
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

async function serve(directory: string, port: number, auth: object) {
  const root = join(directory, "data");
  mkdirSync(root, { recursive: true });
  const config = join(directory, "config.yml");
  // JSON is YAML.
  const settings = {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: root }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: "test" },
    ...auth,
  };
  writeFileSync(config, JSON.stringify(settings));
  // A test run that is killed takes it along.
  const process = Bun.spawn(["setpriv", "--pdeathsig", "KILL", program, "serve", config], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  return { process, port: await listeningPort(process) };
}

/** It says where it listens, so the port need not be guessed. Goes on reading, lest the pipe fill. */
async function listeningPort(process: Bun.Subprocess<"ignore", "ignore", "pipe">): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  void (async () => {
    let said = "";
    const decoder = new TextDecoder();
    for await (const chunk of process.stderr) {
      if (said.length < 64 * 1024) said += decoder.decode(chunk, { stream: true });
      const port = /listening on 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port !== undefined) resolve(Number(port));
    }
    reject(new Error(`${program} ended: ${said.slice(-2000)}`));
  })();
  return promise;
}
