/**
 * An HTTP server for tests of the health gate: it inherits its listeners (server-starter's protocol), answers each
 * request with its version, and behaves as the file BEHAVIOUR beside it says, in JSON. Ends on SIGTERM once it has
 * finished what it has.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Socket } from "bun";

export interface GateBehaviour {
  /** Exits with this code as soon as it is started, or after `afterMs`. */
  readonly exits?: { readonly code: number; readonly afterMs: number };
  /** `mute`: takes connections and says nothing; `deaf`: takes none. */
  readonly is?: "mute" | "deaf";
  /** The answer's status; 200 unless given. */
  readonly status?: number;
  /** The status, 200 or another, stands in this file of the root, if it is there. */
  readonly statusFile?: string;
  /** Answers 503 for so long. */
  readonly wellAfterMs?: number;
  /** Takes no connection for so long. */
  readonly acceptsAfterMs?: number;
  /** Notes the first line of each request in this file of the root. */
  readonly notes?: string;
  /** What goes for a rehearsal is this instead. */
  readonly inRehearsal?: GateBehaviour;
}

interface Connection {
  pending: string;
}

const here = dirname(import.meta.path);
const version = readFileSync(join(here, "VERSION"), "utf8").trim();
const isRehearsal = process.env["DEWY_REHEARSAL"] === "1";
const written: GateBehaviour = JSON.parse(readFileSync(join(here, "BEHAVIOUR"), "utf8"));
const behaviour = isRehearsal ? (written.inRehearsal ?? written) : written;
const ports = (process.env["SERVER_STARTER_PORT"] ?? "").split(";").filter(Boolean);
const sinceMs = performance.now();
const open = new Set<Socket<Connection>>();
let stopping = false;

function status(): number {
  const { statusFile, wellAfterMs = 0 } = behaviour;
  if (performance.now() - sinceMs < wellAfterMs) return 503;
  if (statusFile !== undefined && existsSync(statusFile)) return Number(readFileSync(statusFile, "utf8"));
  return behaviour.status ?? 200;
}

function answer(socket: Socket<Connection>): void {
  for (;;) {
    const end = socket.data.pending.indexOf("\r\n\r\n");
    if (end < 0 || behaviour.is === "mute") return;
    const close = stopping || /\r\nconnection: close/i.test(socket.data.pending.slice(0, end));
    if (behaviour.notes !== undefined)
      appendFileSync(behaviour.notes, `${socket.data.pending.split("\r\n", 1)[0]}\n`);
    socket.data.pending = socket.data.pending.slice(end + 4);
    const body = `${version} ${process.env["SERVER_STARTER_GENERATION"]} ${process.pid}\n`;
    const kept = close ? "close" : "keep-alive";
    const head = `HTTP/1.1 ${status()} X\r\nContent-Length: ${body.length}\r\nConnection: ${kept}`;
    socket.write(`${head}\r\n\r\n${body}`);
    if (close) socket.shutdown();
  }
}

function endWhenIdle(): void {
  if (stopping && open.size === 0) process.exit(0);
}

// Bun listens on an inherited descriptor, but its types don't say so yet.
const listen: (options: Bun.FdSocketOptions<Connection>) => { stop(): void } = Bun.listen as never;
let listeners: { stop(): void }[] = [];

function begin(): void {
  listeners = ports.map((pair) =>
    listen({
      fd: Number(pair.split("=")[1]),
      socket: {
        open(socket) {
          socket.data = { pending: "" };
          open.add(socket);
        },
        data(socket, bytes) {
          socket.data.pending += bytes.toString("latin1");
          answer(socket);
        },
        end(socket) {
          socket.end();
        },
        close(socket) {
          open.delete(socket);
          endWhenIdle();
        },
        error() {},
      },
    }),
  );
}

process.on("SIGTERM", () => {
  stopping = true;
  for (const listener of listeners) listener.stop();
  endWhenIdle();
  // A kept connection whose client stays silent is not worth waiting for.
  setTimeout(() => process.exit(0), behaviour.is === "mute" ? 0 : 5000);
});

const { exits, acceptsAfterMs = 0 } = behaviour;
if (exits !== undefined) setTimeout(() => process.exit(exits.code), exits.afterMs);
if (behaviour.is !== "deaf") setTimeout(begin, acceptsAfterMs);
setInterval(() => undefined, 60_000);
