import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import type { OrderProgress } from "../../src/agent/orders/operations.ts";
import { AnswerStream } from "../../src/control/answer-stream.ts";
import { ask, socketOf } from "../../src/control/client.ts";
import { aliveMs, maxRequestBytes, protocolVersion } from "../../src/control/protocol.ts";
import { RecentRecords } from "../../src/control/recent.ts";
import { ControlServer } from "../../src/control/server.ts";
import { DewyError } from "../../src/errors.ts";
import { silentLog } from "../../src/log.ts";
import { systemClock } from "../../src/util/time.ts";
import { FakeClock } from "../support/clock.ts";
import { recordingLog } from "../support/recording.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { controlHost, forEver, ScriptedOperations, view } from "./fixture.ts";

const deploy = { kind: "order", order: { kind: "deploy", tag: "v2.0.0" } } as const;

describe("the control socket", () => {
  test("answers with what the agent knows", async () => {
    await using host = await controlHost();
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
    expect(await ask(host.root, { kind: "check" }, {}, forEver)).toMatchObject({ wouldDeploy: false });
  });

  test("says who answers", async () => {
    await using host = await controlHost();
    const hellos: unknown[] = [];
    await ask(host.root, { kind: "view" }, { onHello: (hello) => hellos.push(hello) }, forEver);
    expect(hellos).toMatchObject([{ root: host.root, pid: process.pid, protocol: protocolVersion }]);
  });

  test("carries an order out, with its progress in order", async () => {
    const seen: OrderProgress[] = [
      { kind: "waiting", for: "a deploy of v1.9.0" },
      { kind: "step", step: "begun" },
      { kind: "received", bytes: 10, totalBytes: null },
      { kind: "received", bytes: 20, totalBytes: 20 },
    ];
    const operations = new ScriptedOperations(async (_, onProgress) => {
      for (const progress of seen) onProgress(progress);
      return { message: "Deployed v2.0.0." };
    });
    await using host = await controlHost(operations);
    const progress: OrderProgress[] = [];
    const result = await ask(host.root, deploy, { onProgress: (each) => progress.push(each) }, forEver);
    expect(result).toEqual({ message: "Deployed v2.0.0." });
    expect(progress).toEqual(seen);
    expect(operations.orders).toEqual([deploy.order]);
  });

  test.each([
    [{ kind: "rollback", tag: null }],
    [{ kind: "hold", until: new Date("2026-12-01T08:00:00Z"), reason: "freeze" }],
    [{ kind: "hold", until: null, reason: null }],
    [{ kind: "resume" }],
    [{ kind: "retry" }],
    [{ kind: "restart" }],
    [{ kind: "reload" }],
  ] as const)("hands %j over as it was given", async (order) => {
    const operations = new ScriptedOperations();
    await using host = await controlHost(operations);
    await ask(host.root, { kind: "order", order }, {}, forEver);
    expect(operations.orders).toEqual([order]);
  });

  test("hands an error over with its code and hint", async () => {
    const operations = new ScriptedOperations(async () => {
      throw new DewyError("start-failed", "v2.0.0 exited with 3", { hint: "see its log" });
    });
    await using host = await controlHost(operations);
    expect(await ask(host.root, deploy, {}, forEver).catch((error) => error)).toMatchObject({
      code: "start-failed",
      message: "v2.0.0 exited with 3",
      hint: "see its log",
    });
  });

  test("lives on when what is thrown is no error of ours, and logs it", async () => {
    const log = recordingLog();
    const operations = new ScriptedOperations(() => {
      throw new TypeError("undefined is not a function");
    });
    await using host = await controlHost(operations, log);
    const failure = ask(host.root, deploy, {}, forEver);
    expect(await failure.catch((error) => error)).toMatchObject({ code: "internal" });
    expect(log.at("warn")).toEqual(["Control request failed"]);
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test("works under a root with a long path", async () => {
    const depth = Array.from({ length: 6 }, () => "d".repeat(100)).join("/");
    await using host = await controlHost(new ScriptedOperations(), silentLog, depth);
    expect(host.socket.length).toBeGreaterThan(600);
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test("is not asked by way of a proxy", async () => {
    await using host = await controlHost();
    const script = `
      import { ask } from "${join(process.cwd(), "src/control/client.ts")}";
      const view = await ask(${JSON.stringify(host.root)}, { kind: "view" }, {}, { signal: new AbortController().signal });
      console.log(view.version);`;
    const env = {
      ...process.env,
      HTTP_PROXY: "http://127.0.0.1:9",
      http_proxy: "http://127.0.0.1:9",
      NO_PROXY: "",
    };
    const child = Bun.spawn([process.execPath, "-e", script], { env, stdio: ["ignore", "pipe", "inherit"] });
    expect(await new Response(child.stdout).text()).toBe("v0.1.0\n");
  });
});

describe("the socket's file", () => {
  test("has mode 0600 whatever the umask, and nothing is left beside it", async () => {
    const before = process.umask(0);
    try {
      await using host = await controlHost();
      expect(lstatSync(host.socket).mode & 0o777).toBe(0o600);
      expect(existsSync(`${host.socket}.new`)).toBe(false);
    } finally {
      process.umask(before);
    }
  });

  test("is bound where another user of the host can't get at it before it has its mode", async () => {
    const seen: number[] = [];
    const { listenPrivately } = await import("../../src/control/socket.ts");
    using dir = tempDir();
    const server = await listenPrivately(join(dir.path, "s"), (unix) => {
      seen.push(lstatSync(dirname(unix)).mode & 0o777);
      return Bun.serve({ unix, fetch: () => new Response() });
    });
    expect(seen).toEqual([0o700]);
    await server.stop(true);
  });

  test("goes with the server", async () => {
    await using host = await controlHost();
    await host.close();
    expect(existsSync(host.socket)).toBe(false);
  });

  test("of a killed agent is replaced, with what it left half-made", async () => {
    using dir = tempDir();
    const own = join(dir.path, ".dewy");
    mkdirSync(own);
    const script = `Bun.serve({ unix: "${socketOf(dir.path)}", fetch: () => new Response() }); process.kill(process.pid, "SIGKILL");`;
    await Bun.spawn([process.execPath, "-e", script]).exited;
    expect(existsSync(socketOf(dir.path))).toBe(true);
    mkdirSync(`${socketOf(dir.path)}.new`);
    writeFileSync(join(`${socketOf(dir.path)}.new`, "socket"), "");
    const source = {
      operations: new ScriptedOperations(),
      recent: new RecentRecords(),
      version: "v1",
      root: "/",
    };
    await using _server = await ControlServer.open(socketOf(dir.path), source, silentLog, systemClock);
    expect(await ask(dir.path, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test.each<[string, (socket: string) => void]>([
    ["was removed", (socket) => rmSync(socket)],
    [
      "was replaced by something else",
      (socket) => {
        rmSync(socket);
        writeFileSync(socket, "");
      },
    ],
  ])("that %s is made again, and what is under way is answered to its end", async (_, tamper) => {
    const done = Promise.withResolvers<{ message: string }>();
    const operations = new ScriptedOperations(() => done.promise);
    await using host = await controlHost(operations);
    expect(await host.restore()).toBe(false);
    const ordered = ask(host.root, deploy, {}, forEver);
    await until("the order is under way", () => operations.orders.length === 1);
    tamper(host.socket);
    expect(await host.restore()).toBe(true);
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
    expect(await host.restore()).toBe(false);
    done.resolve({ message: "Done." });
    expect(await ordered).toEqual({ message: "Done." });
    expect(lstatSync(host.socket).mode & 0o777).toBe(0o600);
    await host.close();
    expect(existsSync(host.socket)).toBe(false);
  });

  test("of a living agent is not", async () => {
    await using host = await controlHost();
    expect(await host.open().catch((error) => error)).toMatchObject({ code: "lock-held" });
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test("of a successor is left alone by the one that ends", async () => {
    await using host = await controlHost();
    rmSync(host.socket);
    const successor = Bun.serve({ unix: host.socket, fetch: () => new Response() });
    await host.close();
    expect(existsSync(host.socket)).toBe(true);
    await successor.stop(true);
  });

  test("that can't be made is an error with its place", async () => {
    await using host = await controlHost();
    await host.close();
    mkdirSync(join(host.socket, "in the way"), { recursive: true });
    expect(await host.open().catch((error) => error)).toMatchObject({
      code: "filesystem",
      message: expect.stringContaining(host.socket),
    });
    expect(existsSync(`${host.socket}.new`)).toBe(false);
  });
});

describe("another user of the host", () => {
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  const asNobody = async (root: string) => {
    const script = `
      const { ask } = await import("${join(process.cwd(), "src/control/client.ts")}");
      try { await ask(${JSON.stringify(root)}, { kind: "view" }, {}, { signal: new AbortController().signal }); console.log("answered"); }
      catch (error) { console.log(error.code, error.message); }`;
    const child = Bun.spawn([...nobody, process.execPath, "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    return (await new Response(child.stdout).text()).trim();
  };

  test("is refused, and told who may", async () => {
    await using host = await controlHost();
    chmodSync(host.root, 0o755);
    expect(await asNobody(host.root)).toBe(
      `filesystem the agent of ${host.root} is root's; this user (nobody) may not ask it`,
    );
    // Only the socket's mode stands in the way.
    chmodSync(host.socket, 0o666);
    expect(await asNobody(host.root)).toBe("answered");
  });
});

/** What a connection that sends this gets until it is closed. */
function send(socket: string, bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let got = "";
  const connection = connect(socket, () => connection.write(bytes));
  connection.on("data", (data) => {
    got += data;
  });
  connection.on("error", () => undefined);
  connection.on("close", () => resolve(got));
  return promise;
}

const post = (body: string) =>
  `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe("hostile clients", () => {
  const endings: [string, string, RegExp][] = [
    ["no HTTP at all", "\u0000\u0001garbage\r\n\r\n", /^HTTP\/1.1 400 /],
    ["a body larger than any question", post("x".repeat(maxRequestBytes + 1)), /^HTTP\/1.1 413 /],
    [
      "a length that is a lie",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n",
      /^HTTP\/1.1 413 /,
    ],
    ["no JSON", post("{"), /"config-invalid"/],
    ["JSON that is no question", post('{"protocol":1,"ask":{"kind":"format"}}'), /"config-invalid"/],
    [
      "an order with too much in it",
      post(question({ kind: "deploy", tag: "v".repeat(300) })),
      /"config-invalid"/,
    ],
    [
      "a time that is none",
      post(question({ kind: "hold", until: "soon", reason: null })),
      /"config-invalid"/,
    ],
  ];

  test.each(endings)("with %s get no further", async (_, bytes, answer) => {
    const operations = new ScriptedOperations();
    await using host = await controlHost(operations);
    expect(await send(host.socket, bytes)).toMatch(answer);
    expect(operations.orders).toEqual([]);
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test("with half a request, or none, are closed", async () => {
    await using host = await controlHost();
    const halves = [
      "",
      "POST / HTTP/1.1\r\nHo",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ];
    const got = await Promise.all(halves.map((half) => send(host.socket, half)));
    for (const answer of got) expect(answer).not.toContain("result");
  }, 30_000);

  test("that ask for more at once than is answered are refused", async () => {
    const gate = Promise.withResolvers<{ message: string }>();
    await using host = await controlHost(new ScriptedOperations(() => gate.promise));
    const waiting = Array.from({ length: 32 }, () => ask(host.root, deploy, {}, forEver));
    const refused = await until("a refusal", () =>
      ask(host.root, { kind: "view" }, {}, forEver).then(
        () => null,
        (error) => error,
      ),
    );
    expect(refused).toMatchObject({ code: "rate-limited" });
    gate.resolve({ message: "Done." });
    await Promise.all(waiting);
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test("of another version are told both versions", async () => {
    await using host = await controlHost();
    const body = JSON.stringify({ protocol: protocolVersion + 1, version: "v9.9.9", ask: { kind: "other" } });
    const answer = await send(host.socket, post(body));
    expect(answer).toContain("the agent is dewy v0.1.0 and this command dewy v9.9.9");
  });
});

describe("a client that goes away", () => {
  test("takes its patience with it, and leaves the deploy to the agent", async () => {
    const gone = Promise.withResolvers<void>();
    let done = false;
    const operations = new ScriptedOperations(async (_, onProgress, c) => {
      onProgress({ kind: "step", step: "begun" });
      c.signal.addEventListener("abort", () => gone.resolve());
      await gone.promise;
      onProgress({ kind: "step", step: "switched" });
      done = true;
      return { message: "Deployed." };
    });
    await using host = await controlHost(operations);
    const patience = new AbortController();
    const asked = ask(host.root, deploy, { onProgress: () => patience.abort() }, patience);
    expect(await asked.catch((error) => error)).toBe(patience.signal.reason);
    await until("the deploy is done", () => done);
    expect(await ask(host.root, { kind: "view" }, {}, forEver)).toEqual(view);
  });

  test("of an agent that ends is told so", async () => {
    const operations = new ScriptedOperations(() => new Promise(() => undefined));
    const host = await controlHost(operations);
    const asked = ask(host.root, deploy, {}, forEver).catch((error) => error);
    await until("the order has come", () => operations.orders.length === 1);
    await host[Symbol.asyncDispose]();
    expect(await asked).toMatchObject({
      code: "network-unreachable",
      message: "the agent ended before it had answered",
    });
  });
});

function question(order: unknown): string {
  return JSON.stringify({ protocol: protocolVersion, version: "v1", ask: { kind: "order", order } });
}

test("an order that takes long shows that the agent lives, and ends its beat with it", async () => {
  const clock = new FakeClock();
  const end = new AbortController();
  const answer = new AnswerStream({ protocol: 1, version: "v1", pid: 1, root: "/" }, clock, () =>
    end.abort(),
  );
  for (let beats = 0; beats < 3; beats++) {
    await until("the beat waits", () => clock.sleeping === 1);
    await clock.advance(aliveMs);
  }
  await until("the beat waits", () => clock.sleeping === 1);
  answer.end({ kind: "result", result: null });
  const lines = (await new Response(answer.body).text()).trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).kind)).toEqual(["hello", "alive", "alive", "alive", "result"]);
  expect(end.signal.aborted).toBe(true);
  await until("the beat is over", () => clock.sleeping === 0);
});

describe("progress", () => {
  const kindsOf = async (answer: AnswerStream) =>
    (await new Response(answer.body).text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  const stream = (clock = new FakeClock()) =>
    new AnswerStream({ protocol: 1, version: "v1", pid: 1, root: "/" }, clock, () => undefined);

  test("is dropped for a reader that takes none, but the result is not", async () => {
    const answer = stream();
    for (let i = 0; i < 10_000; i++) answer.progress({ kind: "step", step: `step ${i}` });
    answer.end({ kind: "result", result: null });
    const lines = await kindsOf(answer);
    expect(lines.length).toBeLessThan(300);
    expect(lines.at(-1)).toEqual({ kind: "result", result: null });
  });

  test("of a download comes ten times a second, and once when it is whole", async () => {
    const clock = new FakeClock();
    const answer = stream(clock);
    for (let bytes = 1; bytes <= 100; bytes++) {
      answer.progress({ kind: "received", bytes, totalBytes: 100 });
      await clock.advance(10);
    }
    answer.end({ kind: "result", result: null });
    const received = (await kindsOf(answer)).filter(({ kind }) => kind === "progress");
    expect(received.map(({ progress }) => progress.bytes)).toEqual([
      1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 100,
    ]);
  });

  test("after the end is no error", () => {
    const answer = stream();
    answer.end({ kind: "result", result: null });
    answer.progress({ kind: "step", step: "late" });
    answer.end({ kind: "result", result: null });
  });
});
