import { describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { ReleaseDirectory, toPrune } from "../../src/activate/release-dir.ts";
import { FakeClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";
import { mountTmpfs } from "../support/tmpfs.ts";

const c = { signal: new AbortController().signal };

/** A working directory whose releases hold one file, `name`. */
function make() {
  const dir = tempDir();
  const clock = new FakeClock(new Date("2026-11-21T09:36:58.900Z"));
  const releases = new ReleaseDirectory(dir.path, clock);
  const stage = (name: string) => releases.stage(async (into) => writeFileSync(join(into, name), ""), c);
  const names = () => (existsSync(releases.path) ? readdirSync(releases.path).sort() : []);
  return { root: dir.path, clock, releases, stage, names, [Symbol.dispose]: () => dir[Symbol.dispose]() };
}

describe("staging a release", () => {
  test("gives it the UTC time as its name, and does not switch to it", async () => {
    using place = make();
    expect(await place.stage("v1")).toBe("20261121T093658Z");
    expect(place.names()).toEqual(["20261121T093658Z"]);
    expect(place.releases.active()).toBeNull();
    expect(existsSync(place.releases.link)).toBe(false);
  });

  test("several in one second take the next free ones, over the minute too", async () => {
    using place = make();
    const names = [await place.stage("a"), await place.stage("b"), await place.stage("c")];
    expect(names).toEqual(["20261121T093658Z", "20261121T093659Z", "20261121T093700Z"]);
    expect(place.releases.list()).toEqual(names.toReversed());
  });

  test("that fails leaves nothing behind", async () => {
    using place = make();
    const failing = place.releases.stage(async (into) => {
      writeFileSync(join(into, "half"), "");
      throw Object.assign(new Error("no space"), { code: "ENOSPC" });
    }, c);
    await expect(failing).rejects.toMatchObject({ code: "disk-full" });
    expect(place.names()).toEqual([]);
  });

  test("on a full disk leaves nothing behind, and works once there is room", async () => {
    using place = make();
    await using _ = mountTmpfs(place.root, "size=64k");
    const filling = place.releases.stage(
      async (into) => writeFileSync(join(into, "large"), Buffer.alloc(200_000)),
      c,
    );
    await expect(filling).rejects.toMatchObject({ code: "disk-full" });
    expect(place.names()).toEqual([]);
    await place.stage("small");
    expect(place.names()).toHaveLength(1);
  });

  test("nobody sees it under its name before it is whole", async () => {
    using place = make();
    await place.releases.stage(async (into) => {
      writeFileSync(join(into, "half"), "");
      expect(place.releases.list()).toEqual([]);
      expect(place.names()).toEqual([expect.stringMatching(/^\.partial-/)]);
    }, c);
  });
});

describe("`current`", () => {
  test("is a relative link to the release, replaced in one step", async () => {
    using place = make();
    const [one, two] = [await place.stage("v1"), await place.stage("v2")];
    place.releases.switchTo(one);
    expect(readlinkSync(place.releases.link)).toBe(`releases/${one}`);
    expect(place.releases.active()).toBe(one);
    place.releases.switchTo(two);
    expect(place.releases.active()).toBe(two);
    expect(readdirSync(place.root).sort()).toEqual(["current", "releases"]);
  });

  test("that is a real directory is left alone, and the error says what to do", async () => {
    using place = make();
    const release = await place.stage("v1");
    mkdirSync(place.releases.link);
    writeFileSync(join(place.releases.link, "precious"), "");
    const before = place.releases.linkTarget();
    expect(() => place.releases.switchTo(release)).toThrow("is a directory, not a link");
    place.releases.restoreLink(before);
    expect(readdirSync(place.root).sort()).toEqual(["current", "releases"]);
    expect(readdirSync(place.releases.link)).toEqual(["precious"]);
    expect(place.releases.active()).toBeNull();
  });

  test.each([
    ["nothing", () => undefined],
    ["a relative link", (link: string) => symlinkSync("releases/20200101T000000Z", link)],
    ["an absolute link to elsewhere", (link: string) => symlinkSync("/opt/app", link)],
  ])("that was %s becomes that again", async (_, prepare) => {
    using place = make();
    prepare(place.releases.link);
    const was = linkAt(place.releases.link);
    const before = place.releases.linkTarget();
    place.releases.switchTo(await place.stage("v1"));
    place.releases.restoreLink(before);
    expect(linkAt(place.releases.link)).toBe(was);
  });

  test.each<[string, (root: string, release: string) => void, boolean]>([
    ["leads there by an absolute path", (root, release) => link(root, join(root, "releases", release)), true],
    ["leads to a release that is gone", (root) => link(root, "releases/20200101T000000Z"), false],
    ["leads out of the releases", (root) => link(root, "/tmp"), false],
    [
      "leads to a directory that is no release",
      (root) => {
        mkdirSync(join(root, "releases/x"));
        link(root, "releases/x");
      },
      false,
    ],
    [
      "leads to a release of that name elsewhere",
      (root, release) => {
        mkdirSync(join(root, "old/releases", release), { recursive: true });
        link(root, join(root, "old/releases", release));
      },
      false,
    ],
    ["is a file", (root) => writeFileSync(join(root, "current"), ""), false],
  ])("that %s", async (_, prepare, ours) => {
    using place = make();
    const release = await place.stage("v1");
    prepare(place.root, release);
    expect(place.releases.active()).toBe(ours ? release : null);
  });
});

describe("after a crash", () => {
  test("work in progress is removed, releases and `current` stay", async () => {
    using place = make();
    const release = await place.stage("v1");
    place.releases.switchTo(release);
    mkdirSync(join(place.releases.path, ".partial-1/deep"), { recursive: true });
    writeFileSync(join(place.releases.path, ".partial-1/deep/file"), "");
    symlinkSync("releases/x", `${place.releases.link}.dewy-new`);
    writeFileSync(join(place.root, "notes.txt"), "somebody else's");
    place.releases.recover();
    expect(place.names()).toEqual([release]);
    expect(readdirSync(place.root).sort()).toEqual(["current", "notes.txt", "releases"]);
    expect(place.releases.active()).toBe(release);
  });

  test("there may be nothing to clean", () => {
    using place = make();
    expect(() => place.releases.recover()).not.toThrow();
    expect(place.releases.list()).toEqual([]);
  });

  test("a switch that was interrupted does not stand in the way of the next", async () => {
    using place = make();
    symlinkSync("releases/x", `${place.releases.link}.dewy-new`);
    const release = await place.stage("v1");
    place.releases.switchTo(release);
    expect(place.releases.active()).toBe(release);
  });
});

describe("removing", () => {
  test("takes a release and nothing that is none", async () => {
    using place = make();
    const release = await place.stage("v1");
    for (const name of ["..", ".", "", "../releases", "x"]) place.releases.remove(name);
    expect(place.names()).toEqual([release]);
    place.releases.remove(release);
    expect(place.names()).toEqual([]);
    expect(() => place.releases.remove(release)).not.toThrow();
  });

  test("has() knows only releases", async () => {
    using place = make();
    const release = await place.stage("v1");
    expect(place.releases.has(release)).toBe(true);
    for (const name of ["..", "", "20200101T000000Z"]) expect(place.releases.has(name)).toBe(false);
  });
});

describe("which releases go", () => {
  test.each<[string, string[], number, string[], string[]]>([
    ["the oldest", ["d", "c", "b", "a"], 2, [], ["b", "a"]],
    ["none when there are few", ["b", "a"], 7, [], []],
    ["never a protected one, which counts", ["d", "c", "b", "a"], 2, ["a"], ["c", "b"]],
    ["not even when more are protected than kept", ["c", "b", "a"], 1, ["a", "b"], ["c"]],
    ["a protected one that is gone counts for nothing", ["c", "b", "a"], 2, ["x"], ["a"]],
  ])("%s", (_, releases, keep, kept, gone) => {
    expect(toPrune(releases, keep, new Set(kept))).toEqual(gone);
  });

  test("whatever the releases: no protected one, exactly as many as asked, and the newest of the others", () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}$/), { maxLength: 30 });
    fc.assert(
      fc.property(names, fc.nat(12), fc.func(fc.boolean()), (unsorted, keep, isProtected) => {
        const releases = unsorted.toSorted().toReversed();
        const protectedOnes = new Set(releases.filter((name) => isProtected(name)));
        const gone = toPrune(releases, keep, protectedOnes);
        const kept = releases.filter((name) => !gone.includes(name));
        expect(gone.filter((name) => protectedOnes.has(name))).toEqual([]);
        expect(kept).toHaveLength(Math.min(releases.length, Math.max(keep, protectedOnes.size)));
        const newestGone = gone[0] ?? "";
        const free = kept.filter((name) => !protectedOnes.has(name));
        expect(free.every((name) => name > newestGone)).toBe(true);
      }),
    );
  });
});

function link(root: string, target: string): void {
  symlinkSync(target, join(root, "current"));
}

function linkAt(path: string): string | null {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : null;
}
