import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { recordedState } from "../../src/cli/operator/recorded-state.ts";
import { DewyError } from "../../src/errors.ts";
import { tempDir } from "../support/temp-dir.ts";

test("a state that no agent has left is none", () => {
  using dir = tempDir();
  expect(recordedState(join(dir.path, "state.json"))).toBeNull();
});

test.each(['{"current": "planted', "[]", ""])("a damaged one (%j) is told without its content", (content) => {
  using dir = tempDir();
  const path = join(dir.path, "state.json");
  writeFileSync(path, content);
  const read = () => recordedState(path);
  expect(read).toThrow(
    new DewyError("filesystem", `${path} is damaged`, {
      hint: "start the agent: it moves the file aside and goes by what is on disk",
    }),
  );
});

test("one of a newer dewy says so", () => {
  using dir = tempDir();
  const path = join(dir.path, "state.json");
  writeFileSync(path, '{"version": 9}');
  expect(() => recordedState(path)).toThrow("was written by a newer dewy");
});
