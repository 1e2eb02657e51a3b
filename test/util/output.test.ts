import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { pipe } from "../../src/util/libc.ts";
import { writePatiently } from "../../src/util/output.ts";

const module = join(process.cwd(), "src/util/output.ts");
/** process.stdout makes a pipe one that does not block, which is when a plain write loses the rest. */
const script = `
  import { writePatiently } from ${JSON.stringify(module)};
  process.stdout.isTTY;
  writePatiently(1, "x".repeat(1_000_000) + "\\u00e9", 10_000);`;

describe("a text", () => {
  test("reaches a slow reader whole", async () => {
    const line = `"$0" -e "$1" | { read -r -n 1; sleep 0.3; wc -c; }`;
    const child = Bun.spawnSync(["bash", "-c", line, process.execPath, script]);
    // `read` has taken one of them.
    expect(child.stdout.toString().trim()).toBe("1000001");
  });

  test("is given up when nobody reads it", () => {
    const { readFd, writeFd } = pipe();
    closeSync(readFd);
    expect(writePatiently(writeFd, "x".repeat(1_000_000), 10_000)).toBe(false);
    closeSync(writeFd);
  });

  test("that can't be written is an error", () => {
    const fd = openSync("/dev/full", "w");
    expect(() => writePatiently(fd, "x", 10_000)).toThrow(
      expect.objectContaining({
        code: "filesystem",
        message: expect.stringMatching(/^the output can't be written: ENOSPC/),
      }),
    );
    closeSync(fd);
  });

  test("that nobody takes is an error in the end", () => {
    const { readFd, writeFd } = pipe();
    const fd = openSync(`/proc/self/fd/${writeFd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    // More than a pipe holds.
    expect(() => writePatiently(fd, "x".repeat(2_000_000), 50)).toThrow(
      "the output can't be written: nobody has read it for 50ms",
    );
    for (const each of [readFd, writeFd, fd]) closeSync(each);
  });
});
