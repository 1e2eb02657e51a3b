import { describe, expect, test } from "bun:test";
import { Answer } from "../../src/cli/operator/answer.ts";
import { DewyError } from "../../src/errors.ts";
import { ScriptedOperations } from "../control/fixture.ts";
import { agentDir, operate } from "./operator-support.ts";

const holder = "pid 1, dewy server, since 2026-11-21T09:00:00.000Z";
const full = new DewyError("filesystem", "the output can't be written: ENOSPC", { hint: "look there" });
const refusing = () => {
  throw full;
};

describe("an answer that can't be written", () => {
  test("fails at its end, and has no gap", () => {
    let text = "";
    let isFull = false;
    const answer = new Answer({
      write: (more) => {
        if (isFull) throw full;
        text += more;
        return true;
      },
    });
    answer.write("a");
    isFull = true;
    answer.write("b");
    isFull = false;
    answer.write("c");
    expect(text).toBe("a");
    expect(() => answer.end(null)).toThrow(full);
    expect(() => answer.end("all was done")).toThrow(
      expect.objectContaining({
        code: "filesystem",
        message: "all was done, but the output can't be written: ENOSPC",
        hint: "look there",
      }),
    );
  });

  test("is none of what was ordered: that has been carried out, and is said to be", async () => {
    const operations = new ScriptedOperations();
    await using dir = await agentDir(holder, operations);
    for (const json of [false, true]) {
      const request = { kind: "order", order: { kind: "restart" }, root: dir.root, json } as const;
      expect(await operate(request, { write: refusing })).toMatchObject({
        code: 3,
        error: { message: "the order was carried out, but the output can't be written: ENOSPC" },
      });
    }
    expect(operations.orders).toHaveLength(2);
    expect(await operate({ kind: "status", root: dir.root }, { write: refusing })).toMatchObject({
      code: 3,
      error: { message: "the output can't be written: ENOSPC" },
    });
  });

  test("does not take the place of why an order failed", async () => {
    const operations = new ScriptedOperations(async () => {
      throw new DewyError("start-failed", "it exited");
    });
    await using dir = await agentDir(holder, operations);
    const request = { kind: "order", order: { kind: "restart" }, root: dir.root, json: true } as const;
    expect(await operate(request, { write: refusing })).toMatchObject({
      code: 4,
      error: { message: "it exited" },
    });
  });
});
