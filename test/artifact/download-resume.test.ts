import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import type { DownloadDeps } from "../../src/artifact/download.ts";
import { SkippingClock } from "../support/clock.ts";
import type { FlakyServer } from "../support/flaky-server.ts";
import {
  bytes,
  digest,
  digestOf,
  download,
  mib,
  place,
  serve,
  useFreshDirectory,
} from "./download-fixture.ts";

useFreshDirectory();

/** Breaks the connection whenever another `every` bytes have arrived. */
function cutEvery(every: number, server: FlakyServer): Partial<DownloadDeps> {
  return { onProgress: (received) => void (received % every === 0 && server.cut()) };
}

/** Puts other content in the file's place once so many bytes have arrived, and breaks the connection. */
function replaceAt(
  at: number,
  content: Uint8Array,
  server: FlakyServer,
  etag?: string,
): Partial<DownloadDeps> {
  return {
    onProgress(received) {
      if (received !== at) return;
      server.put("/app", content, etag);
      server.cut();
    },
  };
}

const ranges = (server: FlakyServer) => server.requests.map((request) => request.headers.get("range"));

describe("after a cut", () => {
  test("it goes on where it stopped", async () => {
    await using server = await serve();
    server.fail({ hangAfter: mib }, { times: 2 });
    expect((await download({ server, deps: cutEvery(mib, server) })).digest).toBe(digest);
    expect(ranges(server)).toEqual([null, `bytes=${mib}-`, `bytes=${2 * mib}-`]);
    expect(server.requests[1]?.headers.get("if-range")).toMatch(/^"[0-9a-f]+"$/);
    expect(digestOf(readFileSync(place.target))).toBe(digest);
  });

  test("a connection that breaks anywhere is no harm", async () => {
    await using server = await serve();
    server.fail({ cutAfter: mib }, { times: 3 });
    expect((await download({ server })).digest).toBe(digest);
  });

  test("it starts over when the content changed meanwhile", async () => {
    await using server = await serve();
    const other = Buffer.from(bytes.map((byte) => byte ^ 1));
    server.fail({ hangAfter: mib });
    const deps = replaceAt(mib, other, server);
    expect((await download({ server, deps })).digest).toBe(digestOf(other));
    expect(digestOf(readFileSync(place.target))).toBe(digestOf(other));
  });

  test("it starts over when the content changed and the server ignores If-Range", async () => {
    await using server = await serve(bytes, undefined, { ifRange: false });
    const other = Buffer.from(bytes.map((byte) => byte ^ 1));
    server.fail({ hangAfter: mib });
    const deps = replaceAt(mib, other, server);
    expect((await download({ server, deps })).digest).toBe(digestOf(other));
  });

  test.each([
    ["knows no ranges", undefined, { ranges: false }, `bytes=${mib}-`],
    ["has no ETag", null, {}, null],
    ["has a weak ETag only", 'W/"1"', {}, null],
  ])("it starts over when the server %s", async (_, etag, options, range) => {
    await using server = await serve(bytes, etag, options);
    server.fail({ hangAfter: mib });
    expect((await download({ server, deps: cutEvery(mib, server) })).digest).toBe(digest);
    expect(digestOf(readFileSync(place.target))).toBe(digest);
    expect(ranges(server)).toEqual([null, range]);
  });

  test("it starts over when the file is shorter now", async () => {
    await using server = await serve(bytes, '"same"');
    const short = bytes.subarray(0, 1000);
    server.fail({ hangAfter: mib });
    const deps = replaceAt(mib, short, server, '"same"');
    expect((await download({ server, deps, sizeBytes: null })).digest).toBe(digestOf(short));
  });

  test("as long as bytes come, it does not give up", async () => {
    await using server = await serve();
    server.fail({ hangAfter: 128 * 1024 }, { times: 15 });
    expect((await download({ server, deps: cutEvery(128 * 1024, server) })).digest).toBe(digest);
    expect(server.requests.length).toBe(16);
  });

  test("it gives up when hardly anything comes, and leaves nothing", async () => {
    await using server = await serve();
    server.fail({ hangAfter: 10 }, { times: 100 });
    const failed = download({ server, deps: cutEvery(10, server) });
    await expect(failed).rejects.toMatchObject({ code: "network-unreachable" });
    expect(server.requests.length).toBe(6);
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test("the pauses grow, and keep to what the server asked for", async () => {
    await using server = await serve();
    server.fail({ hangAfter: 10 }, { times: 2 });
    server.fail({ reply: { status: 503, headers: { "Retry-After": "7" } } });
    const clock = new SkippingClock();
    await download({ server, clock, deps: cutEvery(10, server) });
    expect(clock.pausesMs).toEqual([500, 1000, 7000]);
  });

  test("a server that wants minutes is left to the next poll", async () => {
    await using server = await serve();
    server.fail({ reply: { status: 429, headers: { "Retry-After": "600" } } });
    await expect(download({ server })).rejects.toMatchObject({ code: "rate-limited", retryAfterMs: 600_000 });
  });

  test("a server that falls silent is left after 30 s, and asked again", async () => {
    await using server = await serve();
    server.fail({ hangAfter: mib });
    const clock = new SkippingClock();
    const arrived = Promise.withResolvers<void>();
    const onProgress = (received: number) => received === mib && arrived.resolve();
    const downloading = download({ server, clock, deps: { onProgress } });
    await arrived.promise;
    await clock.advance(61_000);
    expect((await downloading).digest).toBe(digest);
  });
});
