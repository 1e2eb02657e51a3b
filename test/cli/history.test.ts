import { describe, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { renderHistory } from "../../src/cli/operator/history.ts";
import { renderTime } from "../../src/cli/operator/render.ts";
import type { Cause, DeployRecord } from "../../src/release/release.ts";
import { agentDir, operate, screen } from "./operator-support.ts";

const finishedAt = "2026-11-21T09:00:03.000Z";
const shown = renderTime(new Date(finishedAt));

function record(tag: string, changes: Partial<DeployRecord> = {}): DeployRecord {
  return {
    id: tag,
    host: "h",
    command: "server",
    tag,
    digest: null,
    fromTag: null,
    startedAt: "2026-11-21T09:00:00.000Z",
    finishedAt,
    durationMs: 3200,
    result: "deployed",
    ...changes,
  };
}

describe("the history", () => {
  test("is read without an agent, the last deploy first, whatever a crash tore", async () => {
    await using dir = await agentDir("pid 1");
    await dir.endAgent();
    const lines = ["v1.0.0", "v1.1.0", "v1.2.0"].map((tag) => JSON.stringify(record(tag)));
    writeFileSync(dir.layout.history, `${lines.join("\n")}\n`);
    appendFileSync(dir.layout.history, '"a text"\nnull\n{}\n{"id":"v1.3.0","ta');
    const { code, out } = await operate({ kind: "history", root: dir.root, count: 2, json: true });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ root: dir.root, deploys: [record("v1.2.0"), record("v1.1.0")] });
    expect((await operate({ kind: "history", root: dir.root, count: 1 })).lines).toEqual([
      "TIME                   VERSION    FROM    RESULT      CAUSE    TOOK    WHY",
      `${shown}    v1.2.0     -       deployed    -        3s      -`,
    ]);
  });

  test("of a directory without deploys says so", async () => {
    await using dir = await agentDir("pid 1");
    expect(await operate({ kind: "history", root: dir.root, count: 5 })).toMatchObject({
      code: 0,
      out: "Nothing has been deployed here.\n",
    });
  });
});

const failed = record("v2.0.0", {
  result: "failed",
  fromTag: "v1.0.0",
  error: "the new server exited with code 3\nright after its start",
});

test("on a narrow terminal a reason stands below its deploy, whole", () => {
  expect(renderHistory([failed, record("v1.0.0")], screen({ columns: () => 60 })).split("\n")).toEqual([
    "TIME                   VERSION    FROM      RESULT      CAUSE    TOOK",
    `${shown}    v2.0.0     v1.0.0    failed      -        3s`,
    "    the new server exited with code 3\\u000aright after its",
    "    start",
    `${shown}    v1.0.0     -         deployed    -        3s`,
    "",
  ]);
});

test("each deploy has its cause, also one that only a newer dewy knows", () => {
  const causes = ["check", "deploy", "rollback", "retreat", "whim"];
  const records = causes.map((cause) => ({ ...record("v1.0.0"), cause: cause as Cause }));
  const [, ...lines] = renderHistory(records, screen()).trimEnd().split("\n");
  expect(lines.map((line) => line.split(/ {2,}/)[4])).toEqual([
    "new release",
    "dewy deploy",
    "dewy rollback",
    "going back",
    "whim",
  ]);
});

test("elsewhere each deploy stays one line", () => {
  expect(renderHistory([failed], screen()).trimEnd().split("\n")).toHaveLength(2);
});
