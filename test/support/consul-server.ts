import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificates } from "./engine-certificates.ts";
import { freePort } from "./free-port.ts";
import { ask, builtServer, lazily, type ServerProcess, startServer } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";

export interface ConsulOptions {
  /** Refuses everything to those without a token; `token` may do everything. */
  readonly acl?: boolean;
  /** HTTPS alone, with a certificate for 127.0.0.1 by an authority of its own; asks clients for none. */
  readonly tls?: boolean;
  /** `dc1` unless given. */
  readonly datacenter?: string;
  /** What was written survives `restart`; else it is in memory. Takes some seconds longer to start. */
  readonly persistent?: boolean;
}

/** A Consul server agent that is its own cluster. */
export interface ConsulServer extends ServerProcess {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  /** `http://127.0.0.1:<port>`, or https. */
  readonly endpoint: string;
  readonly datacenter: string;
  /** May do everything; null where none is asked for. */
  readonly token: string | null;
  /** Path of the authority's certificate; null without TLS. */
  readonly ca: string | null;
  /** A new token with rules such as `key_prefix "dewy/" { policy = "read" }`. Only with `acl`. */
  createToken(rules: string): Promise<string>;
}

const rootToken = "5d7e5b6c-0d5e-4c52-9f1a-2d3f0a9c8b11";

/** One for all tests of a process: each has a prefix of its own. */
export const sharedConsul = lazily(() => startConsul());

export async function startConsul(options: ConsulOptions = {}): Promise<ConsulServer> {
  const program = builtServer("consul");
  const directory = tempDir();
  const { path } = directory;
  const certificates = options.tls === true ? makeCertificates(join(path, "authority")).server : null;
  const ca = certificates?.ca ?? null;
  const tls = ca === null ? {} : { tls: { ca: Bun.file(ca) } };
  const origin = (port: number) => `${ca === null ? "http" : "https"}://127.0.0.1:${port}`;
  const token = options.acl === true ? rootToken : null;
  const send = (target: string, init: { readonly method: string; readonly body?: string }) =>
    ask(target, { ...init, ...tls, headers: token === null ? {} : { "X-Consul-Token": token } });
  const config = join(path, "config.json");
  const others = otherPorts();
  const server = await startServer(directory, {
    name: "consul",
    command(port) {
      const ports = { ...others, ...(ca === null ? { http: port, https: -1 } : { http: -1, https: port }) };
      writeFileSync(config, JSON.stringify({ ...settings(path, options), ports }));
      return [program, "agent", ...(options.persistent === true ? [] : ["-dev"]), "-config-file", config];
    },
    // A write, and so not before there is a leader.
    ready: async (port) => (await send(`${origin(port)}/v1/kv/ready`, { method: "DELETE" })).ok,
  });
  const endpoint = origin(server.port);
  const put = async (target: string, body: object): Promise<string> => {
    const response = await send(`${endpoint}${target}`, { method: "PUT", body: JSON.stringify(body) });
    if (response.ok) return response.text();
    throw new Error(`consul: ${target}: ${response.status} ${await response.text()}`);
  };
  return Object.assign(server, {
    host: `127.0.0.1:${server.port}`,
    endpoint,
    datacenter: options.datacenter ?? "dc1",
    token,
    ca,
    createToken: (rules: string) => createToken(put, rules),
  });
}

/** It can't do without two of them. */
function otherPorts(): Readonly<Record<string, number>> {
  return { server: freePort(), serf_lan: freePort(), serf_wan: -1, dns: -1, grpc: -1, grpc_tls: -1 };
}

async function createToken(
  put: (target: string, body: object) => Promise<string>,
  rules: string,
): Promise<string> {
  const name = `test-${crypto.randomUUID()}`;
  await put("/v1/acl/policy", { Name: name, Rules: rules });
  const answer = await put("/v1/acl/token", { Policies: [{ Name: name }] });
  return /"SecretID": *"([^"]+)"/.exec(answer)?.[1] ?? "";
}

/** https://developer.hashicorp.com/consul/docs/agent/config/config-files */
function settings(path: string, options: ConsulOptions): object {
  const cluster = { server: true, bootstrap_expect: 1, data_dir: join(path, "data") };
  const certificate = {
    cert_file: join(path, "authority/server/cert.pem"),
    key_file: join(path, "authority/server/key.pem"),
  };
  return {
    bind_addr: "127.0.0.1",
    client_addr: "127.0.0.1",
    datacenter: options.datacenter ?? "dc1",
    log_level: "warn",
    disable_update_check: true,
    performance: { raft_multiplier: 1 },
    ...(options.persistent === true ? cluster : {}),
    ...(options.tls === true ? { tls: { https: certificate } } : {}),
    ...(options.acl === true
      ? { acl: { enabled: true, default_policy: "deny", tokens: { initial_management: rootToken } } }
      : {}),
  };
}
