import { describe, expect, test } from "bun:test";
import { openRuntime } from "../../../src/container/engine/open.ts";
import type { ContainerRuntime, PullProgress } from "../../../src/container/runtime.ts";
import type { InstanceEvent } from "../../../src/replicas/engine.ts";
import { systemClock } from "../../../src/util/time.ts";
import { FakeClock } from "../../support/clock.ts";
import { failureOf } from "../../support/engine-failure.ts";
import {
  type Answer,
  chunk,
  chunkedHead,
  type FakeEngine,
  lastChunk,
  respond,
  startFakeEngine,
} from "../../support/engine-fake.ts";
import { recordingLog } from "../../support/recording.ts";
import { until } from "../../support/until.ts";

const never = { signal: new AbortController().signal };
const json = { "Content-Type": "application/json" };
const image = { repository: "registry.test/app/web", tag: "1.0.0", platform: null };
const secret = { kind: "password", username: "me", password: "hunter2-pass" } as const;

async function withEngine(
  answer: Answer,
  use: (runtime: ContainerRuntime, engine: FakeEngine) => Promise<void>,
  clock = systemClock,
): Promise<void> {
  await using engine = await startFakeEngine(answer);
  await using runtime = await openRuntime(
    { kind: "docker", env: engine.env },
    { log: recordingLog(), clock },
  );
  await use(runtime, engine);
}

const says =
  (text: string): Answer =>
  (_, connection) =>
    void connection.write(text);

describe("an answer that is none", () => {
  test.each<[string, Answer, string, RegExp]>([
    ["no JSON", says(respond(200, "<html>hello</html>")), "engine-failed", /no JSON/],
    ["another shape", says(respond(200, '{"Id":5}')), "engine-failed", /unexpected shape \(Id/],
    ["a list for an object", says(respond(200, "[]")), "engine-failed", /unexpected shape/],
    ["a state with no name", says(respond(200, containerIn("zombie"))), "engine-failed", /unexpected shape/],
    ["500 with HTML", says(respond(500, "<html><body>oops</body></html>")), "engine-failed", /answered 500$/],
    ["500 with nothing", says(respond(500, "")), "engine-failed", /answered 500$/],
    [
      "a closed connection",
      (_, connection) => void connection.destroy(),
      "engine-unreachable",
      /no connection/,
    ],
    [
      "no HTTP",
      (_, connection) => void connection.end("SSH-2.0-OpenSSH\r\n"),
      "engine-unreachable",
      /no connection/,
    ],
    [
      "half an answer",
      (_, connection) => void connection.end('HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"Id":'),
      "engine-unreachable",
      /ECONNRESET/,
    ],
    [
      "half a chunked one",
      (_, connection) => void connection.end(`${chunkedHead}${chunk('{"Id":')}`),
      "engine-unreachable",
      /ECONNRESET/,
    ],
  ])("%s", async (_, answer, code, message) => {
    await withEngine(answer, async (runtime) => {
      const failure = await failureOf(runtime.inspect("abc", never));
      expect(failure).toMatchObject({ code, message: expect.stringMatching(message) });
    });
  });

  test("an endless one is cut off, not kept", async () => {
    const block = chunk(" ".repeat(1024 * 1024));
    let sent = 0;
    const flood: Answer = (_, connection) => {
      connection.write(chunkedHead);
      const more = () => {
        while (!connection.destroyed && connection.write(block)) sent++;
      };
      connection.on("drain", more);
      more();
    };
    await withEngine(flood, async (runtime, engine) => {
      expect(await failureOf(runtime.list({}, never))).toMatchObject({ code: "engine-failed" });
      await until("the connection is closed", () => engine.open === 0);
      expect(sent).toBeLessThan(200);
    });
  });

  test.each<[string, string | null]>([
    ["no version", respond(200, "OK")],
    ["a version that is none", respond(200, "OK", { "Api-Version": "latest" })],
    ["500", respond(500, "", { "Api-Version": "1.41" })],
  ])("a ping with %s", async (_, ping) => {
    await withEngine(says(""), async (runtime, engine) => {
      engine.ping = ping;
      expect(await failureOf(runtime.list({}, never))).toMatchObject({ code: "engine-failed" });
    });
  });
});

describe("the version", () => {
  test.each<[string, string]>([
    ["1.40", "/v1.40/"],
    ["1.41", "/v1.41/"],
    ["1.48", "/v1.48/"],
    ["1.52", "/v1.48/"],
    ["2.0", "/v1.48/"],
  ])("of an engine with %s is %s", async (theirs, path) => {
    await withEngine(says(respond(200, "[]")), async (runtime, engine) => {
      engine.ping = respond(200, "OK", { "Api-Version": theirs });
      await runtime.list({}, never);
      expect(engine.requests[0]).toStartWith(`GET ${path}containers/json`);
    });
  });

  test("1.39 is too old, which is said", async () => {
    await withEngine(says(""), async (runtime, engine) => {
      engine.ping = respond(200, "OK", { "Api-Version": "1.39" });
      const failure = await failureOf(runtime.list({}, never));
      expect(failure).toMatchObject({ code: "engine-failed", hint: expect.stringContaining("19.03") });
      expect(engine.requests).toEqual([]);
    });
  });

  test("is asked for again after the engine was away", async () => {
    await withEngine(says(respond(200, "[]")), async (runtime, engine) => {
      await runtime.list({}, never);
      engine.answer = (_, connection) => void connection.destroy();
      await failureOf(runtime.list({}, never));
      engine.ping = respond(200, "OK", { "Api-Version": "1.44" });
      engine.answer = says(respond(200, "[]"));
      await runtime.list({}, never);
      expect(engine.requests.at(-1)).toStartWith("GET /v1.44/");
    });
  });
});

describe("an engine that hangs", () => {
  test.each<[string, Answer]>([
    ["before the answer", () => undefined],
    ["in the head", says("HTTP/1.1 200 OK\r\nContent-")],
    ["in the body", says(`${chunkedHead}${chunk("[")}`)],
  ])("%s is given up", async (_, answer) => {
    const clock = new FakeClock();
    await withEngine(
      answer,
      async (runtime, engine) => {
        const failing = failureOf(runtime.list({}, never));
        await until("it was asked", () => engine.requests.length > 0);
        await clock.advance(29_000);
        expect(clock.sleeping).toBe(1);
        await clock.advance(2000);
        expect(await failing).toMatchObject({
          code: "engine-unreachable",
          message: expect.stringContaining("30s"),
        });
        await until("the connection is closed", () => engine.open === 0);
      },
      clock,
    );
  });

  test("on a stop waits as long as the container may take", async () => {
    const clock = new FakeClock();
    await withEngine(
      () => undefined,
      async (runtime, engine) => {
        const failing = failureOf(runtime.stop("abc", 60_000, never));
        await until("it was asked", () => engine.requests.length > 0);
        await clock.advance(85_000);
        expect(clock.sleeping).toBe(1);
        await clock.advance(10_000);
        expect((await failing).code).toBe("engine-unreachable");
      },
      clock,
    );
  });

  test("on a pull is waited for while it reports progress, not longer", async () => {
    const clock = new FakeClock();
    const pulling: Answer = (_, connection) => {
      connection.write(chunkedHead);
      write = (text) => void connection.write(chunk(`${text}\n`));
    };
    let write = (_: string): void => undefined;
    await withEngine(
      pulling,
      async (runtime, engine) => {
        const seen: number[] = [];
        const onProgress = ({ layers }: { layers: number }) => void seen.push(layers);
        const failing = failureOf(runtime.pull({ ...image, credentials: null, onProgress }, never));
        await until("it was asked", () => engine.requests.length > 0);
        for (let layer = 1; layer <= 4; layer++) {
          write(JSON.stringify({ status: "Pulling fs layer", id: `layer${layer}` }));
          await until("it was told", () => seen.length === layer);
          await clock.advance(100_000);
        }
        await clock.advance(30_000);
        expect(await failing).toMatchObject({ code: "network-timeout" });
        await until("the connection is closed", () => engine.open === 0);
      },
      clock,
    );
  });
});

describe("a pull", () => {
  const lines = (...all: object[]): Answer =>
    says(`${chunkedHead}${all.map((line) => chunk(`${JSON.stringify(line)}\n`)).join("")}${lastChunk}`);
  const failed = (message: string): Answer =>
    lines({ status: "Pulling from app/web", id: "1.0.0" }, { error: message, errorDetail: { message } });

  test.each<[string, string]>([
    ["toomanyrequests: You have reached your pull rate limit.", "rate-limited"],
    ["error parsing HTTP 429 response body: invalid character", "rate-limited"],
    ["received unexpected HTTP status: 429 Too Many Requests", "rate-limited"],
    [
      "pull access denied for app/web, repository does not exist or may require 'docker login'",
      "unauthorized",
    ],
    ["unauthorized: authentication required", "unauthorized"],
    ['Head "https://registry.test/v2/app/web/manifests/1.0.0": no basic auth credentials', "unauthorized"],
    ["manifest for registry.test/app/web:1.0.0 not found: manifest unknown: manifest unknown", "not-found"],
    ["no matching manifest for linux/amd64 in the manifest list entries", "not-found"],
    [
      "choosing an image from manifest list docker://x: no image found in manifest list for architecture amd64",
      "not-found",
    ],
    ['Get "https://registry.test/v2/": dial tcp: lookup registry.test: no such host', "network-unreachable"],
    [
      'Get "https://registry.test/v2/": http: server gave HTTP response to HTTPS client',
      "network-unreachable",
    ],
    ['Get "https://registry.test/v2/": x509: certificate signed by unknown authority', "network-unreachable"],
    ["received unexpected HTTP status: 503 Service Unavailable", "network-unreachable"],
    ["unexpected EOF", "network-unreachable"],
    ["read tcp 10.0.0.1:4: read: connection reset by peer", "network-unreachable"],
    ['Get "https://registry.test/v2/": dial tcp 10.0.0.1:443: i/o timeout', "network-timeout"],
    ["net/http: TLS handshake timeout", "network-timeout"],
    ["write /var/lib/docker/tmp/GetImageBlob123: no space left on device", "disk-full"],
    ["failed to register layer: open /x: permission denied", "engine-failed"],
    ["context canceled", "engine-unreachable"],
    ["something nobody has seen", "engine-failed"],
  ])("that ends with %p is %s", async (message, code) => {
    await withEngine(failed(message), async (runtime) => {
      const failure = await failureOf(runtime.pull({ ...image, credentials: null }, never));
      expect(failure).toMatchObject({
        code,
        message: expect.stringContaining("registry.test/app/web:1.0.0"),
      });
    });
  });

  test("that failed is over, though the engine keeps the connection", async () => {
    const held = says(`${chunkedHead}${chunk('{"error":"unexpected EOF"}\n')}`);
    await withEngine(held, async (runtime, engine) => {
      const failure = await failureOf(runtime.pull({ ...image, credentials: null }, never));
      expect(failure.code).toBe("network-unreachable");
      await until("the connection is closed", () => engine.open === 0);
    });
  });

  test.each<[string, string, boolean]>([
    ["the image's", "abcdef123456", true],
    ["another's, a layer's", "fedcba654321", false],
  ])("of Podman ends with %s id", async (_, id, ok) => {
    const imageId = `sha256:${"abcdef123456".padEnd(64, "0")}`;
    const podman: Answer = (request, connection) => {
      if (request.startsWith("POST")) return lines({ status: "Download complete", id })(request, connection);
      connection.write(respond(200, JSON.stringify({ Id: imageId, Size: 1 })));
    };
    await withEngine(podman, async (runtime, engine) => {
      engine.ping = respond(200, "OK", { "Api-Version": "1.41", "Libpod-Api-Version": "4.3.1" });
      const pulling = runtime.pull({ ...image, credentials: null }, never);
      if (ok) expect((await pulling).id).toBe(imageId);
      else expect((await failureOf(pulling)).message).toContain("stopped reporting");
    });
  });

  test("is not judged by the image's own name", async () => {
    const name = { repository: "registry.test/unauthorized/denied", tag: "not-found" };
    const message = "error from registry.test/unauthorized/denied:not-found: connection reset by peer";
    await withEngine(failed(message), async (runtime) => {
      const failure = await failureOf(runtime.pull({ ...image, ...name, credentials: null }, never));
      expect(failure.code).toBe("network-unreachable");
    });
  });

  test("tells of the bytes that have come", async () => {
    const downloading = { status: "Downloading", id: "a", progressDetail: { current: 900, total: 1000 } };
    const told: PullProgress[] = [];
    await withEngine(lines(downloading), async (runtime) => {
      const onProgress = (progress: PullProgress) => void told.push(progress);
      await failureOf(runtime.pull({ ...image, credentials: null, onProgress }, never));
    });
    expect(told[0]).toEqual({ layers: 1, layersDone: 0, bytes: 900 });
  });

  test.each<[string, Answer]>([
    ["without a word", lines()],
    ["in the middle", lines({ status: "Pulling fs layer", id: "a" }, { status: "Downloading", id: "a" })],
    [
      "with Podman's word on Docker",
      lines({ status: "Pulling fs layer", id: "a" }, { status: "Download complete", id: "a" }),
    ],
    ["in garbage", says(`${chunkedHead}${chunk("}{\n<html>\n\0\0\0")}${lastChunk}`)],
  ])("that ends %s is none", async (_, answer) => {
    await withEngine(answer, async (runtime) => {
      const failure = await failureOf(runtime.pull({ ...image, credentials: null }, never));
      expect(failure).toMatchObject({
        code: "engine-failed",
        message: expect.stringContaining("stopped reporting"),
      });
    });
  });

  test("that was cut off is the engine's failure", async () => {
    const cut: Answer = (_, connection) =>
      void connection.end(`${chunkedHead}${chunk('{"status":"Pulling fs layer","id":"a"}\n')}`);
    await withEngine(cut, async (runtime) => {
      const failure = await failureOf(runtime.pull({ ...image, credentials: null }, never));
      expect(failure.code).toBe("engine-unreachable");
    });
  });

  test("sends the credentials for the registry, and no error repeats them", async () => {
    const echo: Answer = (request, connection) => {
      const header = /^x-registry-auth: (\S+)/im.exec(request)?.[1] ?? "";
      const message = `denied ${header} hunter2-pass https://me:hunter2-pass@x/y https://x/z?token=hunter3`;
      connection.write(respond(500, JSON.stringify({ message }), json));
    };
    await withEngine(echo, async (runtime, engine) => {
      const failure = await failureOf(runtime.pull({ ...image, credentials: secret }, never));
      const [, sent = ""] = /^x-registry-auth: (\S+)/im.exec(engine.requests[0] ?? "") ?? [];
      expect(JSON.parse(Buffer.from(sent, "base64url").toString())).toEqual({
        username: "me",
        password: "hunter2-pass",
        serveraddress: "registry.test",
      });
      expect(sent.length % 4).toBe(0);
      expect(failure.code).toBe("unauthorized");
      for (const part of ["hunter2", "hunter3", sent]) expect(failure.message).not.toContain(part);
    });
  });

  test.each(["a", "ab", "abc", "~~~???>>>\u00ff"])(
    "sends the password %p in padded base64url",
    async (password) => {
      await withEngine(failed("denied"), async (runtime, engine) => {
        await failureOf(runtime.pull({ ...image, credentials: { ...secret, password } }, never));
        const [, sent = ""] = /^x-registry-auth: (\S+)/im.exec(engine.requests[0] ?? "") ?? [];
        expect(sent).toMatch(/^[\w-]+=*$/);
        expect(sent.length % 4).toBe(0);
        expect(JSON.parse(Buffer.from(sent, "base64url").toString())).toMatchObject({ password });
      });
    },
  );

  test("of the hub with a token names the hub's old address", async () => {
    await withEngine(failed("denied"), async (runtime, engine) => {
      const credentials = { kind: "identity-token", token: "t0ken" } as const;
      await failureOf(runtime.pull({ ...image, repository: "nginx", credentials }, never));
      const [, sent = ""] = /^x-registry-auth: (\S+)/im.exec(engine.requests[0] ?? "") ?? [];
      expect(JSON.parse(Buffer.from(sent, "base64url").toString())).toEqual({
        identitytoken: "t0ken",
        serveraddress: "https://index.docker.io/v1/",
      });
    });
  });
});

describe("a watch", () => {
  const event = (id: string, action: string) =>
    JSON.stringify({ Type: "container", Action: action, Actor: { ID: id } });

  test("goes on after lines that are none, in whatever pieces they come", async () => {
    const text = [
      event("a", "start"),
      "<html>",
      '{"Action":5}',
      event("huge", "x".repeat(2 * 1024 * 1024)),
      JSON.stringify({ Type: "image", Action: "pull", Actor: { ID: "i" } }),
      "",
      event("b", "health_status: healthy"),
      event("c", "die"),
    ].join("\n");
    const pieces: Answer = async (_, connection) => {
      connection.write(chunkedHead);
      for (let at = 0; at < text.length; at += 50_001) connection.write(chunk(text.slice(at, at + 50_001)));
      connection.write(lastChunk);
    };
    await withEngine(pieces, async (runtime) => {
      const events: InstanceEvent[] = [];
      await runtime.watch({}, (each) => events.push(each), never);
      expect(events).toEqual([
        { id: "a", action: "start" },
        { id: "b", action: "health_status" },
        { id: "c", action: "die" },
      ]);
    });
  });

  test("tells an event before the next one comes, and has no time limit", async () => {
    const clock = new FakeClock();
    await withEngine(
      says(`${chunkedHead}${chunk(`${event("a", "start")}\n`)}`),
      async (runtime, engine) => {
        const events: InstanceEvent[] = [];
        const stop = new AbortController();
        const watching = runtime.watch({ "dewy.app": "web", any: "" }, (each) => events.push(each), stop);
        await until("the event is told", () => events.length === 1);
        await clock.advance(7 * 24 * 3_600_000);
        expect(engine.open).toBe(1);
        stop.abort(new Error("enough"));
        expect(watching).rejects.toThrow("enough");
        await until("the connection is closed", () => engine.open === 0);
        const query = new URL(`http://x${/^GET (\S+)/.exec(engine.requests[0] ?? "")?.[1]}`).searchParams;
        expect(JSON.parse(query.get("filters") ?? "")).toEqual({
          type: ["container"],
          label: ["dewy.app=web", "any"],
        });
      },
      clock,
    );
  });

  test("that the engine refuses or cuts off fails", async () => {
    await withEngine(says(respond(500, '{"message":"no"}', json)), async (runtime) => {
      expect((await failureOf(runtime.watch({}, () => {}, never))).code).toBe("engine-failed");
    });
    const cut: Answer = (_, connection) => void connection.end(`${chunkedHead}${chunk("\n")}`);
    await withEngine(cut, async (runtime) => {
      expect((await failureOf(runtime.watch({}, () => {}, never))).code).toBe("engine-unreachable");
    });
  });
});

test("a container that was removed while it was listed is left out", async () => {
  const answer: Answer = (request, connection) => {
    if (/containers\/json/.test(request))
      connection.write(respond(200, '[{"Id":"a"},{"Id":"gone"},{"Id":"gone2"}]'));
    else if (/\/a\/json/.test(request)) connection.write(respond(200, containerIn("running")));
    else if (/gone2/.test(request)) {
      connection.write(
        respond(500, '{"message":"inspecting: no such container","cause":"no such container"}'),
      );
    } else connection.write(respond(404, '{"message":"No such container: gone"}'));
  };
  await withEngine(answer, async (runtime) => {
    expect((await runtime.list({}, never)).map(({ id }) => id)).toEqual(["a"]);
  });
});

test("a removal that is in progress is waited for", async () => {
  let looks = 0;
  const answer: Answer = (request, connection) => {
    if (request.startsWith("DELETE")) {
      connection.write(respond(409, '{"message":"removal of container a is already in progress"}'));
    } else if (++looks < 3) connection.write(respond(200, containerIn("removing")));
    else connection.write(respond(404, '{"message":"No such container: a"}'));
  };
  await withEngine(answer, async (runtime) => {
    await runtime.remove("a", never);
    expect(looks).toBe(3);
  });
});

test("grace is sent in whole seconds, rounded up", async () => {
  await withEngine(says(respond(304, "")), async (runtime, engine) => {
    for (const ms of [0, 1, 1000, 1001]) await runtime.stop("a", ms, never);
    expect(engine.requests.map((request) => /t=(\d+)/.exec(request)?.[1])).toEqual(["0", "1", "1", "2"]);
  });
});

function containerIn(status: string): string {
  const state = { Status: status, Pid: 1, StartedAt: "2026-01-01T00:00:00Z" };
  return JSON.stringify({
    Id: "a",
    Name: "/a",
    Image: "i",
    Created: "2026-01-01T00:00:00Z",
    State: state,
    Config: {},
  });
}
