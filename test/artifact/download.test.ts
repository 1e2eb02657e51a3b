import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

describe("a whole file", () => {
  test.each([
    ["declared", bytes.length],
    ["not declared", null],
  ])("its size %s", async (_, sizeBytes) => {
    await using server = await serve();
    const got = await download({ server, sizeBytes });
    expect(got).toEqual({ digest, sizeBytes: bytes.length, verification: { checkedAgainst: [] } });
    expect(digestOf(readFileSync(place.target))).toBe(digest);
    expect(readdirSync(place.directory)).toEqual(["app.tar.gz"]);
    expect(server.requests[0]?.headers.get("accept-encoding")).toBe("identity");
  });

  test("what a killed agent left is not trusted, nor a link put in its place followed", async () => {
    await using server = await serve();
    writeFileSync(`${place.target}.part`, "half of something else");
    await download({ server });
    expect(digestOf(readFileSync(place.target))).toBe(digest);
    const victim = join(place.directory, "victim");
    writeFileSync(victim, "precious");
    symlinkSync(victim, `${place.target}.part`);
    await download({ server });
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(digestOf(readFileSync(place.target))).toBe(digest);
  });

  test("an empty file", async () => {
    await using server = await serve(Buffer.alloc(0));
    expect((await download({ server, sizeBytes: 0 })).sizeBytes).toBe(0);
  });

  test("progress is told", async () => {
    await using server = await serve();
    const seen: (number | null)[][] = [];
    await download({ server, deps: { onProgress: (received, total) => void seen.push([received, total]) } });
    expect(seen.at(-1)).toEqual([bytes.length, bytes.length]);
  });
});

describe("refused, with nothing left behind", () => {
  test("bytes that are not the published ones never get their name", async () => {
    await using server = await serve();
    const expected = [{ digest: digestOf(Buffer.from("x")), by: "app.tar.gz.sha256" }];
    const names = new Set<string>();
    const onProgress = () => readdirSync(place.directory).forEach((name) => void names.add(name));
    const failed = download({ server, rules: { expected }, deps: { onProgress } });
    await expect(failed).rejects.toMatchObject({ code: "digest-mismatch" });
    expect([...names]).toEqual(["app.tar.gz.part"]);
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test("a declared size over the limit, before anything is asked", async () => {
    await using server = await serve();
    const failed = download({ server, rules: { maxBytes: mib } });
    await expect(failed).rejects.toMatchObject({
      code: "artifact-too-large",
      hint: expect.stringContaining("--max-artifact-size"),
    });
    expect(server.requests).toEqual([]);
  });

  test.each([
    ["told by the server", {}],
    ["told by nobody", { chunked: true }],
  ])("more bytes than the limit, %s", async (_, options) => {
    await using server = await serve(bytes, undefined, options);
    const failed = download({ server, sizeBytes: null, rules: { maxBytes: mib } });
    await expect(failed).rejects.toMatchObject({ code: "artifact-too-large" });
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test("a body that ends early as if it were whole", async () => {
    await using server = await serve(bytes, undefined, { chunked: true });
    const failed = download({ server, sizeBytes: bytes.length + 1 });
    await expect(failed).rejects.toMatchObject({ blame: "environment" });
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test.each([
    ["shorter", bytes.length + 1],
    ["longer", bytes.length - 1],
  ])("a file that is %s than declared is not the one that was listed", async (_, sizeBytes) => {
    await using server = await serve();
    const failed = download({ server, sizeBytes });
    await expect(failed).rejects.toMatchObject({ code: "bad-answer", blame: "environment" });
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test("too little space, before anything is asked", async () => {
    await using server = await serve();
    const freeBytes = async () => bytes.length + mib - 1;
    await expect(download({ server, deps: { freeBytes } })).rejects.toMatchObject({ code: "disk-full" });
    expect(server.requests).toEqual([]);
    await download({ server, deps: { freeBytes: async () => bytes.length + mib } });
  });

  test("too little space, when only the server tells the size", async () => {
    await using server = await serve();
    const seen: number[] = [];
    const onProgress = (received: number) => void seen.push(received);
    const failed = download({ server, sizeBytes: null, deps: { freeBytes: async () => mib, onProgress } });
    await expect(failed).rejects.toMatchObject({ code: "disk-full" });
    expect(seen).toEqual([]);
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test("a file that is gone is not asked for again", async () => {
    await using server = await serve();
    server.delete("/app");
    await expect(download({ server })).rejects.toMatchObject({ code: "not-found" });
    expect(server.requests.length).toBe(1);
  });

  test("a stop, with the stop's own reason", async () => {
    await using server = await serve();
    server.fail({ hangAfter: mib });
    const stop = new AbortController();
    const reason = new Error("shutting down");
    const failed = download({ server, signal: stop.signal, deps: { onProgress: () => stop.abort(reason) } });
    expect(await failed.catch((error: unknown) => error)).toBe(reason);
    expect(readdirSync(place.directory)).toEqual([]);
  });

  test("a directory that is not there", async () => {
    await using server = await serve();
    place.target = join(place.directory, "missing", "app.tar.gz");
    await expect(download({ server })).rejects.toMatchObject({ code: "filesystem" });
  });
});
