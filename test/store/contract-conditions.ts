import { describe, expect, test } from "bun:test";
import type { StoreFixture, StoreTraits } from "./contract.ts";
import { bytes, c, get, list, put, read } from "./contract-support.ts";

/** Versions, and writes that depend on them. */
export function conditionsContract(
  name: string,
  open: () => Promise<StoreFixture>,
  traits: StoreTraits,
): void {
  describe(`${name} as a store with conditions`, () => {
    test("creating, changing and losing by version", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const first = await put(store, "key", "one", { ifVersion: null });
      expect(await store.put("key", bytes("other"), { ifVersion: null }, c)).toBeNull();
      expect(await read(store, "key")).toBe("one");
      const second = await put(store, "key", "two", { ifVersion: first });
      expect(second).not.toBe(first);
      expect(await store.put("key", bytes("three"), { ifVersion: first }, c)).toBeNull();
      expect(await read(store, "key")).toBe("two");
      const third = await put(store, "key", "whatever is there");
      expect(await store.put("key", bytes("three"), { ifVersion: second }, c)).toBeNull();
      expect(await store.head("key", c)).toMatchObject({ version: third });
    });

    test("a version is expected of a key that is not there: lost, and nothing written", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const version = await put(store, "other", "one");
      expect(await store.put("key", bytes("one"), { ifVersion: version }, c)).toBeNull();
      expect(await store.head("key", c)).toBeNull();
    });

    test("after a delete a key can be created again, but not be changed by its old version", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const version = await put(store, "key", "one");
      await store.delete("key", c);
      expect(await store.put("key", bytes("two"), { ifVersion: version }, c)).toBeNull();
      await put(store, "key", "two", { ifVersion: null });
      expect(await store.put("key", bytes("three"), { ifVersion: version }, c)).toBeNull();
      expect(await read(store, "key")).toBe("two");
    });

    test("put, head, get and list tell the same version, and every write another one", async () => {
      await using fixture = await open();
      const { store } = fixture;
      const seen: string[] = [];
      for (let write = 0; write < 6; write++) {
        const version = await put(
          store,
          "key",
          `body ${write}`,
          write % 2 === 0 ? {} : { ifVersion: seen.at(-1) ?? "" },
        );
        const got = await get(store, "key");
        await got.chunks[Symbol.asyncIterator]().return?.();
        expect(got.version).toBe(version);
        expect(await store.head("key", c)).toMatchObject({ version });
        expect(await list(store)).toMatchObject([{ version }]);
        seen.push(version);
      }
      expect(new Set(seen).size).toBe(seen.length);
    });

    const { versionsFollowContent } = traits;
    if (versionsFollowContent === undefined) {
      test("the same bytes again are another version, also after a delete: a swap sees every write", async () => {
        await using fixture = await open();
        const { store } = fixture;
        const seen = [await put(store, "key", "same"), await put(store, "key", "same")];
        await store.delete("key", c);
        seen.push(await put(store, "key", "same"), await put(store, "key", "same"));
        expect(new Set(seen).size).toBe(4);
      });
    } else {
      test(`the same bytes again are the same version (${versionsFollowContent})`, async () => {
        await using fixture = await open();
        const version = await put(fixture.store, "key", "same");
        await put(fixture.store, "key", "other");
        expect(await put(fixture.store, "key", "same")).toBe(version);
      });
    }

    test.each([["there is none", false] as const, ["it is the version they saw", true] as const])(
      "of 50 puts at once if %s exactly one wins, and its bytes are stored",
      async (_, exists) => {
        await using fixture = await open();
        const { store } = fixture;
        const ifVersion = exists ? await put(store, "key", "first") : null;
        const bodies = Array.from({ length: 50 }, (_, index) => `writer ${index}`);
        const versions = await Promise.all(
          bodies.map((body) => store.put("key", bytes(body), { ifVersion }, c)),
        );
        const winners = versions.flatMap((version, index) => (version === null ? [] : [index]));
        expect(winners).toHaveLength(1);
        expect(await read(store, "key")).toBe(bodies[winners[0] ?? -1] ?? "");
        expect(await store.head("key", c)).toMatchObject({ version: versions[winners[0] ?? -1] ?? "" });
      },
    );

    test("swaps in a chain by many writers lose no update", async () => {
      await using fixture = await open();
      const { store } = fixture;
      await put(store, "counter", "0 0");
      const increment = async (writer: number) => {
        for (let done = 0; done < 5; ) {
          const { version } = (await store.head("counter", c)) ?? {};
          if (version === undefined) throw new Error("the counter is gone");
          const [count = "", last] = ((await read(store, "counter")) ?? "").split(" ");
          const body = bytes(`${Number(count) + 1} ${writer}.${done}.${last}`.slice(0, 40));
          if ((await store.put("counter", body, { ifVersion: version }, c)) !== null) done += 1;
        }
      };
      await Promise.all([1, 2, 3, 4].map(increment));
      expect((await read(store, "counter"))?.split(" ")[0]).toBe("20");
    });
  });
}
