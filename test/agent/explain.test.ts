import { expect, test } from "bun:test";
import { explain } from "../../src/agent/orders/explain.ts";
import { emptyState } from "../../src/agent/state.ts";
import type { Release } from "../../src/release/release.ts";

const now = new Date("2026-01-01T00:00:00Z");

function release(...names: string[]): Release {
  const files = names.map((name) => ({ name, url: "", sizeBytes: null, digest: null, revision: null }));
  return { tag: "v1.0.0", createdAt: now, artifact: null, files };
}

test.each([
  [[], "v1.0.0 has no artifact yet"],
  [["app_linux_arm64.tar.gz"], "v1.0.0 has no artifact yet that fits this host, only app_linux_arm64.tar.gz"],
  [["a", "b", "c", "d", "e"], "v1.0.0 has no artifact yet that fits this host, only a, b, c and 2 more"],
])("a release with %j says what it lacks", (names, text) => {
  const about = release(...names);
  expect(explain({ kind: "skip", reason: "grace" }, about, emptyState, now)).toEqual({ text, until: null });
});
