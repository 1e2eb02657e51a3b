import { describe, expect, test } from "bun:test";
import { containerListens } from "../../../src/container/health/listening.ts";
import { checkHttp, statusOf } from "../../../src/health/http.ts";
import { type Listening, listeningOn } from "../../../src/health/listening.ts";
import { type Health, nextHealth } from "../../../src/health/policy.ts";
import { checkServed } from "../../../src/health/served.ts";
import { proxyHeader } from "../../../src/proxy/proxy-protocol.ts";
import { parseSocketTable } from "../../../src/util/socket-table.ts";
import { type Behaviour, FakeApp } from "../../support/fake-app.ts";

const c = { signal: new AbortController().signal };

function address(app: FakeApp) {
  return { host: "127.0.0.1", port: app.published[0]?.hostPort ?? 0 };
}

async function withApp<T>(behaviour: Behaviour, work: (app: FakeApp) => Promise<T>): Promise<T> {
  const app = new FakeApp("web", [8080], behaviour);
  try {
    return await work(app);
  } finally {
    app.stop();
  }
}

describe("the health of a replica", () => {
  const policy = { threshold: 3, timeoutMs: 1000 };
  const health = (kind: Health["kind"], failures = 0): Health => ({ kind, failures, seen: "", sinceMs: 0 });
  test.each<[string, Health, boolean, number, Health["kind"], number]>([
    ["a pass makes it well", health("unproven", 2), true, 10, "well", 0],
    ["a pass heals", health("sick", 9), true, 10, "well", 0],
    ["one failure is nothing", health("well"), false, 10, "well", 1],
    ["the threshold makes it sick", health("well", 2), false, 10, "sick", 3],
    ["sick stays sick", health("sick", 3), false, 10, "sick", 4],
    ["one that never passed has its time", health("unproven", 50), false, 999, "unproven", 51],
    ["and not longer", health("unproven", 50), false, 1000, "sick", 51],
  ])("%s", (_, before, ok, nowMs, kind, failures) => {
    expect(nextHealth(before, { ok, seen: "x" }, policy, nowMs)).toMatchObject({ kind, failures, seen: "x" });
  });

  test.each([health("unproven", 50), health("well", 2), health("sick", 9)])(
    "stays %j while this host can't ask, and says why",
    (before) => {
      const unasked = { ok: false, seen: "x", unasked: true };
      expect(nextHealth(before, unasked, policy, 999_999)).toEqual({ ...before, seen: "x" });
    },
  );
});

test.each(["v1", "v2"] as const)(
  "an app that insists on the PROXY protocol %s is greeted with it",
  async (version) => {
    const greeting = new TextDecoder().decode(proxyHeader(version, null));
    using app = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, bytes) {
          if (Buffer.from(bytes).toString("latin1").startsWith(greeting))
            socket.write("HTTP/1.1 200 OK\r\n\r\n");
          socket.end();
        },
      },
    });
    const at = { host: "127.0.0.1", port: app.port };
    expect(await checkHttp(at, { path: "/up", greeting }, 1000, c)).toMatchObject({ ok: true });
    expect(await checkHttp(at, { path: "/up", greeting: "" }, 1000, c)).toMatchObject({ ok: false });
  },
);

describe("the HTTP check", () => {
  test.each<[string, number | null]>([
    ["HTTP/1.1 200 OK\r\n", 200],
    ["HTTP/1.0 503 Busy\r\nX: y\r\n", 503],
    ["HTTP/1.1 200", null],
    ["HTTP/1.1 103 Early Hints\r\nLink: x\r\n", null],
    ["HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n", 204],
    ["HTTP/2 200\r\n", null],
  ])("reads %j", (head, status) => {
    expect(statusOf(head)).toBe(status);
  });

  test.each<[Behaviour, boolean, RegExp]>([
    ["serve", true, /: 200$/],
    [302, true, /: 302$/],
    [400, false, /: 400$/],
    [500, false, /: 500$/],
    ["mute", false, /no answer within 100 ms/],
    ["close", false, /accepts but does not answer/],
    ["garbage", false, /what answers is no HTTP/],
    ["refuse", false, /connection refused/],
  ])("of an app that is %p passes: %p", async (behaviour, ok, seen) => {
    const limitMs = behaviour === "mute" ? 100 : 20_000;
    const probed = await withApp(behaviour, (app) =>
      checkHttp(address(app), { path: "/up", greeting: "" }, limitMs, c),
    );
    expect(probed).toMatchObject({ ok, seen: expect.stringMatching(seen) });
  });

  test("asks for the path, by the address it goes to, whatever HTTP_PROXY says", async () => {
    const requests: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        requests.push(`${request.method} ${request.url}`);
        return new Response("ok");
      },
    });
    const before = process.env["HTTP_PROXY"];
    process.env["HTTP_PROXY"] = "http://127.0.0.1:1";
    try {
      const at = { host: "127.0.0.1", port: server.port ?? 0 };
      expect(await checkHttp(at, { path: "/up?full=1", greeting: "" }, 20_000, c)).toMatchObject({
        ok: true,
        status: 200,
      });
      expect(requests).toEqual([`GET http://127.0.0.1:${at.port}/up?full=1`]);
    } finally {
      if (before === undefined) delete process.env["HTTP_PROXY"];
      else process.env["HTTP_PROXY"] = before;
      await server.stop(true);
    }
  });

  test("is broken off by its caller", async () => {
    const abort = new AbortController();
    const check = withApp("mute", (app) =>
      checkHttp(address(app), { path: "/up", greeting: "" }, 60_000, abort),
    );
    abort.abort(new Error("enough"));
    expect(await check.catch((error: unknown) => error)).toMatchObject({ message: "enough" });
  });
});

describe("a port is served", () => {
  test.each<[Behaviour, Listening, boolean, RegExp]>([
    ["serve", null, true, /served/],
    ["mute", null, true, /served/],
    ["close", null, false, /accepts but does not serve/],
    ["refuse", null, false, /connection refused/],
    ["mute", "yes", true, /served/],
    ["refuse", "yes", false, /connection refused/],
    ["mute", "no", true, /served/],
    ["close", "no", false, /accepts but does not serve/],
    ["mute", "loopback-only", false, /loopback only/],
  ])("%p, the kernel says %p: %p", async (behaviour, listening, ok, seen) => {
    const probed = await withApp(behaviour, (app) =>
      checkServed(address(app), { listening: listening, greeting: "" }, 1000, c),
    );
    expect(probed).toMatchObject({ ok, seen: expect.stringMatching(seen) });
  });
});

describe("the kernel's table of sockets", () => {
  const row = (local: string, state: string) =>
    `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:0`;
  const head = "  sl  local_address rem_address   st tx_queue";
  test.each<[string, string, Exclude<Listening, null>]>([
    ["any IPv4 address", row("00000000:1F90", "0A"), "yes"],
    ["any IPv6 address", row("00000000000000000000000000000000:1F90", "0A"), "yes"],
    ["the container's own address", row("020011AC:1F90", "0A"), "yes"],
    ["127.0.0.1", row("0100007F:1F90", "0A"), "loopback-only"],
    ["::1", row("00000000000000000000000001000000:1F90", "0A"), "loopback-only"],
    ["::ffff:127.0.0.1", row("0000000000000000FFFF00000100007F:1F90", "0A"), "loopback-only"],
    ["a connection of that port", row("020011AC:1F90", "01"), "no"],
    ["another port", row("00000000:1F91", "0A"), "no"],
    ["loopback and any", `${row("0100007F:1F90", "0A")}\n${row("00000000:1F90", "0A")}`, "yes"],
  ])("shows %s", (_, rows, listening) => {
    expect(listeningOn(parseSocketTable(`${head}\n${rows}`), 8080)).toBe(listening);
  });

  test("is not trusted for a pid that is not the container's", () => {
    expect(containerListens({ id: "c0ffee".repeat(8), pid: process.pid }, 80)).toBe(null);
    expect(containerListens({ id: "c0ffee", pid: null }, 80)).toBe(null);
    expect(containerListens({ id: "c0ffee", pid: 2 ** 30 }, 80)).toBe(null);
  });
});
