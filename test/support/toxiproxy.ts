import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { ask, builtServer, lazily, type ServerProcess, startServer } from "./server-process.ts";
import { tempDir } from "./temp-dir.ts";

/** What it does to a connection. https://github.com/Shopify/toxiproxy/tree/v2.5.0#toxics */
export interface Toxics {
  /** Milliseconds. */
  readonly latency: { readonly latency: number; readonly jitter?: number };
  /** Kilobytes a second. */
  readonly bandwidth: { readonly rate: number };
  /** Milliseconds until a closed connection is seen to be closed. */
  readonly slow_close: { readonly delay: number };
  /** Nothing passes, and after so many milliseconds the connection is closed; 0: it stays. */
  readonly timeout: { readonly timeout: number };
  /** A TCP reset, so many milliseconds after the first data. */
  readonly reset_peer: { readonly timeout: number };
  /** Bytes a packet, and microseconds between them. */
  readonly slicer: {
    readonly average_size: number;
    readonly size_variation?: number;
    readonly delay?: number;
  };
  /** The connection is closed after so many bytes. */
  readonly limit_data: { readonly bytes: number };
}

/** Seen from the client: downstream is what it gets. */
export type Direction = "upstream" | "downstream";

export interface Proxy extends AsyncDisposable {
  /** `127.0.0.1:<port>`, where clients connect. */
  readonly address: string;
  readonly port: number;
  /**
   * Applies to open connections as well as to new ones, unless one of the kind in this direction is there already,
   * which it replaces. `toxicity` is the part of the connections, 0 to 1, that it befalls.
   */
  toxic<T extends keyof Toxics>(
    type: T,
    attributes: Toxics[T],
    direction?: Direction,
    toxicity?: number,
  ): Promise<void>;
  /** Removes all toxics. */
  clear(): Promise<void>;
  /** Ends open connections and refuses new ones. */
  disable(): Promise<void>;
  enable(): Promise<void>;
  /** Ends open connections; new ones are welcome. */
  cut(): Promise<void>;
}

/**
 * A TCP proxy that harms connections. `restart` keeps the proxies and loses their toxics. `toxic` and `clear` fail
 * when a client of the proxy leaves unread what waits for it: `cut` before.
 */
export interface Toxiproxy extends ServerProcess {
  /** `upstream` is `127.0.0.1:<port>`. */
  proxyTo(upstream: string): Promise<Proxy>;
}

interface Route {
  readonly name: string;
  readonly listen: string;
  readonly upstream: string;
  readonly enabled: boolean;
}

/** One for all tests of a process: each makes proxies of its own. */
export const sharedToxiproxy = lazily(() => startToxiproxy());

export async function startToxiproxy(): Promise<Toxiproxy> {
  const program = builtServer("toxiproxy-server");
  const directory = tempDir();
  const config = join(directory.path, "proxies.json");
  const routes = new Map<string, Route>();
  const server = await startServer(directory, {
    name: "toxiproxy",
    command(port) {
      writeFileSync(config, JSON.stringify([...routes.values()]));
      return [program, "-host", "127.0.0.1", "-port", `${port}`, "-config", config];
    },
    ready: async (port) => (await ask(`http://127.0.0.1:${port}/version`)).ok,
  });
  const call: Call = async (method, path, body) => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await ask(`http://127.0.0.1:${server.port}${path}`, init).catch((cause: unknown) => {
      throw new Error(`toxiproxy: ${method} ${path}: no answer; does a client of it read?`, { cause });
    });
    const text = await response.text();
    // What a restart took with it need not be deleted.
    if (response.ok || (method === "DELETE" && response.status === 404)) return;
    throw new Error(`toxiproxy: ${method} ${path}: ${response.status} ${text}`);
  };
  return Object.assign(server, {
    async proxyTo(upstream: string) {
      const port = freePort();
      const name = `proxy-${port}`;
      const route = { name, listen: `127.0.0.1:${port}`, upstream, enabled: true };
      await call("POST", "/proxies", route);
      routes.set(name, route);
      return proxy(call, route, () => routes.delete(name));
    },
  });
}

type Call = (method: string, path: string, body?: object) => Promise<void>;

function proxy(call: Call, { name, listen }: Route, forget: () => void): Proxy {
  const path = `/proxies/${name}`;
  const present = new Set<string>();
  const enabled = (value: boolean) => call("POST", path, { enabled: value });
  const remove = async (toxic: string) => {
    if (present.delete(toxic)) await call("DELETE", `${path}/toxics/${toxic}`);
  };
  return {
    address: listen,
    port: Number(listen.split(":")[1]),
    async toxic(type, attributes, direction = "downstream", toxicity = 1) {
      const toxic = `${type}-${direction}`;
      await remove(toxic);
      await call("POST", `${path}/toxics`, { name: toxic, type, stream: direction, toxicity, attributes });
      present.add(toxic);
    },
    async clear() {
      for (const toxic of [...present]) await remove(toxic);
    },
    disable: () => enabled(false),
    enable: () => enabled(true),
    async cut() {
      await enabled(false);
      await enabled(true);
    },
    async [Symbol.asyncDispose]() {
      forget();
      await call("DELETE", path);
    },
  };
}
