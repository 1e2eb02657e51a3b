import { describe, expect, test } from "bun:test";
import type { StoreFixture } from "./contract.ts";
import { byBytes, c, list, names, put, putAll } from "./contract-support.ts";

const keys = [
  "a",
  "a-b/1",
  "a.b/1",
  "a.txt",
  "a0",
  "b/1/x",
  "b/1/y",
  "b/10",
  "b/2",
  "b/é",
  "b/\u{1f680}",
  "b/\uffee",
  "v1.0.0/app.zip",
  "v1.0.1/app.zip",
  "v1.10.0/app.zip",
  "v1.2.0/app.tar.gz",
  "v1.2.0/app.zip",
  "v2.0.0/app.zip",
];

const cases: readonly { prefix: string; delimiter?: string; found: readonly string[] }[] = [
  { prefix: "", found: keys },
  { prefix: "a", found: ["a", "a-b/1", "a.b/1", "a.txt", "a0"] },
  { prefix: "a.", found: ["a.b/1", "a.txt"] },
  { prefix: "b/1", found: ["b/1/x", "b/1/y", "b/10"] },
  { prefix: "b/1/", found: ["b/1/x", "b/1/y"] },
  { prefix: "b/1/x", found: ["b/1/x"] },
  { prefix: "b/1/x/", found: [] },
  { prefix: "c", found: [] },
  { prefix: "/", found: [] },
  { prefix: "b//", found: [] },
  {
    prefix: "",
    delimiter: "/",
    found: [
      "a",
      "a-b/…",
      "a.b/…",
      "a.txt",
      "a0",
      "b/…",
      "v1.0.0/…",
      "v1.0.1/…",
      "v1.10.0/…",
      "v1.2.0/…",
      "v2.0.0/…",
    ],
  },
  { prefix: "b/", delimiter: "/", found: ["b/1/…", "b/10", "b/2", "b/é", "b/\uffee", "b/\u{1f680}"] },
  { prefix: "b", delimiter: "/", found: ["b/…"] },
  { prefix: "b/1", delimiter: "/", found: ["b/1/…", "b/10"] },
  { prefix: "v1.2.0/", delimiter: "/", found: ["v1.2.0/app.tar.gz", "v1.2.0/app.zip"] },
  { prefix: "v1.", delimiter: "/", found: ["v1.0.0/…", "v1.0.1/…", "v1.10.0/…", "v1.2.0/…"] },
  { prefix: "v", delimiter: ".", found: ["v1.…", "v2.…"] },
  { prefix: "v1.", delimiter: ".", found: ["v1.0.…", "v1.10.…", "v1.2.…"] },
  { prefix: "v1.2.0/app", delimiter: ".", found: ["v1.2.0/app.…"] },
  { prefix: "", delimiter: ".", found: expectedDots() },
  { prefix: "", delimiter: "1", found: expectedOnes() },
];

/** What is asked for, in the right order and completely, however many pages it takes. */
export function listContract(name: string, open: () => Promise<StoreFixture>): void {
  describe(`${name} as a store that lists`, () => {
    test("by prefix and delimiter, ordered by bytes, prefixes among the objects", async () => {
      await using fixture = await open();
      await putAll(fixture.store, keys);
      for (const { prefix, delimiter, found } of cases) {
        const label = `${JSON.stringify(prefix)} by ${delimiter ?? "nothing"}`;
        expect([label, ...(await names(fixture.store, prefix, delimiter))]).toEqual([
          label,
          ...found.toSorted((a, b) => byBytes(a.replace("…", ""), b.replace("…", ""))),
        ]);
      }
    });

    test("more than one page, of objects and of prefixes", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const many = Array.from({ length: 2500 }, (_, index) => `${index % 2 === 0 ? "d" : "o"}${index}`);
      await putAll(
        store,
        many.map((key) => (key.startsWith("d") ? `${key}/file` : key)),
        64,
      );
      const wanted = many.map((key) => (key.startsWith("d") ? `${key}/` : key)).toSorted(byBytes);
      const found = await list(store, "", "/");
      expect(found.map(({ key }) => key)).toEqual(wanted);
      expect(found.filter(({ kind }) => kind === "prefix")).toHaveLength(1250);
      expect(await list(store)).toHaveLength(2500);
      // Of more keys than a page holds.
      const [first, ...rest] = await names(store, "", "d");
      expect([first, rest.length, rest.includes("d…")]).toEqual(["d…", 1250, false]);
      await stopsEarly(fixture);
      await stopsWhenAborted(fixture);
    }, 60_000);

    test("what was changed is listed once, as it is now", async () => {
      await using fixture = await open();
      await put(fixture.store, "key", "old");
      const version = await put(fixture.store, "key", "newer");
      expect(await list(fixture.store)).toMatchObject([{ key: "key", sizeBytes: 5, version }]);
    });
  });
}

/** Nobody has to read a list to its end, and two may be read at once. */
async function stopsEarly({ store }: StoreFixture): Promise<void> {
  const first: string[] = [];
  for await (const entry of store.list("", {}, c)) {
    if (first.push(entry.key) === 5) break;
  }
  const [one, other] = [store.list("d", {}, c), store.list("o", {}, c)];
  const heads: string[] = [];
  for await (const entry of one) {
    for await (const inner of other) {
      heads.push(entry.key[0] ?? "", inner.key[0] ?? "");
      break;
    }
    break;
  }
  expect(first).toEqual(["d0/file", "d10/file", "d100/file", "d1000/file", "d1002/file"]);
  expect(heads).toEqual(["d", "o"]);
}

async function stopsWhenAborted({ store }: StoreFixture): Promise<void> {
  const stop = new AbortController();
  const reason = new Error("stop");
  const readAll = async () => {
    for await (const _ of store.list("", {}, stop)) stop.abort(reason);
  };
  await expect(readAll()).rejects.toBe(reason);
}

function expectedDots(): string[] {
  return [
    "a",
    "a-b/1",
    "a.…",
    "a0",
    "b/1/x",
    "b/1/y",
    "b/10",
    "b/2",
    "b/é",
    "b/\u{1f680}",
    "b/\uffee",
    "v1.…",
    "v2.…",
  ];
}

function expectedOnes(): string[] {
  return [
    "a",
    "a-b/1…",
    "a.b/1…",
    "a.txt",
    "a0",
    "b/1…",
    "b/2",
    "b/é",
    "b/\u{1f680}",
    "b/\uffee",
    "v1…",
    "v2.0.0/app.zip",
  ];
}
