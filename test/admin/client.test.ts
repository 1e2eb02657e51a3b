import { describe, expect, test } from "bun:test";
import { askAgent, listContainers } from "../../src/admin/client.ts";
import { AdminServer } from "../../src/admin/server.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { freePort } from "../support/free-port.ts";
import { type Failure, HttpHost, type Reply } from "../support/http-host.ts";
import { agentWith, anyPort, containerView, originalContainer, source, statusView } from "./fixture.ts";

const never = { signal: new AbortController().signal };
const jsonHeaders = { "Content-Type": "application/json" };

/** A program that answers everything so, and its port. */
async function program(reply: Reply, failure?: Failure): Promise<HttpHost & { readonly port: number }> {
  const host = await HttpHost.start(() => reply);
  if (failure !== undefined) host.fail(failure, { times: Number.POSITIVE_INFINITY });
  return Object.assign(host, { port: Number(new URL(host.origin).port) });
}

async function refusal(work: Promise<unknown>): Promise<DewyError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof DewyError) return error;
  throw new Error(`no DewyError: ${error}`);
}

describe("agents", () => {
  test("are merged, and their containers sorted by name", async () => {
    await using one = agentWith(
      containerView({ id: "0".repeat(64), name: "web-2-0" }),
      containerView({ id: "1".repeat(64), name: "api-1-0" }),
    );
    await using two = agentWith(containerView({ id: "2".repeat(64), name: "job-1-0" }));
    const listing = await listContainers([freePort(), one.port, two.port], never);
    expect(listing.containers.map(({ name, admin_port }) => [name, admin_port])).toEqual([
      ["api-1-0", one.port],
      ["job-1-0", two.port],
      ["web-2-0", one.port],
    ]);
    expect(listing.agents).toEqual([one.port, two.port]);
    expect(listing.silent).toEqual([]);
  });

  test("on the ports after the first are found", async () => {
    await using one = agentWith(containerView({ id: "0".repeat(64), name: "a" }));
    const tries = { port: one.port, tries: 10 };
    await using two = AdminServer.open(tries, source(containerView({ name: "b" })), silentLog);
    const ports = Array.from({ length: 10 }, (_, index) => one.port + index);
    const listing = await listContainers(ports, never);
    expect(listing.agents).toEqual(expect.arrayContaining([one.port, two.port]));
    const names = listing.containers.map(({ name }) => name);
    expect(names.filter((name) => name === "a" || name === "b")).toEqual(["a", "b"]);
  });

  test("that name the same container name it once", async () => {
    await using one = agentWith(containerView());
    await using two = agentWith(containerView());
    const { containers } = await listContainers([one.port, two.port], never);
    expect(containers.map(({ admin_port }) => admin_port)).toEqual([one.port]);
  });

  test("with nothing to show are answers all the same", async () => {
    await using admin = agentWith();
    expect(await listContainers([admin.port], never)).toEqual({
      containers: [],
      agents: [admin.port],
      silent: [],
    });
  });

  test("are reached without the proxy of the environment", async () => {
    await using admin = agentWith(containerView());
    const before = process.env["HTTP_PROXY"];
    process.env["HTTP_PROXY"] = `http://127.0.0.1:${freePort()}`;
    try {
      expect((await listContainers([admin.port], never)).agents).toEqual([admin.port]);
    } finally {
      if (before === undefined) delete process.env["HTTP_PROXY"];
      else process.env["HTTP_PROXY"] = before;
    }
  });
});

describe("the original's agent", () => {
  const answering = (body: unknown) =>
    program({ status: 200, headers: jsonHeaders, body: `${JSON.stringify(body)}\n` });

  test("is understood, replica and version from the labels", async () => {
    await using old = await answering({ containers: [originalContainer()] });
    const { containers } = await listContainers([old.port], never);
    expect(containers).toEqual([
      {
        id: "cd".repeat(32),
        name: "blog-1736933400-1",
        image: "ghcr.io/acme/blog:v0.9.0",
        status: "running",
        ip_port: "127.0.0.1:49200",
        started_at: "2025-01-15T09:29:58.123Z",
        deployed_at: "2025-01-15T09:30:00.000Z",
        labels: { "dewy.app": "blog", "dewy.replica": "1", "dewy.version": "v0.9.0" },
        replica: 1,
        version: "v0.9.0",
        state: null,
        seen: null,
        connections: null,
        health: null,
        admin_port: old.port,
      },
    ]);
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ["Go's zero time", { started_at: "0001-01-01T00:00:00Z" }, { started_at: null }],
    ["no port", { ip_port: "" }, { ip_port: "" }],
    ["an IPv6 port", { ip_port: ":::32768" }, { ip_port: ":::32768" }],
    ["no labels", { labels: null }, { labels: {}, replica: null, version: null }],
    ["a replica that is no number", { labels: { "dewy.replica": "x" } }, { replica: null }],
  ])("may say %s", async (_, change, expected) => {
    await using old = await answering({ containers: [originalContainer(change)] });
    const { containers } = await listContainers([old.port], never);
    expect(containers).toHaveLength(1);
    expect(containers[0]).toMatchObject(expected);
  });

  test("without containers says null", async () => {
    await using old = await answering({ containers: null });
    expect(await listContainers([old.port], never)).toMatchObject({ containers: [], agents: [old.port] });
  });
});

describe("another program", () => {
  const ok = (body: string | Uint8Array): Reply => ({ status: 200, headers: jsonHeaders, body });
  const naming = (change: Record<string, unknown>) =>
    ok(JSON.stringify({ containers: [originalContainer(change)] }));
  const page = { status: 200, headers: { "Content-Type": "text/html" }, body: '{"containers":[]}' };
  const elsewhere = { status: 302, headers: { Location: "http://127.0.0.1:1/" } };
  const many = Array.from({ length: 1001 }, () => originalContainer());
  const replies: readonly (readonly [string, Reply])[] = [
    ["404", { status: 404, headers: jsonHeaders, body: '{"containers":[]}' }],
    ["a redirect", elsewhere],
    ["a page", page],
    ["no body", ok("")],
    ["no JSON", ok("containers")],
    ["null", ok("null")],
    ["a list", ok("[]")],
    ["an object of its own", ok("{}")],
    ["containers that are none", ok('{"containers":{}}')],
    ["containers of another kind", ok('{"containers":[{"Id":"abc"}]}')],
    ["more bytes than an agent would", ok(`{"containers":[],"x":"${"x".repeat(5 * 1024 * 1024)}"}`)],
    ["more containers than an agent would", ok(JSON.stringify({ containers: many }))],
    ["an id that is none", naming({ id: "../../etc" })],
    ["a name with an escape sequence", naming({ name: "a\u001b]0;x\u0007" })],
    ["a name with a line break", naming({ name: "a\nb" })],
    ["a name with a C1 control", naming({ name: "a\u009b2J" })],
    ["an address with an escape sequence", naming({ ip_port: "\u001b[2J:1" })],
    ["a time that is none", naming({ deployed_at: "2025-99-99T00:00:00Z" })],
    ["a time that is a number", naming({ deployed_at: 0 })],
    ["a label that is no text", naming({ labels: { a: 1 } })],
    ["connections below none", naming({ connections: -1 })],
    ["more of a check than an agent would", naming({ seen: "x".repeat(2001) })],
  ];

  test.each(replies)("that answers %s is left out", async (_, reply) => {
    await using other = await program(reply);
    await using admin = agentWith(containerView());
    const listing = await listContainers([other.port, admin.port], never);
    expect(listing.agents).toEqual([admin.port]);
    expect(listing.silent).toEqual([]);
    expect(listing.containers).toHaveLength(1);
    expect(other.requests).toHaveLength(1);
  });

  test("that speaks no HTTP is left out", async () => {
    using other = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end("\u001b[2J220 mail ready\r\n"), data() {} },
    });
    await using admin = agentWith(containerView());
    expect((await listContainers([other.port, admin.port], never)).agents).toEqual([admin.port]);
  });

  test("that cuts its answer short is left out", async () => {
    const cut = { cutAfter: 20 };
    await using other = await program(ok(JSON.stringify({ containers: [originalContainer()] })), cut);
    await using admin = agentWith(containerView());
    expect((await listContainers([other.port, admin.port], never)).agents).toEqual([admin.port]);
  });

  test.each<[string, Failure]>([
    ["never answers", { hang: true }],
    ["never ends its answer", { hangAfter: 5 }],
  ])("that %s delays the list by its deadline only, and is named", async (_, failure) => {
    await using other = await program(ok('{"containers":[]}'), failure);
    await using admin = agentWith(containerView());
    const listing = await listContainers([other.port, admin.port], never);
    expect(listing).toMatchObject({ agents: [admin.port], silent: [other.port] });
  });

  test("that sends a byte now and then is no way to wait for ever", async () => {
    const timers: Timer[] = [];
    using other = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open: (socket) => {
          socket.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
          timers.push(setInterval(() => socket.write(" "), 100));
        },
        data() {},
        close: () => timers.forEach(clearInterval),
      },
    });
    await using admin = agentWith(containerView());
    expect(await listContainers([other.port, admin.port], never)).toMatchObject({ silent: [other.port] });
  });
});

describe("one agent", () => {
  const status = {
    name: "shop",
    command: "container",
    current_version: "v1.2.3",
    proxy_backends: 3,
    is_running: true,
    root: "/srv/shop",
    pid: 4711,
    desired_replicas: 3,
    trouble: null,
  };
  const saying = async (answer: unknown) => {
    const reply = (body: unknown) => ({ status: 200, headers: jsonHeaders, body: JSON.stringify(body) });
    const host = await HttpHost.start(({ path }) =>
      reply(path === "/api/status" ? answer : { containers: [originalContainer()] }),
    );
    return Object.assign(host, { port: Number(new URL(host.origin).port) });
  };

  test("says how it is and what it runs", async () => {
    await using admin = agentWith(containerView());
    expect(await askAgent(admin.port, never)).toMatchObject({
      status,
      containers: [{ name: "shop-1736936999-0", seen: "GET http://127.0.0.1:49152/up: 200" }],
    });
  });

  test("is understood however long its reasons are", async () => {
    const long = "x".repeat(100_000);
    const view = containerView({ seen: long });
    const troubled = { ...source(view), status: () => ({ ...statusView, trouble: long }) };
    await using admin = AdminServer.open(anyPort, troubled, silentLog);
    const report = await askAgent(admin.port, never);
    expect(report.status.trouble).toBe("x".repeat(2000));
    expect(report.containers[0]?.seen).toBe("x".repeat(2000));
  });

  test("of a version before troubles were told has none", async () => {
    const { trouble, ...older } = status;
    await using admin = await saying(older);
    expect((await askAgent(admin.port, never)).status.trouble).toBe(trouble);
  });

  test.each<[string, unknown]>([
    ["the original's status", { name: "a", command: "container", current_version: "", is_running: true }],
    ["null", null],
    ["another command", { ...status, command: "rm" }],
    ["a pid that is none", { ...status, pid: "4711" }],
    ["fewer than no replicas", { ...status, desired_replicas: -1 }],
    ["a trouble that is no text", { ...status, trouble: { a: 1 } }],
    ["a trouble without end", { ...status, trouble: "x".repeat(2001) }],
  ])("that answers %s is none", async (_, answer) => {
    await using other = await saying(answer);
    expect(await refusal(askAgent(other.port, never))).toMatchObject({
      code: "bad-answer",
      message: `what port ${other.port} answers is no agent's answer`,
    });
  });

  test("that is not there any more is said to be so", async () => {
    const port = freePort();
    expect(await refusal(askAgent(port, never))).toMatchObject({
      code: "network-unreachable",
      message: `nothing listens on port ${port}`,
    });
  });

  test.each(["/api/status", "/api/containers"])("that hangs at %s keeps nobody waiting", async (path) => {
    await using other = await saying(status);
    other.fail({ hang: true }, { path: new RegExp(path) });
    expect(await refusal(askAgent(other.port, never))).toMatchObject({
      code: "network-timeout",
      message: `no answer on port ${other.port} within 1s`,
    });
  });
});

describe("when nobody answers", () => {
  test("that is an error that says what to do", async () => {
    const port = freePort();
    const error = await refusal(listContainers([port], never));
    expect(error).toMatchObject({ code: "no-agent", exitCode: 1 });
    expect(error.message).toBe(`no running dewy instances found (tried port ${port})`);
    expect(error.hint).toBe("start `dewy container`, or give the --admin-port that its agent was given");
  });

  test("the error tells the range and who else is there", async () => {
    await using silent = await program({ status: 200 }, { hang: true });
    await using other = await program({ status: 200, body: "hello" });
    const error = await refusal(listContainers([silent.port, freePort(), other.port], never));
    expect(error.message).toContain(`(tried ports ${silent.port}-${other.port})`);
    expect(error.hint).toStartWith(
      `port ${silent.port} did not answer within 1s; another program listens on port ${other.port}; start`,
    );
  });
});

describe("a caller that gives up", () => {
  test("is not kept waiting", async () => {
    await using other = await program({ status: 200 }, { hang: true });
    const controller = new AbortController();
    const reason = new Error("enough");
    const listing = listContainers([other.port], { signal: controller.signal });
    controller.abort(reason);
    await expect(listing).rejects.toBe(reason);
  });
});
