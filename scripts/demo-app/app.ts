/**
 * A small HTTP server for demos and tests: it inherits its listeners (server-starter's protocol), answers each
 * request with its version, and ends gracefully on SIGTERM: it stops accepting and finishes what it has.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Socket } from "bun";

interface Connection {
  pending: string;
}

const version = readFileSync(join(dirname(import.meta.path), "VERSION"), "utf8").trim();
const ports = (process.env["SERVER_STARTER_PORT"] ?? "").split(";").filter(Boolean);
const open = new Set<Socket<Connection>>();
let stopping = false;

function answer(socket: Socket<Connection>): void {
  for (;;) {
    const end = socket.data.pending.indexOf("\r\n\r\n");
    if (end < 0) return;
    const close = stopping || /\r\nconnection: close/i.test(socket.data.pending.slice(0, end));
    socket.data.pending = socket.data.pending.slice(end + 4);
    const body = `${version} ${process.env["SERVER_STARTER_GENERATION"]} ${process.pid}\n`;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: ${close ? "close" : "keep-alive"}`;
    socket.write(`${head}\r\n\r\n${body}`);
    if (close) socket.shutdown();
  }
}

function endWhenIdle(): void {
  if (stopping && open.size === 0) process.exit(0);
}

// Bun listens on an inherited descriptor, but its types don't say so yet.
const listen: (options: Bun.FdSocketOptions<Connection>) => { stop(): void } = Bun.listen as never;
const listeners = ports.map((pair) =>
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

process.on("SIGTERM", () => {
  stopping = true;
  for (const listener of listeners) listener.stop();
  endWhenIdle();
  // A kept connection whose client stays silent is not worth waiting for.
  setTimeout(() => process.exit(0), 5000);
});
