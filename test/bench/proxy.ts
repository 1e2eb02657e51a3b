/**
 * What the TCP proxy costs, side by side with haproxy and nginx (Debian: haproxy, nginx-light, libnginx-mod-stream,
 * wrk) and without a proxy: requests on kept connections, new connections, bytes, idle connections, a stalled reader.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { connectPeer, startPeerServer } from "../support/tcp-peer.ts";
import { startProxyChild } from "../support/tcp-proxy-child.ts";
import { until } from "../support/until.ts";

const seconds = 4;
const rounds = 2;
const idlePairs = 5_000;
const transferBytes = 1024 * 2 ** 20;
const stalledBytes = 2048 * 2 ** 20;

interface Way extends AsyncDisposable {
  readonly name: string;
  /** Of the proxy's process; null: there is none. */
  readonly pid: number | null;
  readonly port: number;
}

type StartWay = (backend: number) => Promise<Way>;

const direct: StartWay = async (port) => ({
  name: "direct",
  pid: null,
  port,
  async [Symbol.asyncDispose]() {},
});

const dewy: StartWay = async (backend) => {
  const child = await startProxyChild({ backend, descriptors: 16_384 });
  return {
    name: "dewy",
    pid: child.pid,
    port: child.port,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
};

/** A proxy of somebody else's, in the foreground, one thread. */
function peerProxy(
  name: string,
  command: (file: string) => string[],
  config: (port: number, backend: number) => string,
  childOf: boolean,
): StartWay {
  return async (backend) => {
    const port = freePort();
    const directory = mkdtempSync(join(tmpdir(), "proxy-bench-"));
    const file = join(directory, "proxy.conf");
    writeFileSync(file, config(port, backend));
    const limited = ["/bin/sh", "-c", 'ulimit -n 16384; exec "$@"', "sh", ...command(file)];
    const child = Bun.spawn(limited, { stdout: "ignore", stderr: "ignore" });
    await until(name, () =>
      connectPeer(port).then(
        (peer) => peer.reset() ?? true,
        () => false,
      ),
    );
    return {
      name,
      pid: childOf ? workerOf(child.pid) : child.pid,
      port,
      async [Symbol.asyncDispose]() {
        child.kill("SIGTERM");
        await child.exited;
        rmSync(directory, { recursive: true });
      },
    };
  };
}

const haproxy = peerProxy(
  "haproxy",
  (file) => ["haproxy", "-db", "-f", file],
  (port, backend) => `
global
  nbthread 1
  maxconn 6000
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
listen proxy
  bind 127.0.0.1:${port}
  server backend 127.0.0.1:${backend}
`,
  false,
);

const nginx = peerProxy(
  "nginx stream",
  (file) => ["nginx", "-c", file, "-g", "daemon off;"],
  (port, backend) => `
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
pid ${tmpdir()}/proxy-bench-${port}.pid;
error_log /dev/null;
events { worker_connections 16000; }
stream { server { listen 127.0.0.1:${port} backlog=4096; proxy_pass 127.0.0.1:${backend}; } }
`,
  true,
);

const ways = [
  dewy,
  ...(Bun.which("haproxy") ? [haproxy] : []),
  ...(Bun.which("nginx") ? [nginx] : []),
  direct,
];

function workerOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);
}

function cpuSeconds(pid: number | null): number {
  if (pid === null) return 0;
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function memoryKb(pid: number, name: "VmRSS" | "VmHWM"): number {
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** wrk's figures: requests, and latencies in its own words. */
async function wrk(port: number, header: string | null) {
  const extra = header === null ? [] : ["-H", header];
  const command = ["wrk", "-t1", "-c32", `-d${seconds}s`, "--latency", ...extra, `http://127.0.0.1:${port}/`];
  const out = await new Response(Bun.spawn(command, { stdout: "pipe" }).stdout).text();
  const find = (pattern: RegExp) => pattern.exec(out)?.[1] ?? "?";
  return {
    requests: Number(find(/(\d+) requests in/)),
    p50: find(/^\s+50%\s+(\S+)/m),
    p99: find(/^\s+99%\s+(\S+)/m),
    errors: /Socket errors.*/.exec(out)?.[0] ?? "",
  };
}

async function measureRequests(start: StartWay, backend: number): Promise<string> {
  await using way = await start(backend);
  const before = cpuSeconds(way.pid);
  const kept = await wrk(way.port, null);
  const between = cpuSeconds(way.pid);
  const fresh = await wrk(way.port, "Connection: close");
  const after = cpuSeconds(way.pid);
  const per = (cpu: number, requests: number, of: number) => ((cpu / requests) * of).toFixed(2);
  return [
    way.name.padEnd(13),
    `${Math.round(kept.requests / seconds)} req/s`,
    `${per(between - before, kept.requests, 100_000)} CPU s/100k`,
    `p50 ${kept.p50} p99 ${kept.p99}`,
    `${Math.round(fresh.requests / seconds)} new conn/s`,
    `${per(after - between, fresh.requests, 10_000)} CPU s/10k ${kept.errors}${fresh.errors}`,
  ].join(" | ");
}

async function measureTransfer(start: StartWay): Promise<string> {
  const chunk = new Uint8Array(2 ** 20);
  using backend = startPeerServer({
    keepText: false,
    onOpen: (peer) => {
      for (let sent = 0; sent < transferBytes; sent += chunk.length) peer.send(chunk);
      peer.finish();
    },
  });
  await using way = await start(backend.port);
  const cpu = cpuSeconds(way.pid);
  const from = performance.now();
  await readAll(way.port);
  const rate = transferBytes / 2 ** 20 / ((performance.now() - from) / 1000);
  const perGib = ((cpuSeconds(way.pid) - cpu) / transferBytes) * 2 ** 30;
  return `${way.name.padEnd(13)} | ${rate.toFixed(0)} MiB/s | ${perGib.toFixed(2)} CPU s/GiB`;
}

/** Without looking at it: hashing would take longer than the proxy. */
function readAll(port: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = 0;
  const data = (_: unknown, bytes: Uint8Array) => {
    received += bytes.length;
  };
  const close = () => {
    if (received !== transferBytes) throw new Error(`${received} of ${transferBytes} bytes came`);
    resolve();
  };
  void Bun.connect({ hostname: "127.0.0.1", port, socket: { data, close } });
  return promise;
}

async function measureIdle(start: StartWay): Promise<string> {
  using backend = startPeerServer();
  await using way = await start(backend.port);
  const { pid } = way;
  if (pid === null) return "direct        | –";
  const before = memoryKb(pid, "VmRSS");
  const clients = [];
  for (let count = 0; count < idlePairs; count += 100) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => connectPeer(way.port)))));
  }
  await until("all connected", () => backend.peers.filter(({ closed }) => !closed).length >= idlePairs);
  const cpu = cpuSeconds(pid);
  await Bun.sleep(2_000);
  const idleCpu = cpuSeconds(pid) - cpu;
  const after = memoryKb(pid, "VmRSS");
  for (const client of clients) client.reset();
  const perPair = ((after - before) / idlePairs).toFixed(1);
  return `${way.name.padEnd(13)} | ${perPair} KB a pair | ${Math.round(after / 1024)} MiB in all, ${Math.round(before / 1024)} before | ${idleCpu.toFixed(2)} CPU s in 2 s`;
}

async function measureStalled(start: StartWay): Promise<string> {
  const chunk = new Uint8Array(2 ** 20);
  using backend = startPeerServer({ keepText: false });
  await using way = await start(backend.port);
  const client = await connectPeer(way.port, { keepText: false });
  const server = await until("backend", () => backend.peers.findLast(({ closed }) => !closed));
  client.pause();
  for (let sent = 0; sent < stalledBytes; sent += chunk.length) server.send(chunk);
  server.finish();
  await Bun.sleep(1_000);
  const stalled = way.pid === null ? 0 : memoryKb(way.pid, "VmRSS");
  client.resume();
  const whole = await until("all", () => client.received === stalledBytes, 30_000).catch(() => false);
  const peak = way.pid === null ? 0 : memoryKb(way.pid, "VmHWM");
  client.reset();
  return `${way.name.padEnd(13)} | ${Math.round(stalled / 1024)} MiB while stalled | ${Math.round(peak / 1024)} MiB at most${whole ? "" : ", not all of it in 30 s"}`;
}

const backendPort = freePort();
const source = `Bun.serve({ hostname: "127.0.0.1", port: ${backendPort}, fetch: (r) => new Response("ok", r.headers.get("connection") === "close" ? { headers: { connection: "close" } } : {}) })`;
const backend = Bun.spawn([process.execPath, "-e", source]);
await until("backend", () =>
  fetch(`http://127.0.0.1:${backendPort}/`).then(
    () => true,
    () => false,
  ),
);
console.log(`\nrequests: ${rounds} rounds of ${seconds} s, 32 connections`);
for (let round = 0; round < rounds; round++) {
  for (const way of ways) console.log(await measureRequests(way, backendPort));
}
backend.kill();
console.log(`\n${transferBytes / 2 ** 30} GiB from the backend to the client`);
for (const way of ways) console.log(await measureTransfer(way));
console.log(`\n${idlePairs} idle connections`);
for (const way of ways.filter((way) => way !== direct)) console.log(await measureIdle(way));
console.log(`\n${stalledBytes / 2 ** 30} GiB to a reader that stalls, then reads`);
for (const way of ways.filter((way) => way !== direct)) console.log(await measureStalled(way));
process.exit(0);
