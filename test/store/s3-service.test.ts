import { describe, expect, setSystemTime, test } from "bun:test";
import { failureOf } from "../http/fixture.ts";
import { sharedMinio, startMinio } from "../support/minio.ts";
import { freshBucket, openAt, urlOf } from "./s3-fixture.ts";

const c = { signal: new AbortController().signal };
const body = Buffer.from("content");

describe("MinIO, asked wrongly", () => {
  test.each<[string, Record<string, string>, RegExp, RegExp]>([
    [
      "with an access key it does not know",
      { AWS_ACCESS_KEY_ID: "AKIANOBODYKNOWSME" },
      /does not know the access key/,
      /AWS_ACCESS_KEY_ID/,
    ],
    [
      "with a wrong secret key",
      { AWS_SECRET_ACCESS_KEY: "wrong-and-secret" },
      /the secret key does not belong to the access key/,
      /AWS_SECRET_ACCESS_KEY/,
    ],
    [
      "with a session token of nobody's",
      { AWS_SESSION_TOKEN: "wrong-and-secret" },
      /the session token is not valid/,
      /unset AWS_SESSION_TOKEN/,
    ],
  ])("%s, names the cause and the remedy, whatever it was asked for", async (_, env, message, hint) => {
    const { minio, bucket } = await freshBucket();
    for (const ask of operations) {
      await using store = openAt(urlOf(minio, bucket), { ...minio.env, ...env });
      const error = await failureOf(ask(store));
      expect(error).toMatchObject({ code: "unauthorized", retryable: false });
      expect(error.message).toMatch(message);
      expect(error.hint).toMatch(hint);
      expect(`${error.message} ${error.hint}`).not.toMatch(/wrong-and-secret|planted-minio-secret/);
    }
  });

  test("for a bucket that is not there", async () => {
    const minio = await sharedMinio();
    for (const ask of operations) {
      await using store = openAt(urlOf(minio, "no-such-bucket"), minio.env);
      const error = await failureOf(ask(store));
      expect(error.code).toBe("not-found");
      expect(error.message).toContain(`there is no bucket no-such-bucket at ${minio.host}`);
      expect(error.hint).toContain("create the bucket");
    }
  });

  test("with credentials that may only read", async () => {
    const { minio, bucket } = await freshBucket();
    await using owner = openAt(urlOf(minio, bucket), minio.env);
    await owner.put("key", body, {}, c);
    const {
      accessKeyId,
      secretAccessKey,
      sessionToken = "",
    } = await minio.limitedCredentials(bucket, ["s3:GetObject", "s3:ListBucket"]);
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    await using store = openAt(urlOf(minio, bucket), { ...env, AWS_SESSION_TOKEN: sessionToken });
    expect(await store.head("key", c)).toMatchObject({ sizeBytes: 7 });
    for (const change of [() => store.put("key", body, {}, c), () => store.delete("key", c)]) {
      const error = await failureOf(change());
      expect(error).toMatchObject({ code: "unauthorized", message: expect.stringMatching(/denies access/) });
      expect(error.hint).toContain("s3:PutObject");
      expect(`${error.message} ${error.hint}`).not.toContain(sessionToken);
    }
    expect(await store.head("missing", c)).toBeNull();
  });

  test("for a region it is not in, which region= corrects", async () => {
    await using minio = await startMinio({ region: "eu-central-1" });
    const { bucket } = await freshBucket(minio);
    const wrong = urlOf(minio, bucket).replace("eu-central-1", "us-west-2");
    for (const ask of operations) {
      await using store = openAt(wrong, minio.env);
      const error = await failureOf(ask(store));
      expect(error).toMatchObject({ code: "http-status", retryable: false });
      expect(error.message).toContain("is in the region eu-central-1, not in us-west-2");
      expect(error.hint).toContain("region=eu-central-1");
    }
    await using store = openAt(`${wrong}&region=eu-central-1`, minio.env);
    expect(await store.head("key", c)).toBeNull();
  });

  test("by a host whose clock is a day ahead: the AWS library corrects it by itself", async () => {
    const { minio, bucket } = await freshBucket();
    try {
      setSystemTime(new Date(Date.now() + 24 * 3_600_000));
      await using store = openAt(urlOf(minio, bucket), minio.env);
      expect(await store.head("key", c)).toBeNull();
      expect(await store.put("key", body, {}, c)).toBeString();
    } finally {
      setSystemTime();
    }
  });
});

/** Each with a store of its own, lest the governor refuse what comes after the first failure. */
const operations: readonly ((store: ReturnType<typeof openAt>) => Promise<unknown>)[] = [
  (store) => store.head("key", c),
  (store) => store.get("key", null, c),
  (store) => store.get("key", { offset: 3, validator: '"x"' }, c),
  (store) => store.put("key", body, {}, c),
  (store) => store.put("key", body, { ifVersion: null }, c),
  (store) => store.put("key", body, { ifVersion: '"x"' }, c),
  (store) => store.delete("key", c),
  (store) => Array.fromAsync(store.list("", {}, c)),
];

test("a server that is not there is a network error, and nothing is asked of it for a while", async () => {
  const env = { AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "y" };
  await using store = openAt("s3://eu-central-1/releases?endpoint=http://127.0.0.1:1", env);
  const error = await failureOf(store.get("key", null, c));
  expect(error).toMatchObject({ code: "network-unreachable", retryable: true });
  expect(error.message).toMatch(
    /^get key in s3:\/\/eu-central-1\/releases: no connection to 127\.0\.0\.1:1 \(/,
  );
  expect(await failureOf(store.get("key", null, c))).toMatchObject({ code: "rate-limited" });
});
