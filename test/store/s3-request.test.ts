import { describe, expect, test } from "bun:test";
import type { ObjectStore } from "../../src/store/store.ts";
import { failureOf } from "../http/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import type { Reply } from "../support/http-host.ts";
import { startS3Front } from "../support/s3-front.ts";
import { freshBucket, openAt } from "./s3-fixture.ts";
import { broken, c, digestOf, lostAnswer, once, scene } from "./s3-scene.ts";

test("keys that XML can't hold are listed", async () => {
  await using it = await scene();
  const key = "bell\u0007 and & <tab>\t";
  await it.store.put(key, Buffer.from("x"), {}, c);
  expect((await Array.fromAsync(it.store.list("", {}, c))).map((entry) => entry.key)).toEqual([key]);
});

test("nothing goes on after a call is answered", async () => {
  const { minio, bucket } = await freshBucket();
  const clock = new FakeClock();
  await using store = openAt(`s3://us-east-1/${bucket}?endpoint=${minio.endpoint}`, minio.env, { clock });
  expect(await store.get("missing", null, c)).toBeNull();
  expect(await store.get("missing", { offset: 3, validator: '"x"' }, c)).toBeNull();
  await store.put("key", Buffer.from("content"), {}, c);
  await Array.fromAsync((await store.get("key", null, c))?.chunks ?? []);
  await Array.fromAsync(store.list("", {}, c));
  await clock.advance(0);
  expect(clock.sleeping).toBe(0);
});

test("a service that takes the request and never answers is asked three times, then it is a timeout", async () => {
  const { minio, bucket } = await freshBucket();
  await using front = await startS3Front(minio);
  const clock = new FakeClock();
  await using store = openAt(`s3://us-east-1/${bucket}?endpoint=${front.endpoint}`, minio.env, { clock });
  front.host.fail({ hang: true }, { times: 3 });
  const asking = failureOf(store.head("key", c));
  for (let attempt = 1; attempt <= 3; attempt++) {
    while (front.host.requests.length < attempt) await Bun.sleep(5);
    await clock.advance(30_000);
  }
  const error = await asking;
  expect(error).toMatchObject({ code: "network-timeout", retryable: true });
  expect(error.message).toMatch(/^look at key in s3:.*: nothing from 127\.0\.0\.1:\d+ for 30s$/);
  expect(clock.sleeping).toBe(0);
});

describe("a conditional put", () => {
  test.each(["create", "change"])("(%s) whose answer got lost is ours, not another's", async (kind) => {
    const lose = once(/^PUT .*\/key\?/, lostAnswer);
    let armed = false;
    await using it = await scene((request, forward) => (armed ? lose(request, forward) : undefined));
    const old = kind === "change" ? await it.store.put("key", Buffer.from("old"), {}, c) : null;
    armed = true;
    const version = await it.store.put("key", Buffer.from("mine"), { ifVersion: old }, c);
    expect(version).toBeString();
    expect(await it.store.head("key", c)).toMatchObject({ version: version ?? "" });
  });

  test("that is tried again and finds another's write has lost", async () => {
    let rival: ObjectStore | undefined;
    const lose = once(/^PUT .*\/key\?/, async () => {
      await rival?.put("key", Buffer.from("theirs"), {}, c);
      return broken;
    });
    await using it = await scene(lose);
    await using other = openAt(`s3://us-east-1/${it.bucket}/app?endpoint=${it.minio.endpoint}`, it.minio.env);
    rival = other;
    expect(await it.store.put("key", Buffer.from("mine!!"), { ifVersion: null }, c)).toBeNull();
    expect(await it.store.head("key", c)).toMatchObject({ sizeBytes: 6, digest: digestOf("theirs") });
  });

  test("that meets another (409) is tried again, and given up after a while", async () => {
    const conflict: Reply = {
      status: 409,
      body: "<Error><Code>ConditionalRequestConflict</Code><Message>busy</Message></Error>",
    };
    await using twice = await scene(once(/^PUT .*\/key\?/, () => conflict));
    expect(await twice.store.put("key", Buffer.from("mine"), { ifVersion: null }, c)).toBeString();
    await using always = await scene(() => conflict);
    expect(await always.store.put("key", Buffer.from("mine"), { ifVersion: null }, c)).toBeNull();
    expect(always.front.host.requests).toHaveLength(6);
  });
});
