import { expect, test } from "bun:test";
import { join } from "node:path";
import { LibcError } from "../../src/util/libc.ts";
import { sendDatagram } from "../../src/util/libc-datagram.ts";
import { openPaths } from "../../src/util/procfs.ts";
import { NotifyListener } from "../support/notify-listener.ts";
import { tempDir } from "../support/temp-dir.ts";

/** As long as sockaddr_un lets it be: one byte of a path is its end. */
const longest = (prefix: string, length: number) => prefix.padEnd(length, "x");

test.each([
  ["a path", (dir: string) => join(dir, "s")],
  ["the longest path", (dir: string) => longest(join(dir, "s"), 107)],
  ["an abstract name", () => `@dewy-${crypto.randomUUID()}`],
  ["the longest abstract name", () => longest(`@dewy-${crypto.randomUUID()}`, 108)],
])("what is sent to %s arrives, word for word", async (_, name) => {
  using dir = tempDir();
  await using listener = await NotifyListener.bind(name(dir.path));
  sendDatagram(listener.name, "STATUS=über alles\nX=1");
  await listener.hears("X=1");
  expect(listener.heard).toEqual([["STATUS=über alles", "X=1"]]);
});

test.each([
  ["nobody's path", (dir: string) => join(dir, "s"), "sendto: ENOENT"],
  ["nobody's abstract name", () => `@dewy-${crypto.randomUUID()}`, "sendto: ECONNREFUSED"],
  ["a name that is too long", (dir: string) => longest(join(dir, "s"), 108), "a socket's name has at most"],
])("%s is an error, and nothing stays open", (_, name, message) => {
  using dir = tempDir();
  const before = openPaths(process.pid).length;
  expect(() => sendDatagram(name(dir.path), "X=1")).toThrow(message);
  expect(openPaths(process.pid).length).toBeLessThanOrEqual(before);
});

test("a reader that hangs is an error in the end, and never waited for", async () => {
  await using listener = await NotifyListener.bind(`@dewy-${crypto.randomUUID()}`);
  listener.hang();
  let failure: unknown = null;
  for (let sent = 0; failure === null && sent < 100_000; sent++) {
    try {
      sendDatagram(listener.name, `X=${sent}`);
    } catch (error) {
      failure = error;
    }
  }
  expect(failure).toBeInstanceOf(LibcError);
  expect(failure).toMatchObject({ message: "sendto: EAGAIN" });
});
