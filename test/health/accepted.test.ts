import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { acceptedInode } from "../../src/health/accepted.ts";
import { readTcpTables, tableAddresses } from "../../src/util/socket-table.ts";
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

describe.if(process.platform === "linux")("the kernel's tables", () => {
  test.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::", "127.0.0.1"],
    ["::1", "::1"],
  ])("show who listens on %s and is called at %s", async (listens, called) => {
    const socket = { data() {} };
    const server = Bun.listen({ hostname: listens, port: 0, socket });
    const client = await Bun.connect({ hostname: called, port: server.port, socket });
    const local = { host: client.localAddress, port: client.localPort };
    const inode = await until("it is accepted", async () => {
      const found = acceptedInode((await readTcpTables()) ?? "", server.port, local);
      return found !== null && found > 0 && found;
    });
    expect(inode).toBeGreaterThan(0);
    client.end();
    server.stop(true);
  });
});
