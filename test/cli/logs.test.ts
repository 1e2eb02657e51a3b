import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { showLogs } from "../../src/cli/operator/logs.ts";
import { socketOf } from "../../src/control/client.ts";
import { protocolVersion } from "../../src/control/protocol.ts";
import { FakeClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { screen } from "./operator-support.ts";

interface Page {
  readonly pid: number;
  readonly lines: readonly string[];
  readonly last: number;
}

/** Answers with one page after the other; null: what an agent says that ends just then. Then it is gone. */
function agentWith(pages: readonly (Page | null)[]) {
  const dir = tempDir();
  mkdirSync(join(dir.path, ".dewy"));
  const asked: unknown[] = [];
  const rest = [...pages];
  const server = Bun.serve({
    unix: socketOf(dir.path),
    async fetch(request) {
      const { ask } = (await request.json()) as { ask: unknown };
      asked.push(ask);
      const page = rest.shift() ?? null;
      const hello = {
        kind: "hello",
        protocol: protocolVersion,
        version: "v1",
        pid: page?.pid ?? 7,
        root: "/",
      };
      const stopped = { kind: "error", code: "stopped", message: "the agent ends", hint: null };
      const end =
        page === null ? stopped : { kind: "result", result: { lines: page.lines, last: page.last } };
      if (rest.length === 0) void server.stop();
      return new Response([hello, end].map((line) => `${JSON.stringify(line)}\n`).join(""));
    },
  });
  return {
    root: dir.path,
    asked,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      dir[Symbol.dispose]();
    },
  };
}

/** Follows until it ends by itself, and answers what was shown. */
async function follow(root: string, write?: () => boolean) {
  const clock = new FakeClock();
  const [out, err] = [screen(), screen()];
  const io = { out: write === undefined ? out : { ...out, write }, err, clock };
  const request = { kind: "logs", root, json: false, count: 5, level: "info", follow: true } as const;
  let isOver = false;
  const done = showLogs(request, io, { signal: new AbortController().signal }).finally(() => {
    isOver = true;
  });
  await until("it has ended", async () => {
    if (clock.sleeping > 0) await clock.advance(500);
    return isOver;
  });
  return { code: await done, out: out.text(), err: err.text() };
}

describe("who follows the records", () => {
  test("sees each once, and is told when the agent ends", async () => {
    await using agent = agentWith([
      { pid: 7, lines: ["one"], last: 4 },
      { pid: 7, lines: [], last: 4 },
      { pid: 7, lines: ["two", "three\u001b[31m"], last: 6 },
      null,
    ]);
    expect(await follow(agent.root)).toEqual({
      code: 0,
      out: "one\ntwo\nthree\\u001b[31m\n",
      err: "The agent (pid 7) has ended.\n",
    });
    const question = { kind: "logs", level: "info", format: "text" };
    expect(agent.asked).toEqual([
      { ...question, count: 5, after: null },
      ...[4, 4, 6].map((after) => ({ ...question, count: 100_000, after })),
    ]);
  });

  test("is not led on to another agent, whose records have numbers of their own", async () => {
    await using agent = agentWith([
      { pid: 7, lines: ["one"], last: 4 },
      { pid: 8, lines: ["of another"], last: 9 },
      { pid: 8, lines: [], last: 9 },
    ]);
    expect(await follow(agent.root)).toEqual({
      code: 0,
      out: "one\n",
      err: "The agent (pid 7) has ended; another one runs now.\n",
    });
  });

  test("and reads no more, ends it", async () => {
    await using agent = agentWith([
      { pid: 7, lines: ["one"], last: 1 },
      { pid: 7, lines: ["two"], last: 2 },
      { pid: 7, lines: ["three"], last: 3 },
    ]);
    const answers = [true, false];
    expect(await follow(agent.root, () => answers.shift() ?? false)).toEqual({ code: 0, out: "", err: "" });
    expect(agent.asked).toHaveLength(2);
  });
});
