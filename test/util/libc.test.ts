import { describe, expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  bindSocket,
  getSocketOption,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  LibcError,
  listenSocket,
  pidfdGetfd,
  pidfdOpen,
  SO_ACCEPTCONN,
  SO_REUSEADDR,
  SOL_SOCKET,
  setSocketOption,
  streamSocket,
  syncfs,
  tryLock,
} from "../../src/util/libc.ts";
import { tempDir } from "../support/temp-dir.ts";

/** struct sockaddr_in for 127.0.0.1. */
function loopback(port: number): ArrayBuffer {
  const address = new ArrayBuffer(16);
  const view = new DataView(address);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  view.setUint32(4, 0x7f000001);
  return address;
}

describe("sockets", () => {
  test.each([AF_INET, AF_INET6, AF_UNIX])("a stream socket of family %d", (family) => {
    const fd = streamSocket(family);
    expect(fstatSync(fd).mode & 0o170000).toBe(0o140000);
    closeSync(fd);
  });

  test("options are what they were set to", () => {
    const fd = streamSocket(AF_INET6);
    for (const [level, option] of [
      [SOL_SOCKET, SO_REUSEADDR],
      [IPPROTO_IPV6, IPV6_V6ONLY],
    ] as const) {
      for (const value of [1, 0]) {
        setSocketOption(fd, level, option, value);
        expect(getSocketOption(fd, level, option)).toBe(value);
      }
    }
    closeSync(fd);
  });

  test("bound and listening, it accepts", async () => {
    const fd = streamSocket(AF_INET);
    bindSocket(fd, loopback(0));
    expect(getSocketOption(fd, SOL_SOCKET, SO_ACCEPTCONN)).toBe(0);
    listenSocket(fd, 16);
    expect(getSocketOption(fd, SOL_SOCKET, SO_ACCEPTCONN)).toBe(1);
    closeSync(fd);
  });

  test("a failed call carries the errno's name", () => {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const fd = streamSocket(AF_INET);
    const bind = () => bindSocket(fd, loopback(server.port));
    expect(bind).toThrow(LibcError);
    expect(bind).toThrow("bind: EADDRINUSE");
    closeSync(fd);
    server.stop();
  });

  test("a socket is not inherited by children that are not given it", async () => {
    const fd = streamSocket(AF_INET);
    const child = Bun.spawnSync(["sh", "-c", `test -e /proc/self/fd/${fd} && echo leaked`]);
    expect(child.stdout.toString()).toBe("");
    closeSync(fd);
  });
});

describe("tryLock", () => {
  test("of two descriptors one gets it, until the other is closed", () => {
    using dir = tempDir();
    const [one, two] = [openSync(join(dir.path, "lock"), "a"), openSync(join(dir.path, "lock"), "a")];
    expect(tryLock(one)).toBe(true);
    expect(tryLock(two)).toBe(false);
    expect(tryLock(one)).toBe(true);
    closeSync(one);
    expect(tryLock(two)).toBe(true);
    closeSync(two);
  });
});

describe("descriptors of other processes", () => {
  test("one can be taken, and is the same file", async () => {
    using dir = tempDir();
    const fd = openSync(join(dir.path, "file"), "w");
    const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore", fd] });
    const pidfd = pidfdOpen(child.pid);
    const taken = pidfdGetfd(pidfd, 3);
    expect(fstatSync(taken).ino).toBe(fstatSync(fd).ino);
    for (const each of [fd, pidfd, taken]) closeSync(each);
    child.kill("SIGKILL");
    await child.exited;
  });

  test("of a process that is gone: ESRCH", async () => {
    const child = Bun.spawn(["true"]);
    await child.exited;
    expect(() => pidfdOpen(child.pid)).toThrow("pidfd_open: ESRCH");
  });
});

test("syncfs takes any descriptor of the file system", () => {
  using dir = tempDir();
  const fd = openSync(dir.path, "r");
  expect(() => syncfs(fd)).not.toThrow();
  closeSync(fd);
  expect(() => syncfs(1_000_000)).toThrow(LibcError);
});
