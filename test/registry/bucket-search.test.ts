import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { TagSearch } from "../../src/registry/bucket/search.ts";
import { calverScheme } from "../../src/release/calver.ts";
import { type SelectPolicy, selectTag } from "../../src/release/select.ts";
import { semverScheme } from "../../src/release/semver.ts";
import { compareVersions, type ParsedVersion } from "../../src/release/version.ts";
import { byBytes } from "../store/contract-support.ts";
import { counting, listOf } from "./bucket-store.ts";

const c = { signal: new AbortController().signal };
const stable: SelectPolicy = { scheme: semverScheme(null), preRelease: false, slot: null };

const number = fc.nat({ max: 12 });
const core = fc.tuple(fc.constantFrom("v", ""), number, fc.nat({ max: 3 }), number);
const suffix = fc.constantFrom("", "", "", "-rc.1", "-rc.2", "-0", "+blue", "+green", "-rc.1+blue");
const version = fc.tuple(core, suffix).map(([[v, ...numbers], end]) => `${v}${numbers.join(".")}${end}`);
const junk = fc.constantFrom(
  "nightly",
  "v1",
  "1.2",
  "v1.x.0",
  "v01.2.3",
  "V1.2.3",
  "1.2.3.4",
  "v1.2.3/x",
  "v.1.2",
  "1..2",
);
const tags = fc.uniqueArray(fc.oneof({ weight: 8, arbitrary: version }, junk), { maxLength: 40 });
const constraint = fc.constantFrom(
  null,
  null,
  "~1.2",
  "^2",
  ">=3.1 <5",
  "1.x || 7.x",
  "<2.0.0-rc.2",
  "1.2.3",
  "*",
  ">12.3.0",
  "2.1.0 - 4.0.1",
  ">=1.2.3-rc.2 <1.2.3",
);
const policy = fc
  .record({ constraint, preRelease: fc.boolean(), slot: fc.constantFrom(null, null, "blue", "green", "red") })
  .map(({ constraint: range, ...rest }) => ({ ...rest, scheme: semverScheme(range) }));
const limits = fc.record({
  pageEntries: fc.integer({ min: 1, max: 8 }),
  treePages: fc.integer({ min: 0, max: 60 }),
  forgetAfter: fc.integer({ min: 1, max: 4 }),
});

describe("the newest tag of a bucket", () => {
  test("is the same by whichever way it is found, today and on the next ticks", async () => {
    await fc.assert(
      fc.asyncProperty(tags, policy, limits, async (all, wanted, limited) => {
        const search = new TagSearch(listOf(keysOf(all)), wanted, limited);
        const expected = selectTag(topLevel(all), wanted);
        for (let tick = 0; tick < 3; tick++) {
          const { chosen, others } = await search.newest(null, c);
          const passedOver = others[0] !== undefined && isNewer(others[0], chosen[0]) ? others[0].tag : null;
          expect({ tag: chosen[0]?.tag ?? null, otherSlot: passedOver }).toEqual(expected);
        }
      }),
      { numRuns: 600 },
    );
  });

  test("and the ones below it come in order, one after the other, until none is left", async () => {
    await fc.assert(
      fc.asyncProperty(tags, policy, limits, async (all, wanted, limited) => {
        const search = new TagSearch(listOf(keysOf(all)), wanted, limited);
        const inOrder: string[] = [];
        for (let rest = topLevel(all); ; ) {
          const { tag } = selectTag(rest, wanted);
          if (tag === null) break;
          inOrder.push(tag);
          rest = rest.filter((other) => other !== tag);
        }
        const found: string[] = [];
        for (let below: ParsedVersion | null = null; ; ) {
          const { chosen } = await search.newest(below, c);
          found.push(...chosen.map(({ tag }) => tag));
          const last = chosen.at(-1);
          if (last === undefined) break;
          below = last;
        }
        expect(found).toEqual(inOrder);
      }),
      { numRuns: 300 },
    );
  });
});

describe("what a search costs", () => {
  const versions = (count: number) => Array.from({ length: count }, (_, index) => versionOf(index));

  test.each([
    ["nothing", [], 1],
    ["a few", versions(999), 1],
    ["5,000 versions", versions(5000), 3],
    ["5,000 versions, in two spellings", versions(5000).flatMap((tag) => [tag, tag.slice(1)]), 5],
    [
      "5,000 versions, the newest majors pre-releases only",
      [...versions(5000), "v90.0.0-rc.1", "v91.0.0-rc.1"],
      7,
    ],
    ["20,000 versions", versions(20_000), 3],
  ])("%s", async (_, all, pages) => {
    const { search, counts, reset } = searchIn(all);
    await search.newest(null, c);
    reset();
    const { chosen } = await search.newest(null, c);
    expect(chosen[0]?.tag ?? null).toBe(selectTag(all, stable).tag);
    expect(counts.lists).toBe(pages);
    expect(counts.entries).toBeLessThan(1000);
  });

  test("a constraint leads straight to where it can be satisfied", async () => {
    const all = versions(20_000);
    const wanted = { ...stable, scheme: semverScheme("~3.7") };
    const { search, counts, reset } = searchIn(all, wanted);
    await search.newest(null, c);
    reset();
    const { chosen } = await search.newest(null, c);
    expect(chosen[0]?.tag).toBe("v3.7.49");
    expect(counts.lists).toBe(3);
  });

  test.each([
    [
      "CalVer",
      { ...stable, scheme: calverScheme("YYYY.0M.0D.MICRO") },
      (index: number) => `2026.01.01.${index}`,
      5,
    ],
    ["many tags that are no versions", stable, (index: number) => `build-${index}.1`, 5],
    ["all patches of one minor version", stable, (index: number) => `v1.0.${index}`, 7],
    ["only pre-releases, spread thinly", stable, (index: number) => `v${index}.0.0-rc.1`, 5],
  ])("%s: page by page", async (_, wanted, tagOf, pages) => {
    const all = Array.from({ length: 5000 }, (_, index) => tagOf(index));
    const { search, counts, reset } = searchIn(all, wanted);
    await search.newest(null, c);
    reset();
    const { chosen } = await search.newest(null, c);
    expect(chosen[0]?.tag ?? null).toBe(selectTag(all, wanted).tag);
    expect(counts.lists).toBe(pages);
  });

  test("what is newer than a bound is not looked at again", async () => {
    const { search, counts, reset } = searchIn(versions(20_000));
    await search.newest(null, c);
    reset();
    const { chosen } = await search.newest(stable.scheme.parse("v4.7.0"), c);
    expect(chosen[0]?.tag).toBe("v4.6.49");
    expect(counts.lists).toBe(4);
  });

  test("a way down that takes too many pages is given up half-way", async () => {
    const all = Array.from({ length: 30_000 }, (_, index) => `v1.0.${index}`);
    const { search, counts, reset } = searchIn(all);
    const { chosen } = await search.newest(null, c);
    expect(chosen[0]?.tag).toBe("v1.0.29999");
    expect(counts.lists).toBe(1 + 17 + 30);
    reset();
    await search.newest(null, c);
    expect(counts.lists).toBe(30);
  });

  test("a bucket that became small again is read at once again", async () => {
    const keys = keysOf(versions(5000));
    const { store, counts, reset } = counting(listOf(keys));
    const search = new TagSearch(store, stable);
    await search.newest(null, c);
    keys.splice(0, keys.length, ...keysOf(versions(10)));
    const perTick: number[] = [];
    for (let tick = 0; tick < 60; tick++) {
      reset();
      await search.newest(null, c);
      perTick.push(counts.lists);
    }
    expect(perTick.slice(0, 49)).toEqual(Array(49).fill(3));
    expect(perTick.slice(49)).toEqual(Array(11).fill(1));
  });

  test("a million tags are not kept in memory", async () => {
    const list = async function* () {
      for (let index = 0; index < 1_000_000; index++) {
        yield { kind: "prefix" as const, key: `2026.01.01.${index}/` };
      }
    };
    const wanted = { ...stable, scheme: calverScheme("YYYY.0M.0D.MICRO") };
    const { chosen } = await new TagSearch({ list }, wanted).newest(null, c);
    expect(chosen.map(({ tag }) => tag).slice(0, 2)).toEqual(["2026.01.01.999999", "2026.01.01.999998"]);
    expect(chosen).toHaveLength(16);
  }, 20_000);
});

/** v1.0.0 … with 50 patches a minor version and 20 of these a major one. */
function versionOf(index: number): string {
  return `v${1 + Math.floor(index / 1000)}.${Math.floor(index / 50) % 20}.${index % 50}`;
}

function keysOf(all: readonly string[]): string[] {
  return all.map((tag) => `${tag}/app.zip`).sort(byBytes);
}

/** As a bucket shows them: `a/b` is in `a`. */
function topLevel(all: readonly string[]): string[] {
  return [...new Set(all.map((tag) => tag.split("/")[0] ?? ""))];
}

function isNewer(one: ParsedVersion, other: ParsedVersion | undefined): boolean {
  return other === undefined || compareVersions(one, other) > 0;
}

function searchIn(all: readonly string[], wanted = stable) {
  const { store, counts, reset } = counting(listOf(keysOf(all)));
  return { search: new TagSearch(store, wanted), counts, reset };
}
