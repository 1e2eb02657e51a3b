import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { acquireLock } from "../../src/agent/lock.ts";
import { ask, socketOf } from "../../src/control/client.ts";
import { protocolVersion } from "../../src/control/protocol.ts";
import { tempDir } from "../support/temp-dir.ts";
import { forEver, view } from "./fixture.ts";

const hello = { kind: "hello", protocol: protocolVersion, version: "v1", pid: 1, root: "/" };

/** Something that listens where an agent would, and answers so. */
function impostor(answer: (request: Request) => Response | Promise<Response>) {
  const dir = tempDir();
  mkdirSync(join(dir.path, ".dewy"));
  const server = Bun.serve({ unix: socketOf(dir.path), fetch: answer });
  return {
    root: dir.path,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      dir[Symbol.dispose]();
    },
  };
}

const lines = (...all: unknown[]) => new Response(all.map((line) => `${JSON.stringify(line)}\n`).join(""));

async function failureOf(root: string): Promise<unknown> {
  return ask(root, { kind: "view" }, { patienceMs: 300 }, forEver).catch((error) => error);
}

describe("without an agent", () => {
  test.each([
    ["no directory", () => undefined],
    ["no socket", (root: string) => void mkdirSync(join(root, ".dewy"))],
    [
      "a file where the socket would be",
      (root: string) => {
        mkdirSync(join(root, ".dewy"));
        writeFileSync(socketOf(root), "");
      },
    ],
  ])("%s: it is said which directory has none", async (_, make) => {
    using dir = tempDir();
    make(dir.path);
    expect(await failureOf(dir.path)).toMatchObject({
      code: "no-agent",
      message: `no agent runs in ${dir.path}`,
      hint: "start it, or name its working directory with --root",
    });
  });
});

describe("an agent", () => {
  test("that runs without its socket is not said to be missing", async () => {
    using dir = tempDir();
    mkdirSync(join(dir.path, ".dewy"));
    using _ = acquireLock(join(dir.path, ".dewy/lock"), "pid 1");
    expect(await failureOf(dir.path)).toMatchObject({
      code: "no-agent",
      message: `the agent of ${dir.path} has no control socket; its log says why`,
      hint: expect.stringContaining("try again"),
    });
  });

  test("that hangs is not waited for, and it is said how to see more", async () => {
    await using silent = impostor(() => new Promise(() => undefined));
    expect(await failureOf(silent.root)).toMatchObject({
      code: "network-timeout",
      hint: expect.stringContaining("journalctl"),
    });
  });

  test("that hangs in the middle of an answer is not waited for either", async () => {
    await using silent = impostor(
      () =>
        new Response(
          new ReadableStream({
            start: (controller) => controller.enqueue(Buffer.from(`${JSON.stringify(hello)}\n`)),
          }),
        ),
    );
    expect(await failureOf(silent.root)).toMatchObject({ code: "network-timeout" });
  });

  test("that takes long but says that it lives is waited for", async () => {
    const body = async function* () {
      yield `${JSON.stringify(hello)}\n`;
      for (let i = 0; i < 20; i++) {
        await Bun.sleep(100);
        yield '{"kind":"alive"}\n';
      }
      yield `${JSON.stringify({ kind: "result", result: view })}\n`;
    };
    await using slow = impostor(() => new Response(body()));
    expect(await ask(slow.root, { kind: "view" }, { patienceMs: 1500 }, forEver)).toEqual(view);
  });

  test("of another version is named with its version", async () => {
    await using other = impostor(() => lines({ ...hello, protocol: 99, version: "v9.0.0" }));
    expect(await failureOf(other.root)).toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("the agent is dewy v9.0.0"),
    });
  });

  test("that ends in the middle is named so", async () => {
    await using other = impostor(() => lines(hello));
    expect(await failureOf(other.root)).toMatchObject({ code: "network-unreachable" });
  });
});

/** A greeting, and then the same again and again. */
function endless(text: string): Response {
  const greeting = new TextEncoder().encode(`${JSON.stringify(hello)}\n`);
  const chunk = new TextEncoder().encode(text);
  return new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(greeting),
      pull: (controller) => controller.enqueue(chunk),
    }),
  );
}

describe("what is no agent", () => {
  const answers: [string, () => Response][] = [
    ["a web page", () => new Response("<html>\n")],
    ["nothing", () => new Response(null, { status: 204 })],
    ["a result without a name", () => lines({ kind: "result", result: view })],
    [
      "a view with a hole",
      () => lines(hello, { kind: "result", result: { ...view, app: { kind: "well" } } }),
    ],
    ["a line without an end", () => endless("x".repeat(64 * 1024))],
    ["lines for ever", () => endless('{"kind":"alive"}\n'.repeat(1000))],
    ["a way elsewhere", () => Response.redirect("http://127.0.0.1:9/")],
  ];
  test.each(answers)("and answers %s is refused", async (_, answer) => {
    await using other = impostor(answer);
    const failure = ask(other.root, { kind: "view" }, {}, forEver).catch((error) => error);
    expect(await failure).toMatchObject({ code: expect.stringMatching(/bad-answer|network-unreachable/) });
  });

  test("and says an unknown code of error is taken for a failure", async () => {
    await using other = impostor(() =>
      lines(hello, { kind: "error", code: "toString", message: "m", hint: null }),
    );
    expect(await failureOf(other.root)).toMatchObject({ code: "internal", message: "m" });
  });
});
