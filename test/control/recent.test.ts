import { expect, test } from "bun:test";
import { RecentRecords } from "../../src/control/recent.ts";
import { createLog, duration } from "../../src/log.ts";

const page = { count: 1000, level: "debug", format: "text", after: null } as const;

function logInto(recent: RecentRecords, written: string[] = []) {
  const now = () => new Date("2026-11-21T09:00:00Z");
  return createLog({
    level: "error",
    format: "text",
    write: (line) => written.push(line),
    now,
    keep: recent.keep,
  });
}

test("records below the log's level are kept, and still not written", () => {
  const recent = new RecentRecords();
  const written: string[] = [];
  const log = logInto(recent, written);
  log.debug("a", { took: duration(1500), list: ["x", "y"] });
  log.error("b", { error: new Error("no") });
  expect(recent.page(page).lines.map((line) => line.replace(/^time=\S+ /, ""))).toEqual([
    'level=DEBUG msg=a took=1.5s list="[x y]"',
    "level=ERROR msg=b error=no",
  ]);
  expect(written).toHaveLength(1);
  expect(recent.page({ ...page, format: "json" }).lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: "DEBUG", took: 1.5e9 },
    { level: "ERROR", error: "no" },
  ]);
});

test("the last ones of a level are given", () => {
  const recent = new RecentRecords();
  const log = logInto(recent);
  for (let i = 0; i < 10; i++) log[i % 2 === 0 ? "info" : "warn"](`m${i}`);
  const { lines } = recent.page({ ...page, level: "warn", count: 2 });
  expect(lines.map((line) => line.split("msg=")[1])).toEqual(["m7", "m9"]);
});

test("who has seen some gets what came behind them", () => {
  const recent = new RecentRecords();
  const log = logInto(recent);
  log.info("a");
  const { last } = recent.page(page);
  expect(recent.page({ ...page, after: last }).lines).toEqual([]);
  log.info("b");
  expect(recent.page({ ...page, after: last }).lines.map((line) => line.split("msg=")[1])).toEqual(["b"]);
  // One of another agent, that had logged more.
  expect(recent.page({ ...page, after: 10_000 }).lines).toEqual([]);
});

test("neither many records nor long ones take more room than there is", () => {
  const recent = new RecentRecords();
  const log = logInto(recent);
  for (let i = 0; i < 5000; i++) log.debug(`m${i}`);
  expect(recent.page({ ...page, count: 100_000 }).lines).toHaveLength(1000);
  for (let i = 0; i < 500; i++)
    log.debug("long", { stdout: "x".repeat(1_000_000), list: ["y".repeat(1_000_000)] });
  const { lines, last } = recent.page({ ...page, count: 100_000 });
  expect(lines.join("").length).toBeLessThan(300 * 1024);
  expect(lines.length).toBeGreaterThan(10);
  expect(last).toBe(5500);
});

test("a record stays as it was logged, and keeps nothing else alive", () => {
  const recent = new RecentRecords();
  const error = new Error("as it was");
  logInto(recent).error("failed", { error });
  error.message = "as it is now";
  expect(recent.page(page).lines[0]).toEndWith('error="as it was"');
});
