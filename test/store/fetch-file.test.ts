import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../src/errors.ts";
import type { ResumePoint } from "../../src/release/source.ts";
import { fetchInto } from "../../src/store/fetch-file.ts";
import type { ObjectStore, StoredObject } from "../../src/store/store.ts";
import { SkippingClock } from "../support/clock.ts";
import { tempDir } from "../support/temp-dir.ts";

const c = { signal: new AbortController().signal };
const content = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
const other = Buffer.alloc(200_000, "other");
const cut = () => new DewyError("network-unreachable", "cut");

interface Reply {
  readonly body?: Buffer;
  readonly version?: string;
  readonly sizeBytes?: number;
  readonly digest?: StoredObject["digest"];
  /** Whatever the resume point says. */
  readonly offset?: number;
  /** Bytes that come before the failure; all and no failure unless given. */
  readonly until?: number;
  readonly failure?: Error;
  /** The call itself fails. */
  readonly refused?: Error;
  readonly missing?: true;
}

/** Answers one call after the other as told; the last reply stays. */
function flaky(...script: readonly Reply[]) {
  const asked: (ResumePoint | null)[] = [];
  let ended = 0;
  const store: Pick<ObjectStore, "get"> = {
    async get(key, from) {
      asked.push(from);
      const reply = script[Math.min(asked.length, script.length) - 1] ?? {};
      const { body = content, version = "v1" } = reply;
      if (reply.refused !== undefined) throw reply.refused;
      if (reply.missing === true) return null;
      const same = from !== null && from.validator === version;
      const offset = reply.offset ?? (same ? from.offset : 0);
      const chunks = async function* () {
        try {
          const end = reply.until ?? body.length;
          for (let at = offset; at < end; at += 40_000) yield body.subarray(at, Math.min(at + 40_000, end));
          if (reply.failure !== undefined) throw reply.failure;
        } finally {
          ended++;
        }
      };
      return {
        key,
        version,
        offset,
        sizeBytes: reply.sizeBytes ?? body.length,
        updatedAt: new Date(0),
        digest: reply.digest === undefined ? digestOf(body) : reply.digest,
        chunks: chunks(),
      };
    },
  };
  return { store, asked, ended: () => ended };
}

function digestOf(bytes: Uint8Array) {
  return `sha256:${Bun.SHA256.hash(bytes, "hex")}` as const;
}

function scene(...script: readonly Reply[]) {
  const dir = tempDir();
  const clock = new SkippingClock(100_000);
  const fake = flaky(...script);
  const path = join(dir.path, "file");
  return {
    ...fake,
    clock,
    path,
    fetch: (call = c) => fetchInto(fake.store, "a/key", path, { clock }, call),
    left: () => readdirSync(dir.path),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

test("an object becomes a file, and its digest is answered", async () => {
  using it = scene({});
  expect(await it.fetch()).toBe(digestOf(content));
  expect(readFileSync(it.path)).toEqual(content);
  expect(it.left()).toEqual(["file"]);
  expect(it.clock.pausesMs).toEqual([]);
});

test("one whose digest nobody knows is taken as it comes", async () => {
  using it = scene({ digest: null });
  expect(await it.fetch()).toBe(digestOf(content));
});

test("an empty one is a file, too", async () => {
  using it = scene({ body: Buffer.alloc(0) });
  expect(await it.fetch()).toBe(digestOf(Buffer.alloc(0)));
  expect(readFileSync(it.path)).toHaveLength(0);
});

test("a missing one is null and leaves nothing", async () => {
  using it = scene({ missing: true });
  expect(await it.fetch()).toBeNull();
  expect(it.left()).toEqual([]);
});

test("after a cut it goes on where it stopped", async () => {
  using it = scene({ until: 100_000, failure: cut() }, { until: 250_000, failure: cut() }, {});
  expect(await it.fetch()).toBe(digestOf(content));
  expect(it.asked).toEqual([
    null,
    { offset: 100_000, validator: "v1" },
    { offset: 250_000, validator: "v1" },
  ]);
  expect(readFileSync(it.path)).toEqual(content);
  expect(it.clock.pausesMs).toEqual([500, 500]);
});

test("what the service says of the whole object only is not forgotten after a cut", async () => {
  const first = { until: 100_000, failure: cut(), digest: digestOf(other) };
  using it = scene(first, { digest: null });
  await expect(it.fetch()).rejects.toMatchObject({ code: "digest-mismatch" });
  using changed = scene(first, { digest: null, version: "v2" });
  expect(await changed.fetch()).toBe(digestOf(content));
});

test("a stream that ends too early without an error is a cut", async () => {
  using it = scene({ until: 100_000 }, {});
  expect(await it.fetch()).toBe(digestOf(content));
  expect(it.asked).toHaveLength(2);
});

test("when the object changed meanwhile, it starts over", async () => {
  using it = scene({ until: 250_000, failure: cut() }, { body: other, version: "v2" });
  expect(await it.fetch()).toBe(digestOf(other));
  expect(readFileSync(it.path)).toEqual(other);
});

test("when it was deleted meanwhile, there is none", async () => {
  using it = scene({ until: 250_000, failure: cut() }, { missing: true });
  expect(await it.fetch()).toBeNull();
  expect(it.left()).toEqual([]);
});

test("outages between the bytes are waited out, with growing pauses and what the service asks for", async () => {
  const limited = new DewyError("rate-limited", "later", { retryAfterMs: 7000 });
  using it = scene({ refused: cut() }, { refused: cut() }, { refused: limited }, { refused: cut() }, {});
  expect(await it.fetch()).toBe(digestOf(content));
  expect(it.clock.pausesMs).toEqual([500, 1000, 7000, 4000]);
});

test("progress renews its patience, and a byte at a time is none", async () => {
  const steps = Array.from({ length: 4 }, (_, index) => ({ until: 70_000 * (index + 1), failure: cut() }));
  const refused = { refused: cut() };
  using patient = scene(...steps.flatMap((step) => [step, refused, refused, refused]), {});
  expect(await patient.fetch()).toBe(digestOf(content));

  using dripping = scene(...Array.from({ length: 50 }, (_, index) => ({ until: index, failure: cut() })));
  await expect(dripping.fetch()).rejects.toMatchObject({ code: "network-unreachable" });
  expect(dripping.asked).toHaveLength(6);
  expect(dripping.left()).toEqual([]);
});

test.each<[string, Reply, string]>([
  ["bytes that are not what was stored", { digest: digestOf(other) }, "digest-mismatch"],
  ["more bytes than it was said to have", { sizeBytes: 299_999 }, "bad-answer"],
  ["bytes from the wrong place", { offset: 10 }, "bad-answer"],
  ["wrong credentials", { refused: new DewyError("unauthorized", "no") }, "unauthorized"],
  ["a mistake of ours", { failure: new TypeError("x is not a function") }, "internal"],
  [
    "a service that wants an hour of peace",
    { refused: new DewyError("rate-limited", "later", { retryAfterMs: 3_600_000 }) },
    "rate-limited",
  ],
])("%s: an error at once, and nothing is left", async (_, reply, code) => {
  using it = scene(reply);
  await expect(it.fetch()).rejects.toMatchObject({ name: "DewyError", code });
  expect(it.left()).toEqual([]);
  expect(it.asked).toHaveLength(1);
});

test("the rest of a stream that is given up is not left open", async () => {
  using it = scene({ sizeBytes: 100 });
  await expect(it.fetch()).rejects.toMatchObject({ code: "bad-answer" });
  expect(it.ended()).toBe(1);
});

test.each(["a file", "a dangling link"])("%s that is there already is kept", async (kind) => {
  using it = scene({});
  if (kind === "a file") writeFileSync(it.path, "mine");
  else symlinkSync("nowhere", it.path);
  await expect(it.fetch()).rejects.toMatchObject({ code: "filesystem", retryable: false });
  expect(it.asked).toHaveLength(0);
  expect(it.left()).toEqual(["file"]);
  expect(existsSync(it.path)).toBe(kind === "a file");
});

test("a file that appears meanwhile is kept, too", async () => {
  using it = scene({});
  const get: ObjectStore["get"] = async (key, from, call) => {
    writeFileSync(it.path, "mine");
    return it.store.get(key, from, call);
  };
  const fetching = fetchInto({ get }, "a/key", it.path, { clock: it.clock }, c);
  await expect(fetching).rejects.toMatchObject({ code: "filesystem" });
  expect(readFileSync(it.path, "utf8")).toBe("mine");
});

test.each(["while it waits", "while it reads", "before it begins"])(
  "stopped %s: the reason, and nothing is left",
  async (when) => {
    const stop = new AbortController();
    const reason = new Error("stop");
    using it = scene(when === "while it waits" ? { refused: cut() } : {});
    if (when === "before it begins") stop.abort(reason);
    const get: ObjectStore["get"] = async (key, from, call) => {
      const object = await it.store.get(key, from, call).finally(() => {
        if (when === "while it waits") queueMicrotask(() => stop.abort(reason));
      });
      return object === null ? null : { ...object, chunks: stopping(object.chunks) };
    };
    const stopping = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        yield chunk;
        stop.abort(reason);
      }
    };
    const fetching = fetchInto({ get }, "a/key", it.path, { clock: it.clock }, stop);
    await expect(fetching).rejects.toBe(reason);
    expect(it.left()).toEqual([]);
  },
);
