import { describe, expect, test } from "bun:test";
import { parseSocketTable } from "../../src/util/socket-table.ts";
import { SocketTables } from "../../src/util/socket-tables.ts";

/** Tables that take `costMs` to read, on a clock of their own. */
function tables(costMs: number) {
  let nowMs = 0;
  let reads = 0;
  const read = async () => {
    nowMs += costMs;
    return [{ address: "0100007F", port: 8000, inode: ++reads }];
  };
  const shared = new SocketTables({ monotonicMs: () => nowMs }, read);
  return {
    /** Asks every 5 ms for so long; answers how many readings it took. */
    async askFor(ms: number): Promise<number> {
      const before = reads;
      for (const untilMs = nowMs + ms; nowMs < untilMs; nowMs += 5) await shared.listening();
      return reads - before;
    },
    shared,
  };
}

describe("the tables of sockets that listen", () => {
  test("are read once for all who ask at the same time", async () => {
    const { shared } = tables(100);
    const [first, ...others] = await Promise.all([1, 2, 3].map(() => shared.listening()));
    expect(first).toMatchObject([{ inode: 1 }]);
    for (const other of others) expect(other).toBe(first ?? null);
  });

  test.each([
    [1, 25],
    [30, 780],
    [1000, 3000],
  ])(
    "that take %d ms to read are read at most every %d ms, however often they are asked for",
    async (costMs, everyMs) => {
      expect(await tables(costMs).askFor(60_000)).toBeLessThanOrEqual(60_000 / (everyMs * 0.8));
    },
  );

  test("are never older than two seconds", async () => {
    expect(await tables(1000).askFor(60_000)).toBeGreaterThan(15);
  });

  test("without /proc are told to be none each time", async () => {
    const shared = new SocketTables({ monotonicMs: () => 0 }, async () => null);
    expect(await shared.listening()).toBeNull();
    expect(await shared.listening()).toBeNull();
  });
});

test("a row is taken apart wherever it stands, the last one without an end included", () => {
  const row = (port: string, state: string, inode: number) =>
    `   0: 0100007F:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0`;
  const head =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
  const text = [head, row("1F90", "01", 1), row("1F91", "0A", 2), row("1F92", "06", 3), row("1F93", "0A", 4)];
  expect(parseSocketTable(text.join("\n"))).toEqual([
    { address: "0100007F", port: 8081, inode: 2 },
    { address: "0100007F", port: 8083, inode: 4 },
  ]);
});
