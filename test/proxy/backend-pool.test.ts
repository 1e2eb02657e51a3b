import { describe, expect, test } from "bun:test";
import { BackendPool, type Target } from "../../src/proxy/backend-pool.ts";
import { Replica } from "../../src/proxy/replica.ts";
import { randomFrom } from "../support/tcp-proxy.ts";

/** A pool of replicas named by letter, each with some addresses: `a1`, `a2`. */
function poolOf(addresses: Readonly<Record<string, number>>): BackendPool {
  const pool = new BackendPool();
  for (const [name, count] of Object.entries(addresses)) {
    const backend = new Replica(name).backendOn(80);
    backend.moveTo(Array.from({ length: count }, (_, index) => ({ host: name, port: index + 1 })));
    pool.add(backend);
  }
  return pool;
}

const nameOf = (target: Target | null) =>
  target === null ? "–" : `${target.address.host}${target.address.port}`;

function turns(pool: BackendPool, count: number, nowMs = 0): string {
  return Array.from({ length: count }, () => nameOf(pool.next(nowMs))).join(" ");
}

describe("turns", () => {
  test("go round", () => expect(turns(poolOf({ a: 1, b: 1, c: 1 }), 7)).toBe("a1 b1 c1 a1 b1 c1 a1"));
  test("of an empty pool are nobody's", () => expect(turns(poolOf({}), 2)).toBe("– –"));

  test("take in who comes last, and go on when somebody leaves", () => {
    const pool = poolOf({ a: 1, b: 1, c: 1 });
    expect(turns(pool, 2)).toBe("a1 b1");
    const [a] = pool.members;
    if (a !== undefined) pool.remove(a);
    expect(turns(pool, 4)).toBe("c1 b1 c1 b1");
    if (a !== undefined) pool.add(a);
    expect(turns(pool, 3)).toBe("c1 a1 b1");
  });

  test("stay even whoever comes and goes (seed 5)", () => {
    const random = randomFrom(5);
    const pool = poolOf({ a: 1, b: 1, c: 1, d: 1, e: 1 });
    const all = pool.members;
    for (let round = 0; round < 200; round++) {
      const one = all[Math.floor(random() * all.length)];
      if (one === undefined) continue;
      if (pool.members.includes(one) && pool.members.length > 1) pool.remove(one);
      else pool.add(one);
      const count = pool.members.length;
      const seen = turns(pool, count * 3).split(" ");
      for (const { replica } of pool.members) {
        expect(seen.filter((name) => name === `${replica.id}1`)).toHaveLength(3);
      }
    }
  });
});

describe("an address that failed", () => {
  test("is passed over for a moment, then tried by one connection at a time", () => {
    const pool = poolOf({ a: 1, b: 1 });
    pool.next(0)?.failed(0);
    expect(turns(pool, 4, 499)).toBe("b1 b1 b1 b1");
    expect(turns(pool, 4, 500)).toBe("a1 b1 b1 b1");
  });

  test("is passed over longer with each failure, thirty seconds at most", () => {
    const pool = poolOf({ a: 1, b: 1 });
    const bad = pool.next(0);
    const restsMs: number[] = [];
    for (let failures = 1; failures <= 9; failures++) {
      bad?.failed(0);
      let restMs = 0;
      while (!bad?.isWarm(restMs)) restMs += 500;
      restsMs.push(restMs);
    }
    expect(restsMs).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    bad?.succeeded();
    expect(bad?.isWarm(0)).toBe(true);
  });

  test("gives way to its replica's fallback", () => {
    const pool = poolOf({ a: 2, b: 1 });
    pool.next(0)?.failed(0);
    expect(turns(pool, 4, 1)).toBe("b1 a2 b1 a2");
  });

  test("is used when there is nothing else", () => {
    const pool = poolOf({ a: 1, b: 1 });
    pool.next(0)?.failed(0);
    pool.next(0)?.failed(0);
    expect(turns(pool, 4, 1)).toBe("a1 b1 a1 b1");
  });
});

describe("a connection whose attempts fail", () => {
  test.each<[Readonly<Record<string, number>>, string]>([
    [{ a: 1 }, "a1 –"],
    [{ a: 2 }, "a1 a2 –"],
    [{ a: 2, b: 1, c: 2 }, "a1 a2 b1 c1 c2 –"],
  ])("tries each address of %p once", (addresses, order) => {
    const pool = poolOf(addresses);
    const tried: Target[] = [];
    let names = "";
    for (let target = pool.next(0); ; target = pool.retry(tried, 0)) {
      names += ` ${nameOf(target)}`;
      if (target === null) break;
      target.failed(0);
      tried.push(target);
    }
    expect(names.trim()).toBe(order);
  });

  test("leaves those that failed lately for last, and those that were retired out", () => {
    const pool = poolOf({ a: 1, b: 1, c: 1, d: 1 });
    const [a, b, c, d] = [pool.next(0), pool.next(0), pool.next(0), pool.next(0)];
    if (a === null || c === null) throw new Error("no target");
    b?.failed(0);
    pool.remove(c.backend);
    a.failed(1);
    expect(pool.retry([a], 1)).toBe(d);
    if (d !== null) expect(pool.retry([a, d], 1)).toBe(b);
  });
});
