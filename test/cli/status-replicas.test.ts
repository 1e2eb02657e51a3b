import { expect, test } from "bun:test";
import { servingText } from "../../src/cli/operator/status-replicas.ts";

test.each([
  [0, 2, "0 of 2 serve"],
  [1, 2, "1 of 2 serve"],
  [2, 2, "2 of 2 serve"],
  [3, 2, "2 of 2 serve, 1 new"],
  [4, 2, "2 of 2 serve, 2 new"],
])("%d that serve where %d are wanted read as such", (serving, wanted, text) => {
  expect(servingText({ serving, wanted })).toBe(text);
});
