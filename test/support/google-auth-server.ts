import { generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { tempDir } from "./temp-dir.ts";

export interface GoogleReply {
  readonly status: number;
  readonly json?: unknown;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface GoogleRequest {
  readonly host: string;
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

type Answer = (request: GoogleRequest) => GoogleReply | null;

/**
 * Google's hosts on this machine: a TLS server with a private authority's certificate for their names, and an HTTP
 * proxy that leads every CONNECT to it. `answer` says what a request gets; null passes it on to `storage`.
 */
export interface GoogleHosts extends AsyncDisposable {
  /** For HTTPS_PROXY. */
  readonly proxyUrl: string;
  /** `https://127.0.0.1:<port>` of the TLS server itself. */
  readonly origin: string;
  /** The authority's certificate, for SSL_CERT_FILE. */
  readonly ca: string;
  /** CONNECT targets so far, and the requests within. */
  readonly tunnels: readonly string[];
  readonly requests: readonly GoogleRequest[];
  answer: Answer;
  /** A service account's key file with a fresh key; `changes` replace fields. */
  keyFile(changes?: Readonly<Record<string, unknown>>): string;
  /** Any file with such content. */
  file(content: string): string;
}

export async function startGoogleHosts(storage: string): Promise<GoogleHosts> {
  const dir = tempDir();
  const certificate = makeCertificate(dir.path);
  const requests: GoogleRequest[] = [];
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  let answer: Answer = () => null;
  const tls = createTlsServer(certificate, (incoming, response) => {
    void serve(incoming, response, { storage, requests, answer: (request) => answer(request) });
  });
  const port = await listen(tls);
  const proxy = createServer((client) => tunnel(client, port, tunnels, sockets));
  const proxyPort = await listen(proxy);
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  let files = 0;
  const file = (content: string) => {
    const path = join(dir.path, `file-${++files}.json`);
    writeFileSync(path, content);
    return path;
  };
  return {
    proxyUrl: `http://127.0.0.1:${proxyPort}`,
    origin: `https://127.0.0.1:${port}`,
    ca: join(dir.path, "ca.pem"),
    tunnels,
    requests,
    get answer() {
      return answer;
    },
    set answer(next: Answer) {
      answer = next;
    },
    file,
    keyFile: (changes = {}) =>
      file(JSON.stringify({ ...serviceAccount, private_key: privateKey, ...changes })),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      tls.closeAllConnections();
      await Promise.all([close(tls), close(proxy)]);
      dir[Symbol.dispose]();
    },
  };
}

export const accountEmail = "deployer@test-project.iam.gserviceaccount.com";

const serviceAccount = {
  type: "service_account",
  project_id: "test-project",
  private_key_id: "0123456789abcdef",
  client_email: accountEmail,
  client_id: "100000000000000000000",
  token_uri: "https://oauth2.googleapis.com/token",
};

interface Serving {
  readonly storage: string;
  readonly requests: GoogleRequest[];
  readonly answer: Answer;
}

async function serve(incoming: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { method = "", url = "", headers } = incoming;
  const request = { host: headers.host ?? "", method, path: url, headers, body: Buffer.concat(chunks) };
  serving.requests.push(request);
  const reply = serving.answer(request);
  if (reply === null) return passOn(request, response, serving.storage);
  const type = reply.json === undefined ? {} : { "Content-Type": "application/json" };
  response.writeHead(reply.status, { ...type, ...reply.headers });
  response.end(reply.json === undefined ? reply.body : JSON.stringify(reply.json));
}

async function passOn(request: GoogleRequest, response: ServerResponse, storage: string): Promise<void> {
  const { method, path, headers, body } = request;
  const kept = Object.entries(headers).filter(([name]) => !/^(host|connection|content-length)$/.test(name));
  const answer = await fetch(`${storage}${path}`, {
    method,
    headers: kept.map(([name, value]): [string, string] => [name, String(value)]),
    ...(body.length === 0 ? {} : { body: new Uint8Array(body) }),
    redirect: "manual",
  });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const passed = [...answer.headers].filter(([name]) => !/^(content-|transfer-)encoding$/.test(name));
  response.writeHead(answer.status, Object.fromEntries(passed));
  response.end(bytes);
}

function tunnel(client: Socket, port: number, tunnels: string[], sockets: Set<Socket>): void {
  sockets.add(client);
  client.on("error", () => undefined);
  client.once("data", (head) => {
    const target = /^CONNECT (\S+) /.exec(head.toString("latin1"))?.[1];
    if (target === undefined)
      return client.end("HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    tunnels.push(target);
    const upstream = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      client.pipe(upstream).pipe(client);
    });
    sockets.add(upstream);
    upstream.on("error", () => client.destroy());
  });
}

function makeCertificate(at: string): { key: string; cert: string } {
  const path = (name: string) => join(at, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"];
  const names = ["storage.googleapis.com", "oauth2.googleapis.com", "sts.googleapis.com"];
  writeFileSync(path("ext"), `subjectAltName=IP:127.0.0.1,${names.map((name) => `DNS:${name}`).join(",")}\n`);
  openssl(
    "req",
    "-x509",
    ...key,
    path("ca.key"),
    "-out",
    path("ca.pem"),
    "-days",
    "2",
    "-subj",
    "/CN=test CA",
  );
  openssl("req", ...key, path("key.pem"), "-out", path("csr.pem"), "-subj", "/CN=google");
  const signer = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial", "-days", "2"];
  openssl(
    "x509",
    "-req",
    "-in",
    path("csr.pem"),
    "-out",
    path("cert.pem"),
    ...signer,
    "-extfile",
    path("ext"),
  );
  return { key: readFileSync(path("key.pem"), "utf8"), cert: readFileSync(path("cert.pem"), "utf8") };
}

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

function close(server: Server): Promise<unknown> {
  return new Promise((done) => server.close(done));
}
