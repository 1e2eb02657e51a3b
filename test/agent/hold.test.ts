import { describe, expect, test } from "bun:test";
import {
  expired,
  heldByOperator,
  heldByRollback,
  holds,
  leftBehind,
  leftByDeploy,
  rollbackHoldLifted,
} from "../../src/agent/back/hold.ts";
import type { Hold } from "../../src/agent/orders/operations.ts";
import { emptyState, type State } from "../../src/agent/state.ts";
import type { Digest, Release } from "../../src/release/release.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { noOrder, type TagOrder, tagOrder } from "../../src/release/version.ts";

const now = new Date("2026-11-21T12:00:00Z");
const order = tagOrder(semverScheme(null));
const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
const hold: Hold = { since: now.toISOString(), until: null, reason: null, left: null };
const left = (tag: string): Hold => ({ ...hold, left: tag, leftDigest: digest("a") });
const file = (letter: string) => ({
  name: "a",
  url: "u",
  sizeBytes: 1,
  digest: digest(letter),
  revision: null,
});
const release = (tag: string, moving = false, letter = "a") => ({
  tag,
  moving,
  createdAt: null,
  artifact: file(letter),
  files: [],
});
const current = (tag: string) => ({ tag, digest: digest("c"), artifact: "a", release: "r", since: "" });
const stateWith = (changes: Partial<State>): State => ({ ...emptyState, ...changes });

describe("what a hold keeps away", () => {
  test.each<[string, Hold | null, Release, TagOrder, boolean]>([
    ["nothing, where there is none", null, release("v1.0.0"), order, false],
    ["everything, an operator's", hold, release("v9.0.0"), order, true],
    ["what was left", left("v1.1.0"), release("v1.1.0"), order, true],
    ["what is older than that", left("v1.1.0"), release("v1.0.9"), order, true],
    ["not what is newer", left("v1.1.0"), release("v1.1.1"), order, false],
    ["not another build of what was left", left("v1.1.0+1"), release("v1.1.0+2"), order, false],
    ["what was left, where tags are names", left("blue"), release("blue"), noOrder, true],
    ["not another one, where tags are names", left("blue"), release("green"), noOrder, false],
    [
      "a tag that moves, as long as it means the same",
      left("latest"),
      release("latest", true),
      noOrder,
      true,
    ],
    [
      "not a tag that came to mean another release",
      left("latest"),
      release("latest", true, "b"),
      noOrder,
      false,
    ],
    [
      "a tag that does not move, whatever it means now",
      left("v1.1.0"),
      release("v1.1.0", false, "b"),
      order,
      true,
    ],
  ])("%s", (_, held, offered, by, kept) => {
    expect(holds({ hold: held, holdBelow: null }, offered, { now, order: by })).toBe(kept);
  });
});

describe("a hold over another", () => {
  const [operators, rollbacks] = [hold, left("v1.1.0")];

  test("an operator's covers a rollback's, which is there again at its end", () => {
    const until = new Date(now.getTime() + 1000).toISOString();
    const over = { ...operators, until };
    const held = stateWith(heldByOperator(stateWith({ hold: rollbacks }), over));
    expect(held).toMatchObject({ hold: over, holdBelow: rollbacks });
    expect(expired(held, now)).toBeNull();
    expect(expired(held, new Date(until))).toEqual({ hold: rollbacks, holdBelow: null });
  });

  test("an operator's in another's place keeps what lies below", () => {
    const state = stateWith({ hold: operators, holdBelow: rollbacks });
    expect(heldByOperator(state, { ...operators, reason: "x" })).toMatchObject({ holdBelow: rollbacks });
  });

  test("a rollback's comes below an operator's, and in the place of another rollback's", () => {
    expect(heldByRollback(stateWith({ hold: operators }), rollbacks)).toEqual({ holdBelow: rollbacks });
    expect(heldByRollback(stateWith({ hold: left("v1.0.0") }), rollbacks)).toEqual({
      hold: rollbacks,
      holdBelow: null,
    });
  });

  test("a newer release ends a rollback's, never an operator's", () => {
    expect(rollbackHoldLifted(stateWith({ hold: rollbacks }))).toEqual({ hold: null, holdBelow: null });
    expect(rollbackHoldLifted(stateWith({ hold: operators, holdBelow: rollbacks }))).toEqual({
      holdBelow: null,
    });
  });
});

describe("what an order leaves", () => {
  test.each<[string, Partial<State>, TagOrder, string | null]>([
    ["what runs", { current: current("v1.1.0") }, order, "v1.1.0"],
    ["what an earlier rollback left", { current: current("v1.0.0"), hold: left("v1.1.0") }, order, "v1.1.0"],
    [
      "the same below an operator's hold",
      { current: current("v1.0.0"), hold, holdBelow: left("v1.1.0") },
      order,
      "v1.1.0",
    ],
    ["what runs, if that is newer", { current: current("v1.2.0"), hold: left("v1.1.0") }, order, "v1.2.0"],
    ["what was left first, where tags are names", { current: current("b"), hold: left("a") }, noOrder, "a"],
    ["nothing, where nothing runs", {}, order, null],
  ])("a rollback: %s", (_, changes, by, tag) => {
    expect(leftBehind(stateWith(changes), by)?.left ?? null).toBe(tag);
  });

  test.each<[string, ReturnType<typeof release>, Release | null, TagOrder, string | null]>([
    ["nothing, if it is the newest", release("v1.0.0"), release("v1.0.0"), order, null],
    ["the newest", release("v1.0.0"), release("v1.1.0"), order, "v1.1.0"],
    [
      "itself, if it is newer than the registry's newest",
      release("v2.0.0-rc.1"),
      release("v1.1.0"),
      order,
      "v2.0.0-rc.1",
    ],
    ["itself, if the registry has none", release("v1.0.0"), null, order, "v1.0.0"],
    ["the registry's choice, where tags are names", release("b"), release("a"), noOrder, "a"],
    [
      "what a moving tag means now",
      release("latest", true, "a"),
      release("latest", true, "b"),
      noOrder,
      "latest",
    ],
  ])("a deploy: %s", (_, wanted, newest, by, tag) => {
    expect(leftByDeploy(wanted, newest, by)?.left ?? null).toBe(tag);
  });
});
