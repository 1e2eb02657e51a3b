import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parsePorts } from "../../src/config/ports.ts";
import { problemText } from "../../src/config/problem.ts";
import { listenName } from "../../src/supervisor/listen-spec.ts";

const names = (...values: string[]) => {
  const { specs, problems } = parsePorts(values);
  expect(problems).toEqual([]);
  return specs.map(listenName);
};
const problems = (...values: string[]) => parsePorts(values).problems.map(problemText);

describe("--port", () => {
  test.each<[string[], string[]]>([
    [[], []],
    [["8000"], ["8000"]],
    [["8001,8000"], ["8000", "8001"]],
    [
      ["8001", "8000", "8001,8000"],
      ["8000", "8001"],
    ],
    [["10000,9000,900"], ["900", "9000", "10000"]],
    [["8000-8003"], ["8000", "8001", "8002", "8003"]],
    [["8000-8000"], ["8000"]],
    [["8002,8000-8002"], ["8000", "8001", "8002"]],
    [["8000, 8001"], ["8000", "8001"]],
    [["1,65535"], ["1", "65535"]],
    [["127.0.0.1:8000"], ["127.0.0.1:8000"]],
    [["127.0.0.1:8000-8001"], ["127.0.0.1:8000", "127.0.0.1:8001"]],
    [["[::1]:8000,[0:0:0:0:0:0:0:1]:8000"], ["[::1]:8000"]],
    [["[::1]:8000,127.0.0.1:8000,7000"], ["7000", "127.0.0.1:8000", "[::1]:8000"]],
    [["0.0.0.0:8000,[::]:8000"], ["0.0.0.0:8000", "[::]:8000"]],
    [["unix:/run/b.sock,9000,unix:/run/a.sock"], ["9000", "/run/a.sock", "/run/b.sock"]],
    [["127.0.0.1:8000,8001,10.0.0.1:8000"], ["10.0.0.1:8000", "127.0.0.1:8000", "8001"]],
  ])("%j listens on %j, in this order", (values, expected) => {
    expect(names(...values)).toEqual(expected);
  });

  test("the longest range has 101 ports", () => {
    expect(names("8000-8100")).toHaveLength(101);
    expect(problems("8000-8101")).toEqual(['range "8000-8101" is too long; last − first may be 100 at most']);
  });

  test.each([
    ["0", "out of range"],
    ["65536", "out of range"],
    ["65530-65536", "out of range"],
    ["99999999999999999999", "out of range"],
    ["8005-8000", "reversed"],
    ["", "is not a port"],
    ["8000,", "is not a port"],
    ["http", "is not a port"],
    ["-1", "is not a port"],
    ["=8000", "is not a port"],
    ["8000-", "is not a port"],
    ["8000-8001-8002", "is not a port"],
    ["8e3", "is not a port"],
    ["0x50", "is not a port"],
    ["80.5", "is not a port"],
    [":8000", "is not an IP address"],
    ["localhost:8000", "is not an IP address"],
    ["256.0.0.1:8000", "is not an IP address"],
    ["[fe80::1%eth0]:8000", "is not an IP address"],
    ["::1:8000", "needs brackets"],
    ["unix:", "no absolute path"],
    ["unix:run/app.sock", "no absolute path"],
    [`unix:/${"a".repeat(107)}`, "too long for a socket"],
    ["unix:/run/a;b", "holds ; or ="],
    ["8000,127.0.0.1:8000", "is part of"],
    ["0.0.0.0:8000,127.0.0.1:8000", "is part of"],
    ["8000,[::1]:8000", "is part of"],
  ])("%j is refused: %s", (value, message) => {
    const told = problems(value);
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(new RegExp(message));
    expect(told[0]).toContain("; ");
  });

  test("every wrong part is told", () => {
    expect(problems("x,8000", "y,70000")).toHaveLength(3);
  });

  test("a path may have the 107 bytes the kernel takes", () => {
    expect(names(`unix:/${"a".repeat(106)}`)).toHaveLength(1);
  });
});

const port = fc.oneof(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: -5, max: 70_000 }));
const range = fc.tuple(port, port).map(([first, last]) => `${first}-${last}`);
const shortRange = fc
  .tuple(fc.integer({ min: 1, max: 65_000 }), fc.integer({ min: 0, max: 100 }))
  .map(([first, span]) => `${first}-${first + span}`);
const part = fc.oneof(
  { weight: 4, arbitrary: port.map(String) },
  { weight: 3, arbitrary: shortRange },
  range,
  fc.string(),
);

test("any list is either problems, or every port once, in range and in order", () => {
  fc.assert(
    fc.property(fc.array(fc.array(part, { maxLength: 4 }).map((parts) => parts.join(","))), (values) => {
      const { specs, problems: told } = parsePorts(values);
      if (told.length > 0) return;
      const tcp = specs.flatMap((spec) => (spec.kind === "tcp" ? [spec] : []));
      expect(tcp.every(({ port }) => Number.isInteger(port) && port >= 1 && port <= 65535)).toBe(true);
      expect(new Set(specs.map(listenName)).size).toBe(specs.length);
      expect(tcp.map(({ port }) => port)).toEqual(tcp.map(({ port }) => port).toSorted((a, b) => a - b));
    }),
  );
});

test("lists of good ports and ranges are never refused, and hold exactly what was asked for", () => {
  const good = fc.oneof(fc.integer({ min: 1, max: 65535 }).map(String), shortRange);
  fc.assert(
    fc.property(fc.array(good, { minLength: 1 }), (parts) => {
      const wanted = new Set<number>();
      for (const text of parts) {
        const [first = 0, last = first] = text.split("-").map(Number);
        for (let number = first; number <= last; number++) wanted.add(number);
      }
      expect(names(parts.join(","))).toEqual([...wanted].sort((a, b) => a - b).map(String));
    }),
  );
});
