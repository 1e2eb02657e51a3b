import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { listenersRequest, lookupRequest, readAnswer } from "../../src/util/inet-diag.ts";
import { diag, diagSocket, done, error, int, message, padded, v4, v6 } from "../support/diag-messages.ts";

const seq = 7;
function hex(buffer: ArrayBuffer): string {
  return Buffer.from(buffer).toString("hex");
}

const loopback = [127, 0, 0, 1];
const mapped = [...padded([], 10), 0xff, 0xff, ...loopback];
const fields = { port: 8080, remotePort: 54_321, family: v4, state: 1, address: loopback, inode: 777 };
const found = diagSocket(fields);
const shown = { state: 1, port: 8080, address: "0100007F", remotePort: 54_321, inode: 777 };

describe("a request", () => {
  const head = (flags: string, family: string, states: string) =>
    `480000001400${flags}0700000000000000${family}060000${states}`;
  const nobody = "0".repeat(8);
  const six = (address: string) => address.padStart(32, "0");
  const four = (address: string) => address.padEnd(32, "0");
  const any = `${nobody}ffffffffffffffff`;

  test.each([
    ["IPv4", "127.0.0.1", "127.0.0.2", "02", four("7f000001"), four("7f000002")],
    ["IPv6", "::1", "fe80::2", "0a", six("1"), `fe80${"0".repeat(27)}2`],
    [
      "IPv4 to a dual-stack listener",
      "127.0.0.1",
      "::ffff:127.0.0.2",
      "02",
      four("7f000001"),
      four("7f000002"),
    ],
  ])("for one socket, %s", (_, server, caller, family, source, destination) => {
    const request = lookupRequest(seq, { host: server, port: 8080 }, { host: caller, port: 54_321 });
    expect(hex(request)).toBe(`${head("0100", family, "ffffffff")}1f90d431${source}${destination}${any}`);
  });

  test.each([
    [v4, "02"],
    [v6, "0a"],
  ])("for all of family %d that listen", (family, text) => {
    expect(hex(listenersRequest(seq, family))).toBe(`${head("0103", text, "00040000")}${"0".repeat(96)}`);
  });
});

describe("an answer", () => {
  const sockets = (list: readonly object[], isLast: boolean) => ({ kind: "sockets", sockets: list, isLast });
  test.each<[string, number[], object | null]>([
    ["a socket", message(seq, diag, found), sockets([shown], true)],
    ["with attributes", message(seq, diag, [...found, 5, 0, 8, 0, 0, 0, 0, 0]), sockets([shown], true)],
    [
      "of IPv6",
      message(seq, diag, diagSocket({ ...fields, family: v6, state: 10, address: mapped, inode: 0 })),
      sockets([{ ...shown, state: 10, address: "0000000000000000FFFF00000100007F", inode: 0 }], true),
    ],
    [
      "with the greatest inode",
      message(seq, diag, diagSocket({ ...fields, inode: 2 ** 32 - 1 })),
      sockets([{ ...shown, inode: 2 ** 32 - 1 }], true),
    ],
    [
      "a part of a dump",
      [...message(seq, diag, found, 2), ...message(seq, diag, found, 2)],
      sockets([shown, shown], false),
    ],
    [
      "a part whose first message is padded",
      [...message(seq, diag, [...found, 1], 2), 0, 0, 0, ...message(seq, diag, found, 2)],
      sockets([shown, shown], false),
    ],
    [
      "the end of a dump, with a part",
      [...message(seq, diag, found, 2), ...message(seq, done, int(0), 2)],
      sockets([shown], true),
    ],
    ["the end of a dump", message(seq, done, int(0), 2), sockets([], true)],
    ["a dump that failed", message(seq, done, int(-12), 2), { kind: "refused", errno: 12 }],
    ["no such socket", message(seq, error, int(-2)), { kind: "refused", errno: 2 }],
    ["an acknowledgement, which was not asked for", message(seq, error, int(0)), null],
    ["to another request", message(8, diag, found), null],
    ["of another kind", message(seq, 16, found), null],
    ["nothing", [], null],
    ["a head alone", message(seq, diag, []), null],
    ["a socket cut short", message(seq, diag, found.slice(0, 71)), null],
    ["a datagram cut short", message(seq, diag, found).slice(0, -1), null],
    ["longer than it came", [...int(5000), ...message(seq, diag, found).slice(4)], null],
    ["of no length", [...int(0), ...message(seq, diag, found).slice(4)], null],
  ])("that is %s", (_, bytes, answer) => {
    expect<object | null>(readAnswer(Uint8Array.from(bytes), seq)).toEqual(answer);
  });

  test("of whatever bytes comes to an end", () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 120 }).map((bytes) => [...bytes]),
      fc.constantFrom(message(seq, diag, found, 2), message(seq, done, int(0)), int(0), int(-1), int(16)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const answer = readAnswer(Uint8Array.from(pieces.flat()), seq);
        expect(["sockets", "refused", undefined]).toContain(answer?.kind);
      }),
    );
  });
});
