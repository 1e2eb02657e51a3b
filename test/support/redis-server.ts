import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates } from "./engine-certificates.ts";
import { freePort } from "./free-port.ts";
import { lazily, type ServerProcess, startServer } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";

export interface RedisOptions {
  /** Of the user `default`. */
  readonly password?: string;
  /** One more user with rules such as `~dewy:* +@all`. */
  readonly user?: { readonly name: string; readonly password: string; readonly rules: string };
  /** TLS alone, with a certificate for 127.0.0.1 by an authority of its own; asks clients for none. */
  readonly tls?: boolean;
  /**
   * A node of a cluster. `half`: it has the upper half of the slots (`foo` is in it), and refuses others (`k`) with
   * MOVED to an address where nobody listens. `down`: no slot belongs to anybody, all is refused with CLUSTERDOWN.
   */
  readonly cluster?: "half" | "down";
  /** More lines of its configuration, such as `maxmemory 10mb`. */
  readonly settings?: readonly string[];
}

/** Debian's redis-server with 16 databases; what was written is there again after `restart`. */
export interface RedisServer extends ServerProcess {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** `redis://127.0.0.1:<port>`, or rediss; without user and password. */
  readonly url: string;
  /** With the password of the user `default`, if it has one. */
  readonly authorizedUrl: string;
  /** Path of the authority's certificate; null without TLS. */
  readonly ca: string | null;
  /** One command by redis-cli as `default`; its output, trimmed. */
  command(...words: readonly string[]): Promise<string>;
}

const program = "redis-server";

/** One for all tests of a process: each has keys of its own. */
export const sharedRedis = lazily(() => startRedis());

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  if (Bun.which(program) === null) {
    throw new Error(`${program} is not installed: apt-get install -y redis-server`);
  }
  const directory = tempDir();
  const { path } = directory;
  const certificates = options.tls === true ? makeCertificates(join(path, "authority")).server : null;
  const ca = certificates?.ca ?? null;
  const settings = [...common(path), ...access(options), ...(options.settings ?? [])];
  const config = join(path, "redis.conf");
  const cli = async (port: number, words: readonly string[]) => run(port, ca, options.password, words);
  const server = await startServer(directory, {
    name: program,
    command: (port) => {
      const { cert, key } = certificates ?? { cert: "", key: "" };
      const plain = [`port ${port}`];
      const tls = [`tls-port ${port}`, "port 0", `tls-cert-file ${cert}`, `tls-key-file ${key}`];
      const encrypted = [...tls, `tls-ca-cert-file ${ca}`, "tls-auth-clients no"];
      writeFileSync(config, [...settings, ...(ca === null ? plain : encrypted), ""].join("\n"));
      if (options.cluster === "half") writeFileSync(join(path, "nodes.conf"), halfOfCluster(port));
      return [program, config];
    },
    async ready(port) {
      if ((await cli(port, ["PING"])) !== "PONG") return false;
      return (
        options.cluster !== "half" || (await cli(port, ["CLUSTER", "INFO"])).includes("cluster_state:ok")
      );
    },
  });
  const host = `127.0.0.1:${server.port}`;
  const scheme = ca === null ? "redis" : "rediss";
  const login = options.password === undefined ? "" : `:${encodeURIComponent(options.password)}@`;
  return Object.assign(server, {
    host,
    url: `${scheme}://${host}`,
    authorizedUrl: `${scheme}://${login}${host}`,
    ca,
    command: (...words: readonly string[]) => cli(server.port, words),
  });
}

/** The log is written before a command is answered, so not even SIGKILL loses an answered one. */
function common(path: string): string[] {
  return ["bind 127.0.0.1", `dir ${path}`, 'save ""', "appendonly yes", "appendfsync no"];
}

function access({ password, user, cluster }: RedisOptions): string[] {
  return [
    ...(password === undefined ? [] : [`requirepass ${JSON.stringify(password)}`]),
    ...(user === undefined
      ? []
      : [`user ${user.name} on ${JSON.stringify(`>${user.password}`)} ${user.rules}`]),
    // By default the nodes' own port is 10,000 above the other one: an ephemeral one, which may be taken.
    ...(cluster === undefined ? [] : ["cluster-enabled yes", `cluster-port ${freePort()}`]),
    // Long enough that the other node, which isn't there, is not missed.
    ...(cluster === "half" ? ["cluster-require-full-coverage no", "cluster-node-timeout 3600000"] : []),
  ];
}

/** What this node would have written, had it met the other one. */
function halfOfCluster(port: number): string {
  const nodes = [
    `${"1".repeat(40)} 127.0.0.1:${port}@0 myself,master - 0 0 1 connected 8192-16383`,
    `${"2".repeat(40)} 127.0.0.1:1@2 master - 0 0 2 connected 0-8191`,
  ];
  return [...nodes, "vars currentEpoch 2 lastVoteEpoch 0", ""].join("\n");
}

/** Throws with what Redis said where that is an error. */
async function run(
  port: number,
  ca: string | null,
  password: string | undefined,
  words: readonly string[],
): Promise<string> {
  const tls = ca === null ? [] : ["--tls", "--cacert", ca];
  const child = Bun.spawn(["redis-cli", "-h", "127.0.0.1", "-p", `${port}`, ...tls, "-e", ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...(password === undefined ? {} : { REDISCLI_AUTH: password }) },
    timeout: 40_000,
  });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  const [out = "", err = ""] = await Promise.all(texts);
  if ((await child.exited) === 0) return out.trim();
  throw new Error(`redis-cli ${words.join(" ")}: ${`${err}${out}`.trim()}`);
}
