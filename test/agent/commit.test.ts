import { describe, expect, test } from "bun:test";
import { keptOf, lastGood } from "../../src/agent/back/kept.ts";
import { committed, type Done } from "../../src/agent/deploy/commit.ts";
import type { Errand } from "../../src/agent/deploy/errand.ts";
import { emptyState, type State, type StateChanges } from "../../src/agent/state.ts";
import type { DeployRecord, Digest } from "../../src/release/release.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { tagOrder } from "../../src/release/version.ts";

const now = new Date("2026-11-21T12:00:00Z");
const digest = (letter: string): Digest => `sha256:${letter.repeat(64)}`;
const placed = (tag: string, hour: number, letter: string) => ({
  tag,
  digest: digest(letter),
  artifact: "app.zip",
  release: `20261121T${String(hour).padStart(2, "0")}0000Z`,
  since: "",
});
const [v1, v2, v3] = [placed("v1.0.0", 1, "a"), placed("v2.0.0", 2, "b"), placed("v3.0.0", 3, "c")];
const keptAs = (...all: (typeof v1)[]) =>
  Object.fromEntries(
    all.map(({ release, tag, artifact, digest: own }) => [
      release,
      { tag, artifact, digest: own, fingerprint: `print ${tag}` },
    ]),
  );
const quarantined = ({ tag, digest: own }: typeof v1) => ({
  tag,
  digest: own,
  fingerprint: "",
  reason: "died",
  at: "",
});
const state: State = { ...emptyState, current: v3, previous: v2, releases: keptAs(v1, v2, v3) };

function after(
  from: State,
  to: typeof v1,
  changes: Partial<Errand>,
  others: Partial<Done> = {},
): StateChanges {
  const errand: Errand = {
    tag: to.tag,
    artifact: to.artifact,
    cause: "check",
    left: null,
    reason: null,
    kept: null,
    published: null,
    fingerprint: "print",
    obtain: () => Promise.reject(new Error("not asked for")),
    ...changes,
  };
  const order = tagOrder(semverScheme(null));
  return committed(from, { errand, placed: to, record, soakMs: 0, order, now, ...others });
}

const artifact = { name: "app.zip", url: "u", sizeBytes: 1, digest: null, revision: null };
const published = (tag: string, moving = false) => ({ tag, moving, createdAt: null, files: [], artifact });
const record: DeployRecord = {
  id: "1",
  host: "web1",
  command: "server",
  tag: "v1",
  digest: null,
  fromTag: null,
  startedAt: "",
  finishedAt: "",
  durationMs: 1,
  result: "deployed",
};

describe("what is the release before, once", () => {
  const v4 = placed("v4.0.0", 4, "d");
  const soak = {
    release: v3.release,
    since: now.toISOString(),
    until: new Date(now.getTime() + 1).toISOString(),
  };

  test.each<[string, State, typeof v1, Partial<Errand>, string | null]>([
    ["a newer one is deployed", state, v4, {}, "v3.0.0"],
    ["a newer one is deployed in the soak", { ...state, soak }, v4, { cause: "deploy" }, "v2.0.0"],
    [
      "the soak's first one is replaced",
      { ...state, soak, previous: null },
      v4,
      { cause: "deploy" },
      "v3.0.0",
    ],
    [
      "the one before is deployed anew in the soak",
      { ...state, soak },
      { ...v2, release: v4.release },
      { cause: "deploy" },
      "v1.0.0",
    ],
    ["the same one is deployed again", state, { ...v3, release: v4.release }, {}, "v2.0.0"],
    ["it was rolled back", state, v2, { cause: "rollback", kept: v2 }, "v1.0.0"],
    [
      "it was rolled back under another name",
      state,
      { ...v2, release: v4.release },
      { cause: "rollback", kept: v2 },
      "v1.0.0",
    ],
    ["it was rolled back to the first one", state, v1, { cause: "rollback", kept: v1 }, null],
    [
      "it was rolled back to one of the registry",
      state,
      placed("v0.1.0", 5, "e"),
      { cause: "rollback" },
      null,
    ],
    [
      "it went back past a bad one",
      { ...state, quarantine: [quarantined(v1)] },
      v2,
      { cause: "retreat", kept: v2 },
      null,
    ],
  ])("%s", (_, from, to, errand, tag) => {
    expect(after(from, to, errand).previous?.tag ?? null).toBe(tag);
  });
});

describe("what is quarantined, once", () => {
  const latest = (hour: number, letter: string) => placed("latest", hour, letter);

  test("a release was left because it failed: it, by its tag, digest and fingerprint", () => {
    expect(after(state, v2, { cause: "retreat", kept: v2, reason: "it died" }).quarantine).toEqual([
      {
        tag: "v3.0.0",
        digest: v3.digest,
        fingerprint: "print v3.0.0",
        reason: "it died",
        at: now.toISOString(),
      },
    ]);
  });

  test("a tag that moves was left for what it meant before: what it means now, alone", () => {
    const from = {
      ...state,
      current: latest(3, "c"),
      previous: latest(2, "b"),
      quarantine: [quarantined(latest(1, "a"))],
    };
    const { quarantine = [] } = after(from, latest(2, "b"), { cause: "retreat", kept: latest(2, "b") });
    expect(quarantine.map((entry) => entry.digest)).toEqual([digest("a"), digest("c")]);
  });

  test.each<[string, Partial<Errand>, number]>([
    ["published under a tag that stays: all of that tag", { published: published("v1.0.0") }, 0],
    ["published under a tag that moves: that content", { published: published("v1.0.0", true) }, 1],
    ["kept here: that content", { kept: v1 }, 1],
  ])("a quarantined release works, %s is free again", (_, errand, left) => {
    const quarantine = [quarantined(v1), quarantined({ ...v1, digest: digest("f") })];
    expect(after({ ...state, quarantine }, v1, errand).quarantine).toHaveLength(left);
  });
});

describe("that what runs should be left", () => {
  const about = { release: v3.release, reason: "it died", at: now.toISOString() };
  const retreat = { ...about, tries: 1 };
  const stranded = { ...about, why: "gone", hint: "", diedAt: null, triedAt: about.at, unlike: null };
  const from = { ...state, retreat, stranded };

  test("is remembered where the same is put in place under another name", () => {
    const release = "20261121T050000Z";
    expect(after(from, { ...v3, release }, {})).toMatchObject({
      retreat: { ...retreat, release },
      stranded: { ...stranded, release },
    });
  });

  test("is over where another one is put in its place, and was where that had been", () => {
    expect(after(from, placed("v4.0.0", 4, "d"), {})).toMatchObject({ retreat: null, stranded: null });
    const other = { ...from, current: v2, stranded: { ...stranded, release: v1.release } };
    expect(after(other, v2, {})).toMatchObject({ retreat: null, stranded: null });
  });
});

test.each<[Partial<Errand>, number, Partial<State>, boolean]>([
  [{ cause: "check" }, 1000, {}, true],
  [{ cause: "deploy" }, 1000, {}, true],
  [{ cause: "check" }, 0, {}, false],
  [{ cause: "rollback", kept: v2 }, 1000, {}, false],
  [{ cause: "retreat", kept: v2 }, 1000, {}, false],
  [{ cause: "check" }, 1000, { current: null, previous: null }, false],
])(
  "a soak begins only with something new that has something before it: %j, %p ms, %j",
  (errand, soakMs, from, begins) => {
    const { soak } = after({ ...state, ...from }, placed("v4.0.0", 4, "d"), errand, { soakMs });
    expect(soak === null).toBe(!begins);
  },
);

describe("a rollback's target", () => {
  test.each<[string, State, string | null]>([
    ["is the last good one", state, "v2.0.0"],
    ["is the newest other that is kept, where there is none", { ...state, previous: null }, "v2.0.0"],
    ["is no bad one", { ...state, quarantine: [quarantined(v2)] }, "v1.0.0"],
    ["is not what runs", { ...state, previous: v3, releases: keptAs(v3) }, null],
    ["may be recorded as the one before alone", { ...state, releases: {} }, "v2.0.0"],
  ])("%s", (_, from, tag) => {
    expect(lastGood(from)?.tag ?? null).toBe(tag);
  });

  test("of a tag that moved is what it meant before", () => {
    const [old, fresh] = [placed("latest", 1, "a"), placed("latest", 2, "b")];
    const from = { ...state, current: fresh, previous: null, releases: keptAs(old, fresh) };
    expect(keptOf("latest", from)).toMatchObject({ digest: digest("a") });
    expect(lastGood(from)).toMatchObject({ digest: digest("a") });
  });
});
