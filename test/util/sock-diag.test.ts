import { describe, expect, test } from "bun:test";
import { closeSync, fstatSync } from "node:fs";
import { join } from "node:path";
import { AF_INET, AF_INET6, LibcError, listenSocket, streamSocket } from "../../src/util/libc.ts";
import { NETLINK_SOCK_DIAG, type NetlinkSocket, openNetlink } from "../../src/util/netlink.ts";
import { descriptorOf } from "../../src/util/procfs.ts";
import { type Link, listeningByDiag, listeningHere, SockDiag } from "../../src/util/sock-diag.ts";
import { listeningSockets } from "../../src/util/socket-table.ts";
import { diag, diagSocket, done, error, int, message, v4 } from "../support/diag-messages.ts";
import { type Forbidden, withForbidden } from "../support/forbidden-call.ts";
import { connectTo, startToldAcceptor } from "../support/told-acceptor.ts";

const AF_NETLINK = 16;
const src = join(import.meta.dir, "../../src");

/** Listens on ports of the kernel's choice. */
function listenOn(families: readonly number[]) {
  const fds = families.map(streamSocket);
  for (const fd of fds) listenSocket(fd, 1);
  return {
    inodes: fds.map((fd) => fstatSync(fd).ino),
    [Symbol.dispose]: () => fds.forEach(closeSync),
  };
}

describe.if(process.platform === "linux")("what listens in this network", () => {
  const many = Array.from({ length: 700 }, (_, at) => (at % 2 === 0 ? AF_INET : AF_INET6));

  test.each([
    ["the kernel's answers", listeningByDiag],
    ["its tables", listeningSockets],
  ])("is all in %s, in however many parts they come", (_, look) => {
    using own = listenOn(many);
    const found = new Set(look()?.map(({ inode }) => inode));
    expect(own.inodes.filter((inode) => !found.has(inode))).toEqual([]);
  });

  test("is the same in both, and only that", async () => {
    const client = { data() {} };
    const servers = ["127.0.0.1", "0.0.0.0", "::1", "::"].map((hostname) =>
      Bun.listen({ hostname, port: 0, socket: client }),
    );
    const ports = servers.map(({ port }) => port);
    const call = await Bun.connect({ hostname: "127.0.0.1", port: ports[0] ?? 0, socket: client });
    const ours = (all = listeningByDiag()) => all?.filter(({ port }) => ports.includes(port));
    expect(ours()).toHaveLength(4);
    expect(ours()).toEqual(expect.arrayContaining(ours(listeningSockets()) ?? []));
    for (const each of [call, ...servers]) "stop" in each ? each.stop(true) : each.end();
    expect(ours()).toEqual([]);
  });

  test("is not waited for", () => {
    using socket = openNetlink(NETLINK_SOCK_DIAG);
    expect(() => socket.receive()).toThrow("recv: EAGAIN");
  });

  test("leaves no descriptor behind", () => {
    const lowestFree = () => {
      const fd = streamSocket(AF_INET);
      closeSync(fd);
      return fd;
    };
    listeningHere();
    const before = lowestFree();
    for (let n = 0; n < 20; n++) listeningHere();
    expect(lowestFree()).toBe(before);
  });
});

describe.if(process.platform === "linux" && Bun.which("perl") !== null)(
  "where the kernel does not answer",
  () => {
    const asked = `
    import { acceptedInodes } from "${join(src, "health/accepted.ts")}";
    import { SocketTables } from "${join(src, "util/socket-tables.ts")}";
    import { acceptedByDiag, listeningByDiag, listeningHere } from "${join(src, "util/sock-diag.ts")}";
    const links = JSON.parse(process.argv.at(-1));
    const shared = await new SocketTables({ monotonicMs: () => 0 }).listening();
    const byDiag = [listeningByDiag(), acceptedByDiag(links)];
    console.log(JSON.stringify({ byDiag, accepted: await acceptedInodes(links), listening: listeningHere(), shared }));
  `;

    /** What a process in a sandbox sees of a connection and its listener. */
    async function seenUnder(forbidden: Forbidden | null) {
      await using server = await startToldAcceptor("127.0.0.1");
      using client = await connectTo("127.0.0.1", server.port);
      await server.accept();
      const prefix = forbidden === null ? [] : withForbidden(forbidden);
      const link = { server: { host: "127.0.0.1", port: server.port }, caller: client.local };
      const command = [...prefix, process.execPath, "-e", asked, JSON.stringify([link])];
      const child = Bun.spawn(command, { stdout: "pipe", timeout: 60_000 });
      const { byDiag, accepted, listening, shared } = JSON.parse(await child.stdout.text());
      expect(descriptorOf(server.pid, accepted[0])).not.toBeNull();
      for (const seen of [listening, shared])
        expect(seen.map(({ port }: { port: number }) => port)).toContain(server.port);
      return byDiag;
    }

    test.each<[string, Forbidden]>([
      ["may not be asked", { call: "socket", domain: AF_NETLINK, errno: 1 }],
      ["has no such sockets", { call: "socket", domain: AF_NETLINK, errno: 97 }],
      ["has no such protocol", { call: "socket", domain: AF_NETLINK, errno: 93 }],
      ["refuses to be asked", { call: "sendto", errno: 13 }],
      ["stays silent", { call: "recvfrom", errno: 11 }],
    ])(
      "as it %s, the tables tell",
      async (_, forbidden) => {
        expect(await seenUnder(forbidden)).toEqual([null, null]);
      },
      60_000,
    );

    test("and only there", async () => {
      expect(await seenUnder(null)).not.toContain(null);
    }, 60_000);
  },
);

type Script = (seq: number, isDump: boolean) => readonly (readonly number[])[];

function openScripted(script: Script): NetlinkSocket {
  let datagrams: (readonly number[])[] = [];
  return {
    send(request) {
      const view = new DataView(request);
      datagrams = [...script(view.getUint32(8, true), (view.getUint16(6, true) & 0x300) !== 0)];
    },
    receive() {
      const next = datagrams.shift();
      if (next === undefined) throw new Error("recv: EAGAIN");
      return Uint8Array.from(next);
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** A kernel that has these datagrams for each request, and then nothing. */
function scripted(script: Script) {
  const counts = { requests: 0, open: 0 };
  const diag = new SockDiag((): NetlinkSocket => {
    counts.open += 1;
    const socket = openScripted((...asked) => {
      counts.requests += 1;
      return script(...asked);
    });
    return {
      ...socket,
      [Symbol.dispose]: () => {
        counts.open -= 1;
      },
    };
  });
  return { diag, counts };
}

/** A failure as libc tells it. */
const failed = (call: string, errno: number) => new LibcError(call, errno);

describe.if(process.platform === "linux")("a kernel that could not be asked", () => {
  const end = (seq: number) => message(seq, done, int(0), 2);

  /** The first `times` attempts fail, with `error`. */
  function failing(error: Error, times: number) {
    let attempts = 0;
    const diag = new SockDiag(() => {
      attempts += 1;
      if (attempts <= times) throw error;
      return openScripted((seq) => [end(seq)]);
    });
    return { diag, attempts: () => attempts };
  }

  test.each<[string, Error]>([
    ["a descriptor", failed("socket", 24)],
    ["memory", failed("socket", 12)],
    ["buffers", failed("recv", 105)],
  ])("for want of %s is asked again", (_, error) => {
    const { diag: told } = failing(error, 2);
    expect(told.listening()).toBeNull();
    expect(told.accepted([])).toBeNull();
    expect(told.listening()).toEqual([]);
    expect(told.accepted([])).toEqual([]);
  });

  test.each<[string, Error]>([
    ["it may not be", failed("socket", 1)],
    ["a sandbox forbids it", failed("send", 13)],
    ["it has no such protocol", failed("socket", 93)],
    ["it has no such sockets", failed("socket", 97)],
  ])("because %s is not asked again", (_, error) => {
    const { diag: told, attempts } = failing(error, 1);
    expect([told.listening(), told.accepted([]), told.listening()]).toEqual([null, null, null]);
    expect(attempts()).toBe(1);
  });

  test("once it has answered is believed to answer", () => {
    let error: Error | null = null;
    const diag = new SockDiag(() => {
      if (error !== null) throw error;
      return openScripted((seq) => [end(seq)]);
    });
    expect(diag.listening()).toEqual([]);
    error = failed("socket", 1);
    expect(diag.listening()).toBeNull();
    error = null;
    expect(diag.listening()).toEqual([]);
  });
});

describe("a kernel", () => {
  const host = "127.0.0.1";
  const link: Link = { server: { host, port: 8080 }, caller: { host, port: 54_321 } };
  const fields = { family: v4, port: 8080, remotePort: 54_321, address: [127, 0, 0, 1], state: 1, inode: 7 };
  const end = (seq: number) => message(seq, done, int(0), 2);

  test("without the module says of each connection that it is not there: it is not believed, nor asked again", () => {
    const { diag: blind, counts } = scripted((seq) => [message(seq, error, int(-2))]);
    expect(blind.accepted([link])).toBeNull();
    expect(blind.listening()).toBeNull();
    expect(blind.accepted([link])).toBeNull();
    expect(counts).toEqual({ requests: 1, open: 0 });
  });

  test.each<[string, (seq: number) => readonly number[][], (number | null)[] | null]>([
    ["that shows it", (seq) => [message(seq, diag, diagSocket(fields))], [7]],
    ["that has it in its backlog", (seq) => [message(seq, diag, diagSocket({ ...fields, inode: 0 }))], [0]],
    ["that does not have it", (seq) => [message(seq, error, int(-2))], [null]],
    ["that shows its listener", (seq) => [message(seq, diag, diagSocket({ ...fields, state: 10 }))], [null]],
    ["that shows an ended one", (seq) => [message(seq, diag, diagSocket({ ...fields, state: 6 }))], [null]],
    ["that shows another", (seq) => [message(seq, diag, diagSocket({ ...fields, remotePort: 1 }))], null],
    [
      "that shows one of another server",
      (seq) => [message(seq, diag, diagSocket({ ...fields, port: 1 }))],
      null,
    ],
    ["that is out of memory", (seq) => [message(seq, error, int(-12))], null],
    ["that answers somebody else", (seq) => [message(seq + 1, diag, diagSocket(fields))], null],
    ["that answers none", (seq) => [end(seq)], null],
    ["that does not answer", () => [], null],
  ])("%s is understood", (_, answer, inodes) => {
    const { diag: told, counts } = scripted((seq, isDump) => (isDump ? [end(seq)] : answer(seq)));
    expect(told.accepted([link])).toEqual(inodes);
    expect(told.listening()).toEqual([]);
    expect(counts.open).toBe(0);
  });

  test.each<[string, (seq: number) => readonly number[][]]>([
    ["whose dump breaks off", (seq) => [message(seq, diag, diagSocket(fields), 2)]],
    [
      "whose dump fails",
      (seq) => [message(seq, diag, diagSocket(fields), 2), message(seq, done, int(-12), 2)],
    ],
    [
      "whose dump is without measure",
      (seq) => [
        ...Array.from({ length: 100_000 }, () => message(seq, diag, diagSocket(fields), 2)),
        end(seq),
      ],
    ],
  ])("%s tells nothing", (_, answer) => {
    const { diag: told } = scripted(answer);
    expect(told.listening()).toBeNull();
    expect(told.accepted([link])).toBeNull();
  });
});
