import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DewyError } from "../../src/errors.ts";
import { ensureCredentials } from "../../src/store/s3/credentials.ts";
import { failureOf } from "../http/fixture.ts";
import { FakeClock } from "../support/clock.ts";
import { HttpHost, type Reply } from "../support/http-host.ts";
import type { Minio, S3Credentials } from "../support/minio.ts";
import { tempDir } from "../support/temp-dir.ts";
import { freshBucket, runChild, urlOf } from "./s3-fixture.ts";

const c = { signal: new AbortController().signal };

let minio: Minio;
let url: string;
let limited: S3Credentials;
/** Plays the services that hand out credentials. */
let source: HttpHost;
let replies: Record<string, Reply>;

beforeAll(async () => {
  const { minio: server, bucket } = await freshBucket();
  minio = server;
  url = urlOf(minio, bucket);
  limited = await minio.limitedCredentials(bucket, ["s3:*"]);
  source = await HttpHost.start(({ method, path }) => replies[`${method} ${path}`] ?? { status: 404 });
});
afterAll(() => source[Symbol.asyncDispose]());
beforeEach(() => {
  replies = {};
});

/** As IMDS and a task's endpoint tell them. */
function told({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): Reply {
  const Expiration = new Date(Date.now() + 3_600_000).toISOString();
  const all = {
    Code: "Success",
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration,
  };
  return { status: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify(all) };
}

function roleAnswer({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials): Reply {
  const Expiration = new Date(Date.now() + 3_600_000).toISOString();
  const body = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId><SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>${sessionToken}</SessionToken><Expiration>${Expiration}</Expiration></Credentials><AssumedRoleUser><Arn>a</Arn><AssumedRoleId>b</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;
  return { status: 200, headers: { "Content-Type": "text/xml" }, body };
}

const noImds = { AWS_EC2_METADATA_DISABLED: "true" };

describe("credentials come from", () => {
  test("the environment", async () => {
    expect(await runChild(url, "look", { ...minio.env, ...noImds })).toEqual({ key: null });
  });

  test("a profile, which wins over the environment's key", async () => {
    using dir = tempDir();
    const path = join(dir.path, "credentials");
    const { accessKeyId, secretAccessKey } = minio.credentials;
    writeFileSync(
      path,
      `[ci]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    );
    const env = {
      AWS_SHARED_CREDENTIALS_FILE: path,
      AWS_PROFILE: "ci",
      AWS_ACCESS_KEY_ID: "x",
      AWS_SECRET_ACCESS_KEY: "y",
    };
    expect(await runChild(url, "look", { ...env, ...noImds })).toEqual({ key: null });
  });

  test("a task's endpoint", async () => {
    replies["GET /creds"] = told(limited);
    const env = {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${source.origin}/creds`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: "t0ken",
    };
    expect(await runChild(url, "look", env)).toEqual({ key: null });
    expect(source.requests.at(-1)?.headers.get("authorization")).toBe("t0ken");
  });

  test("a pod's web identity", async () => {
    using dir = tempDir();
    const path = join(dir.path, "token");
    writeFileSync(path, "web.identity.token");
    replies["POST /"] = roleAnswer(limited);
    const env = {
      AWS_WEB_IDENTITY_TOKEN_FILE: path,
      AWS_ROLE_ARN: "arn:aws:iam::123456789012:role/deploy",
      AWS_ENDPOINT_URL_STS: source.origin,
    };
    expect(await runChild(url, "look", { ...env, ...noImds })).toEqual({ key: null });
    expect(Buffer.from(source.requests.at(-1)?.body ?? "").toString()).toContain("web.identity.token");
  });

  test("the instance's metadata", async () => {
    const base = "/latest/meta-data/iam/security-credentials/";
    replies["PUT /latest/api/token"] = { status: 200, body: "imds-token" };
    replies[`GET ${base}`] = { status: 200, body: "role" };
    replies[`GET ${base}role`] = told(limited);
    expect(await runChild(url, "look", { AWS_EC2_METADATA_SERVICE_ENDPOINT: source.origin })).toEqual({
      key: null,
    });
  });
});

const deadEnd = { AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:1" };

test.each<[string, Record<string, string>, RegExp]>([
  ["nowhere at all", noImds, /no AWS credentials found$/],
  ["an instance without a role", deadEnd, /no AWS credentials found$/],
  [
    "a profile that is not there",
    { ...noImds, AWS_PROFILE: "nobody" },
    /no AWS credentials found; looked at AWS_PROFILE=nobody$/,
  ],
  [
    "a token file that is not there",
    { ...noImds, AWS_WEB_IDENTITY_TOKEN_FILE: "/nonexistent/token", AWS_ROLE_ARN: "arn:aws:iam::1:role/x" },
    /no AWS credentials found \(ENOENT.*\/nonexistent\/token'\); looked at AWS_ROLE_ARN=arn:aws:iam::1:role\/x, AWS_WEB/,
  ],
])("%s has none: the error says where they were sought", async (_, env, message) => {
  expect(await runChild(url, "look", env)).toEqual({
    code: "unauthorized",
    message: expect.stringMatching(message),
    hint: expect.stringContaining("AWS_ACCESS_KEY_ID"),
  });
});

test("an instance's metadata that never answers does not keep a host", async () => {
  using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${silent.port}` };
  expect(await runChild(url, "look", env)).toMatchObject({ code: "unauthorized" });
});

test("a role that is refused is named, and its token is not", async () => {
  using dir = tempDir();
  const path = join(dir.path, "token");
  writeFileSync(path, "web.identity.token");
  const body =
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>web.identity.token is not trusted</Message></Error></ErrorResponse>";
  replies["POST /"] = { status: 403, headers: { "Content-Type": "text/xml" }, body };
  const env = {
    AWS_WEB_IDENTITY_TOKEN_FILE: path,
    AWS_ROLE_ARN: "arn:aws:iam::1:role/x",
    AWS_ENDPOINT_URL_STS: source.origin,
  };
  const answer = await runChild(url, "look", { ...env, ...noImds });
  expect(answer).toMatchObject({
    code: "unauthorized",
    message: expect.stringContaining("no AWS credentials for the role (AccessDenied)"),
    hint: expect.stringContaining("trusts this host's identity"),
  });
  expect(JSON.stringify(answer)).not.toContain("web.identity");
});

describe("looking for credentials", () => {
  const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://user:hunter2@127.0.0.1/creds" };

  test("ends after fifteen seconds", async () => {
    const clock = new FakeClock();
    const looking = failureOf(
      ensureCredentials(() => new Promise(() => undefined), "get key", { clock, env }, c),
    );
    await clock.advance(15_000);
    const error = await looking;
    expect(error).toMatchObject({ code: "network-timeout", hint: expect.stringContaining("AWS_PROFILE") });
    expect(error.message).toBe(
      "get key: nobody answered with AWS credentials; looked at AWS_CONTAINER_CREDENTIALS_FULL_URI",
    );
    expect(clock.sleeping).toBe(0);
  });

  test("ends with the call, for its reason", async () => {
    const stop = new AbortController();
    const looking = ensureCredentials(
      () => new Promise(() => undefined),
      "get key",
      { clock: new FakeClock(), env },
      stop,
    );
    stop.abort(new DewyError("stopped", "enough"));
    await expect(looking).rejects.toMatchObject({ code: "stopped" });
  });

  test("repeats nothing that a program printed", async () => {
    const find = () => Promise.reject(new Error("credential_process said hunter2"));
    const error = await failureOf(ensureCredentials(find, "get key", { clock: new FakeClock(), env: {} }, c));
    expect(error).toMatchObject({ code: "unauthorized", message: "get key: no AWS credentials found" });
  });
});
