import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { acceptedByTables, acceptedInode } from "../../src/health/accepted.ts";
import { descriptorOf } from "../../src/util/procfs.ts";
import { acceptedByDiag, type Link } from "../../src/util/sock-diag.ts";
import { tableAddresses } from "../../src/util/socket-table.ts";
import { connectTo, startToldAcceptor } from "../support/told-acceptor.ts";
import { until } from "../support/until.ts";

const caller = { host: "127.0.0.1", port: 54_321 };
const head =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/** As proc(5) has a row of 8080 (1F90) and 54321 (D431). */
function row(remote: string, state: string, inode: number | string, local = "0100007F:1F90"): string {
  return `   3: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0000 20 4 30 10 -1\n`;
}

const mapped = "0000000000000000FFFF00000100007F";

describe("the server's end of a connection", () => {
  test.each<[string, string, number | null]>([
    ["accepted", row("0100007F:D431", "01", 777), 777],
    ["in the backlog", row("0100007F:D431", "01", 0), 0],
    ["of a dual-stack listener", row(`${mapped}:D431`, "01", 778, `${mapped}:1F90`), 778],
    ["from another address", row("0200007F:D431", "01", 777), null],
    ["from another port", row("0100007F:D432", "01", 777), null],
    ["to another port", row("0100007F:D431", "01", 777, "0100007F:1F91"), null],
    ["our own end of it", row("0100007F:1F90", "01", 777, "0100007F:D431"), null],
    ["that the listener is not", row("00000000:0000", "0A", 777), null],
    ["of an earlier connection", row("0100007F:D431", "06", 0), null],
    ["beside an earlier one", row("0100007F:D431", "06", 0) + row("0100007F:D431", "01", 9), 9],
    ["in a row that is cut off", row("0100007F:D431", "01", 777).slice(0, 60), null],
    ["in a row without its end", row("0100007F:D431", "01", 777).trimEnd(), 777],
    ["with an inode that is no number", row("0100007F:D431", "01", "x"), null],
    ["in an empty table", "", null],
  ])("%s", (_, rows, inode) => {
    expect(acceptedInode(head + rows, 8080, caller)).toBe(inode);
  });

  test("is an inode, 0 or null, whatever the tables hold", () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(":1F90 0100007F:D431 ", "\n", " 01 ", row("0100007F:D431", "01", 5), "\0", " 1e9 "),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const inode = acceptedInode(pieces.join(""), 8080, caller);
        expect(inode === null || (Number.isSafeInteger(inode) && inode >= 0)).toBe(true);
      }),
    );
  });

  test("is found in tables of any other rows", () => {
    const octets = fc.ipV4();
    fc.assert(
      fc.property(
        octets,
        fc.integer({ min: 1, max: 65_535 }),
        fc.integer({ min: 1, max: 65_535 }),
        fc.integer({ min: 1, max: 2 ** 32 }),
        fc.boolean(),
        (host, port, from, inode, isMapped) => {
          const [plain = "", wide = ""] = tableAddresses(host);
          const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, "0");
          const address = isMapped ? wide : plain;
          const rows = row(`${address}:${hex(from)}`, "01", inode, `${address}:${hex(port)}`);
          const noise = row("0B0B0B0B:FFFF", "01", 3) + row("0100007F:D431", "0A", 4);
          const isNoise = port === 8080 && from === caller.port;
          if (!isNoise)
            expect(acceptedInode(head + noise + rows + noise, port, { host, port: from })).toBe(inode);
        },
      ),
    );
  });
});

const ways: readonly [string, (links: readonly Link[]) => Promise<(number | null)[] | null>][] = [
  ["the kernel's answers", async (links) => acceptedByDiag(links)],
  ["its tables", acceptedByTables],
];
const calls = [
  ["127.0.0.1", "127.0.0.1"],
  ["::", "127.0.0.1"],
  ["::", "::1"],
  ["::1", "::1"],
  ["::ffff:127.0.0.1", "::ffff:127.0.0.1"],
] as const;

describe.if(process.platform === "linux" && Bun.which("perl") !== null).each(ways)("%s", (_, look) => {
  test.each(calls)(
    "show who takes a connection to what listens on %s and is called at %s",
    async (listens, host) => {
      await using server = await startToldAcceptor(listens);
      using client = await connectTo(host, server.port);
      const link = { server: { host, port: server.port }, caller: client.local };
      const strange = { ...link, caller: { ...link.caller, port: 1 } };
      const inodes = async () => (await look([strange, link])) ?? [];
      expect(await inodes()).toEqual([null, 0]);
      await server.accept();
      const [none, inode] = await inodes();
      expect(none).toBeNull();
      expect(descriptorOf(server.pid, inode ?? 0)).not.toBeNull();
      expect(descriptorOf(process.pid, inode ?? 0)).toBeNull();
      // The server's end goes first, and its port pair stays for a minute (TIME_WAIT).
      await server.close();
      await until("it is gone", async () => (await inodes())[1] === null);
      await server.end();
      expect(await inodes()).toEqual([null, null]);
    },
    60_000,
  );

  test("tell several connections apart", async () => {
    await using server = await startToldAcceptor("127.0.0.1");
    using first = await connectTo("127.0.0.1", server.port);
    await server.accept();
    using second = await connectTo("127.0.0.1", server.port);
    const links = [second, first].map(({ local }) => ({
      server: { host: "127.0.0.1", port: server.port },
      caller: local,
    }));
    const [waiting, accepted] = (await look(links)) ?? [];
    expect(waiting).toBe(0);
    expect(accepted).toBeGreaterThan(0);
    expect(await look([])).toEqual([]);
  });
});
