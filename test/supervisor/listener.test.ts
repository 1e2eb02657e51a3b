import { describe, expect, test } from "bun:test";
import { existsSync, fstatSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { ListenSpec } from "../../src/supervisor/listen-spec.ts";
import { type Listener, openListener } from "../../src/supervisor/listener.ts";
import { freePort } from "../support/free-port.ts";
import { tempDir } from "../support/temp-dir.ts";

const tcp = (host: string | null, port = freePort()): ListenSpec => ({ kind: "tcp", host, port });

describe("where a listener is reached", () => {
  test.each<[string | null, string, boolean]>([
    [null, "127.0.0.1", true],
    [null, "::1", true],
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "::1", false],
    ["127.0.0.1", "127.0.0.2", false],
    ["0.0.0.0", "127.0.0.2", true],
    ["0.0.0.0", "::1", false],
    ["::1", "::1", true],
    ["::1", "127.0.0.1", false],
    ["::", "::1", true],
    ["::", "127.0.0.1", false],
    ["0:0:0:0:0:0:0:1", "::1", true],
    ["::ffff:127.0.0.1", "127.0.0.1", false],
  ])("bound to %p, from %s: %p", async (host, from, reached) => {
    const spec = tcp(host);
    // An IPv4 address in IPv6 clothes is refused by a socket of IPv6 alone.
    if (host === "::ffff:127.0.0.1") return expect(openListener(spec)).rejects.toThrow();
    using listener = await open(spec);
    expect(await reaches({ host: from, port: portOf(listener) })).toBe(reached);
  });

  test("IPv4 and IPv6 of one port can be two listeners", async () => {
    const port = freePort();
    using four = await open(tcp("127.0.0.1", port));
    using six = await open(tcp("::1", port));
    expect(four.inode).not.toBe(six.inode);
  });

  test("a unix socket is reached by its path, and its file goes with it", async () => {
    using dir = tempDir();
    const path = join(dir.path, "app.sock");
    const listener = await openListener({ kind: "unix", path });
    expect(await reaches({ path })).toBe(true);
    listener.close();
    expect(existsSync(path)).toBe(false);
  });
});

describe("a unix socket's path", () => {
  test("with a stale socket of a killed process is taken", async () => {
    using dir = tempDir();
    const path = join(dir.path, "app.sock");
    (await openListener({ kind: "unix", path })).release();
    expect(existsSync(path)).toBe(true);
    using listener = await open({ kind: "unix", path });
    expect(await reaches({ path })).toBe(true);
    expect(listener.spec).toEqual({ kind: "unix", path });
  });

  test("with a live socket is in use, and stays alive", async () => {
    using dir = tempDir();
    const path = join(dir.path, "app.sock");
    using _ = await open({ kind: "unix", path });
    await expect(openListener({ kind: "unix", path })).rejects.toMatchObject({ code: "port-in-use" });
    expect(await reaches({ path })).toBe(true);
  });

  test("with a file of somebody else is in use: the file is not removed", async () => {
    using dir = tempDir();
    const path = join(dir.path, "precious.conf");
    writeFileSync(path, "precious");
    await expect(openListener({ kind: "unix", path })).rejects.toMatchObject({ code: "port-in-use" });
    expect(readFileSync(path, "utf8")).toBe("precious");
  });
});

describe("a port", () => {
  test("in use is an error that names who holds it", async () => {
    using held = await open(tcp(null));
    await expect(openListener(held.spec)).rejects.toMatchObject({
      code: "port-in-use",
      exitCode: 1,
      message: expect.stringContaining(`is in use by pid ${process.pid} (`),
    });
  });

  test("can be had again at once after a connection was made and closed by the server", async () => {
    const spec = tcp(null);
    const first = await openListener(spec);
    await reaches({ host: "127.0.0.1", port: portOf(first) });
    first.close();
    using _ = await open(spec);
  });

  test("is in blocking mode, closed on exec, and known by its inode", async () => {
    using listener = await open(tcp(null));
    const info = readFileSync(`/proc/self/fdinfo/${listener.fd}`, "utf8");
    const flags = Number.parseInt(/flags:\s+(\d+)/.exec(info)?.[1] ?? "", 8);
    expect(flags & 0o4000).toBe(0);
    expect(flags & 0o2000000).not.toBe(0);
    expect(listener.inode).toBe(fstatSync(listener.fd).ino);
  });
});

async function open(spec: ListenSpec): Promise<Listener & Disposable> {
  const listener = await openListener(spec);
  return Object.assign(listener, { [Symbol.dispose]: () => listener.close() });
}

function portOf({ spec }: Listener): number {
  if (spec.kind === "unix") throw new Error("a unix socket has no port");
  return spec.port;
}

function reaches(target: { host: string; port: number } | { path: string }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(target);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
