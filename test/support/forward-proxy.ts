import { createServer, connect as dial, type Server, type Socket } from "node:net";

interface ProxyOptions {
  /** `user:password` that it asks for (Proxy-Authorization, Basic). */
  readonly credentials?: string;
}

/**
 * An HTTP proxy (RFC 9110 §7.2): CONNECT for TLS, absolute URLs for plain HTTP. It sends everything to where it is
 * asked to, and counts. Plain requests are passed on head by head and then as bytes, so they keep their connection.
 */
export interface ForwardProxy extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`, with the credentials if it asks for some. */
  readonly url: string;
  readonly port: number;
  /** Connections of clients so far. */
  readonly connections: number;
  /** First lines of what clients asked for: `CONNECT host:443 HTTP/1.1`, `GET http://host/ HTTP/1.1`. */
  readonly requests: readonly string[];
  /** Breaks every connection that is open now. */
  cut(): void;
}

export async function startForwardProxy(options: ProxyOptions = {}): Promise<ForwardProxy> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    connections++;
    follow(client, sockets);
    serve(client, { requests, sockets, options });
  });
  const port = await listen(server);
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const login = options.credentials === undefined ? "" : `${options.credentials}@`;
  return {
    url: `http://${login}127.0.0.1:${port}`,
    port,
    get connections() {
      return connections;
    },
    requests,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((done) => server.close(done));
    },
  };
}

interface Shared {
  readonly requests: string[];
  readonly sockets: Set<Socket>;
  readonly options: ProxyOptions;
}

const headEnd = "\r\n\r\n";

/** Reads heads until one asks for a tunnel; a plain request's body is as long as Content-Length says. */
function serve(client: Socket, shared: Shared): void {
  const upstream = plainUpstream(client, shared);
  let held: Buffer = Buffer.alloc(0);
  let bodyLeft = 0;
  client.on("data", function onData(chunk: Buffer) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length > 0) {
      if (bodyLeft > 0) {
        const part = held.subarray(0, bodyLeft);
        held = held.subarray(part.length);
        bodyLeft -= part.length;
        upstream.pass(part);
        continue;
      }
      const end = held.indexOf(headEnd);
      if (end < 0) return;
      const head = held.subarray(0, end).toString("latin1");
      held = held.subarray(end + headEnd.length);
      shared.requests.push(head.split("\r\n")[0] ?? "");
      if (!isWelcome(head, shared.options)) {
        client.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      const request = parseHead(head);
      if (request.method === "CONNECT") {
        client.off("data", onData);
        return tunnel(client, open(request.to, client, shared), held);
      }
      bodyLeft = request.bodyBytes;
      upstream.choose(request.to);
      upstream.pass(Buffer.from(request.head + headEnd, "latin1"));
    }
  });
}

/** The connection that a client's plain requests go on by, while they all go to the same place. */
function plainUpstream(client: Socket, shared: Shared) {
  let chosen: { readonly to: string; readonly socket: Socket } | null = null;
  return {
    choose(to: string): void {
      if (chosen?.to === to && !chosen.socket.destroyed) return;
      chosen = { to, socket: open(to, client, shared) };
      chosen.socket.pipe(client, { end: false });
    },
    pass(bytes: Buffer): void {
      if (chosen === null || chosen.socket.write(bytes)) return;
      client.pause();
      chosen.socket.once("drain", () => client.resume());
    },
  };
}

function tunnel(client: Socket, upstream: Socket, early: Buffer): void {
  upstream.once("connect", () => {
    client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
    if (early.length > 0) upstream.write(early);
    client.pipe(upstream).pipe(client);
  });
}

/** A target that can't be reached ends the client's connection, too. */
function open(to: string, client: Socket, { sockets }: Shared): Socket {
  const { hostname, port } = new URL(`http://${to}`);
  const upstream = dial(Number(port || "80"), hostname.replace(/^\[|\]$/g, ""));
  follow(upstream, sockets);
  upstream.on("close", () => client.destroy());
  client.on("close", () => upstream.destroy());
  return upstream;
}

function parseHead(head: string) {
  const [first = "", ...headers] = head.split("\r\n");
  const [method = "", target = "", version = ""] = first.split(" ");
  if (method === "CONNECT") return { method, to: target, head, bodyBytes: 0 };
  const url = new URL(target);
  const kept = headers.filter((line) => !/^proxy-/i.test(line));
  const length = headers.find((line) => /^content-length:/i.test(line))?.replace(/^[^:]*:/, "");
  const path = `${url.pathname}${url.search}`;
  return {
    method,
    to: url.host,
    head: [`${method} ${path} ${version}`, ...kept].join("\r\n"),
    bodyBytes: Number(length ?? 0),
  };
}

function isWelcome(head: string, { credentials }: ProxyOptions): boolean {
  if (credentials === undefined) return true;
  const given = /^proxy-authorization: basic (\S+)/im.exec(head)?.[1] ?? "";
  return Buffer.from(given, "base64").toString() === credentials;
}

function follow(socket: Socket, sockets: Set<Socket>): void {
  sockets.add(socket);
  // Broken connections are what a proxy sees all day; "close" follows.
  socket.on("error", () => undefined);
  socket.on("close", () => sockets.delete(socket));
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
