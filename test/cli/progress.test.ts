import { describe, expect, test } from "bun:test";
import { ProgressView } from "../../src/cli/operator/progress.ts";
import { screenOf } from "../../src/cli/operator/screen.ts";
import { FakeClock } from "../support/clock.ts";
import { screen } from "./operator-support.ts";

const MiB = 1024 * 1024;
const terminal = (columns = 80) => screen({ columns: () => columns, live: true });

/** What stands on the last line: after the last time it was cleared. */
const lastLine = (text: string) => text.split("\r\u001b[K").at(-1) ?? "";

describe("progress that is not on a terminal", () => {
  test("is a line a step, and one for a whole download", async () => {
    const out = screen();
    const clock = new FakeClock();
    {
      using view = new ProgressView(out, clock, "deploy");
      view.show({ kind: "waiting", for: "a check" });
      await clock.advance(1500);
      view.show({ kind: "step", step: "begun" });
      for (let bytes = 0; bytes <= 4; bytes++)
        view.show({ kind: "received", bytes: bytes * MiB, totalBytes: 4 * MiB });
      view.show({ kind: "step", step: "release is here\u001b[2J" });
    }
    expect(out.text().split("\n")).toEqual([
      "Waiting for a check to end.",
      "   1.5s  begun",
      "   1.5s  received 4.0 MiB",
      "   1.5s  release is here\\u001b[2J",
      "",
    ]);
  });
});

describe("progress on a terminal", () => {
  test("shows a bar that fits, and goes when it ends", async () => {
    const out = terminal(80);
    const clock = new FakeClock();
    {
      using view = new ProgressView(out, clock, "deploy");
      view.show({ kind: "received", bytes: 0, totalBytes: 20 * MiB });
      await clock.advance(2000);
      view.show({ kind: "received", bytes: 10 * MiB, totalBytes: 20 * MiB });
      await clock.advance(120);
      expect(lastLine(out.text())).toMatch(
        /^[|/\\-] \[#{12}\.{12}\] {3}50% of 20\.0 MiB {2}4\.\d MiB\/s {2}2s$/,
      );
    }
    expect(lastLine(out.text())).toBe("");
    expect(clock.sleeping).toBe(0);
  });

  test.each([20, 40, 60, 100])("never fills a line of %p columns", async (columns) => {
    const out = terminal(columns);
    const clock = new FakeClock();
    using view = new ProgressView(out, clock, "deploy");
    view.show({ kind: "received", bytes: 5 * MiB, totalBytes: 20 * MiB });
    await clock.advance(3000);
    view.show({ kind: "received", bytes: 5 * MiB, totalBytes: null });
    await clock.advance(120);
    for (const line of out.text().split("\r\u001b[K")) expect(line.length).toBeLessThan(columns);
  });

  test("moves while nothing is said", async () => {
    const out = terminal();
    const clock = new FakeClock();
    using _view = new ProgressView(out, clock, "restart");
    await clock.advance(1000);
    expect(lastLine(out.text())).toMatch(/^[|/\\-] restart {2}1s$/);
  });
});

describe("a screen", () => {
  const of = (isTTY: boolean, env: Record<string, string>) => {
    const { colour, live, columns } = screenOf({ isTTY, columns: 90 }, () => true, env);
    return { colour, live, columns: columns() };
  };
  test.each<[string, boolean, Record<string, string>, object]>([
    ["terminal", true, { TERM: "xterm" }, { colour: true, live: true, columns: 90 }],
    [
      "terminal without colour",
      true,
      { TERM: "xterm", NO_COLOR: "1" },
      { colour: false, live: true, columns: 90 },
    ],
    [
      "terminal where NO_COLOR is empty",
      true,
      { TERM: "xterm", NO_COLOR: "" },
      { colour: true, live: true, columns: 90 },
    ],
    ["dumb terminal", true, { TERM: "dumb" }, { colour: false, live: false, columns: 90 }],
    ["terminal nobody knows", true, {}, { colour: false, live: false, columns: 90 }],
    ["pipe", false, { TERM: "xterm" }, { colour: false, live: false, columns: null }],
  ])("%s", (_, isTTY, env, expected) => {
    expect(of(isTTY, env)).toEqual(expected as ReturnType<typeof of>);
  });
});
