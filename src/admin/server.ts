import { DewyError, messageOf, systemCode } from "../errors.ts";
import { records } from "../events.ts";
import type { Log } from "../log.ts";
import { abortable, type Call, withDeadline } from "../util/async.ts";
import {
  adminPorts,
  type ContainerView,
  containersAnswer,
  type StatusView,
  statusAnswer,
} from "./protocol.ts";

const address = "127.0.0.1";
const metricsDeadlineMs = 5_000;
const maxRequestBytes = 1024;
/** Bun counts in steps of four seconds. */
const idleSeconds = 8;
const metricsPath = "/metrics";
const noMetricsHere = "not found: start the agent with --telemetry to have metrics here";

/** Where the answers come from. The getters look at memory only: no request may reach an engine or a disk. */
export interface AdminSource {
  containers(): readonly ContainerView[];
  status(): StatusView;
  /** `GET /metrics`; absent: there is no telemetry, and the path is not found. */
  readonly metrics?: (c: Call) => Promise<MetricsPage>;
}

export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

export interface AdminOptions {
  /** The first one that is tried; 0: any that is free. */
  readonly port: number;
  /** How many ports, counting up. */
  readonly tries: number;
}

/**
 * The read-only admin API, on this host's loopback address. A web page in a browser of this host must not get at
 * it: neither directly (any `Origin` is refused, nothing is said about CORS) nor by a name of its own that
 * resolves to 127.0.0.1 (the `Host` must be ours).
 */
export class AdminServer implements AsyncDisposable {
  readonly #server: Bun.Server<undefined>;

  private constructor(server: Bun.Server<undefined>) {
    this.#server = server;
  }

  /** `port-in-use` when all the ports are taken, `config-invalid` when this user may not listen there. */
  static open(options: AdminOptions, source: AdminSource, log: Log): AdminServer {
    const ports = options.port === 0 ? [0] : adminPorts(options.port, options.tries);
    for (const port of ports) {
      const server = listen(port, source, log);
      if (server === null) continue;
      const opened = new AdminServer(server);
      log.info(records.adminStarted, { address: opened.origin });
      return opened;
    }
    const tried = ports.length === 1 ? `port ${ports[0]} is` : `ports ${ports[0]}-${ports.at(-1)} are all`;
    throw new DewyError("port-in-use", `admin API: ${tried} in use`, {
      hint: "give dewy another --admin-port",
    });
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  /** `http://127.0.0.1:<port>` */
  get origin(): string {
    return `http://${address}:${this.port}`;
  }

  /** Cuts what is under way: an answer takes no time, and a reader that dawdles must not delay the shutdown. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

/**
 * The admin API where it can be had: an app must not stay down because other programs sit on these ports, so that
 * is one WARN and null. What the operator wrote wrongly is still thrown.
 */
export function openAdminApi(options: AdminOptions, source: AdminSource, log: Log): AdminServer | null {
  try {
    return AdminServer.open(options, source, log);
  } catch (error) {
    if (!(error instanceof DewyError) || error.code !== "port-in-use") throw error;
    log.warn("Admin API server unavailable", { error: error.message, hint: error.hint });
    return null;
  }
}

/** null: the port is taken. */
function listen(port: number, source: AdminSource, log: Log): Bun.Server<undefined> | null {
  try {
    return Bun.serve({
      hostname: address,
      port,
      // Without this a second agent binds the same port, and the kernel deals the requests out at random.
      reusePort: false,
      // Else Bun's error page, with source code, is what a failure looks like.
      development: false,
      idleTimeout: idleSeconds,
      maxRequestBodySize: maxRequestBytes,
      fetch: (request, server) => answer(request, server.port ?? 0, source, log),
    });
  } catch (error) {
    const code = systemCode(error);
    if (code === "EADDRINUSE") {
      log.debug("Admin API port in use, trying next", { port });
      return null;
    }
    const denied = code === "EACCES" || code === "ERR_OUT_OF_RANGE";
    throw new DewyError(denied ? "config-invalid" : "internal", `admin API: ${messageOf(error)}`, {
      cause: error,
      hint: denied ? "give dewy another --admin-port, from 1024 to 65535" : undefined,
    });
  }
}

async function answer(request: Request, port: number, source: AdminSource, log: Log): Promise<Response> {
  if (!isOurHost(request.headers.get("host"), port)) {
    log.debug("Admin API request refused", { reason: "host" });
    return json(403, { error: `ask for http://${address}:${port}: this Host is refused` });
  }
  if (request.headers.has("origin")) {
    log.debug("Admin API request refused", { reason: "origin" });
    return json(403, { error: "web pages are refused" });
  }
  const path = URL.parse(request.url)?.pathname ?? "";
  const route = routeOf(path, source, request.signal);
  if (route === null) return json(404, { error: path === metricsPath ? noMetricsHere : "not found" });
  if (request.method !== "GET" && request.method !== "HEAD") {
    return json(405, { error: "method not allowed" }, { Allow: "GET, HEAD" });
  }
  try {
    return await route();
  } catch (error) {
    // A reader that went away is no failure of ours.
    if (!request.signal.aborted) log.warn("Admin API request failed", { error: messageOf(error) });
    return json(500, { error: "internal error; see the agent's log" });
  }
}

/** DNS rebinding: a page's own name may resolve to 127.0.0.1, but its requests still say that name. */
function isOurHost(host: string | null, port: number): boolean {
  const names = [address, "localhost", "[::1]"];
  const allowed = names.flatMap((name) => (port === 80 ? [name, `${name}:80`] : [`${name}:${port}`]));
  return host !== null && allowed.includes(host.toLowerCase());
}

function routeOf(
  path: string,
  source: AdminSource,
  signal: AbortSignal,
): (() => Response | Promise<Response>) | null {
  if (path === "/api/containers") return () => json(200, containersAnswer(source.containers()));
  if (path === "/api/status") return () => json(200, statusAnswer(source.status()));
  const { metrics } = source;
  if (path !== metricsPath || metrics === undefined) return null;
  return async () => {
    const c = withDeadline({ signal }, metricsDeadlineMs);
    const page = await abortable(metrics(c), c.signal);
    return new Response(page.body, { headers: { ...fixedHeaders, "Content-Type": page.contentType } });
  };
}

const fixedHeaders = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  // Pages must not embed it either, as a script or an image.
  "Cross-Origin-Resource-Policy": "same-origin",
};

function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: { ...fixedHeaders, "Content-Type": "application/json", ...headers },
  });
}
