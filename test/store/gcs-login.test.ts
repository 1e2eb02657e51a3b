import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startForwardProxy } from "../support/forward-proxy.ts";
import { sharedGcs, startGcs } from "../support/gcs-server.ts";
import {
  accountEmail,
  type GoogleHosts,
  type GoogleReply,
  startGoogleHosts,
} from "../support/google-auth-server.ts";
import { HttpHost, type Reply } from "../support/http-host.ts";
import { startBlackHole } from "../support/tcp-black-hole.ts";
import { tempDir } from "../support/temp-dir.ts";
import { freshBucket } from "./gcs-fixture.ts";
import type { ProbeOutcome, ProbeStep } from "./gcs-probe.ts";

const bucket = freshBucket();
const url = `gs://${bucket}/p`;
const token = "ya29.s3cret-token";
let google: GoogleHosts;

beforeAll(async () => {
  const storage = await sharedGcs();
  await storage.createBucket(bucket);
  google = await startGoogleHosts(storage.endpoint);
});
afterAll(() => google[Symbol.asyncDispose]());

const program = join(import.meta.dir, "gcs-probe.ts");

/** Steps in a process of its own, which finds Google through the proxy and trusts its authority. */
async function probe(
  steps: readonly ProbeStep[],
  env: Readonly<Record<string, string>> = {},
  command: readonly string[] = [process.execPath, program],
): Promise<{ readonly outcomes: readonly ProbeOutcome[]; readonly said: string }> {
  const child = Bun.spawn([...command, JSON.stringify(steps)], {
    env: {
      HOME: "/nonexistent",
      NO_PROXY: "127.0.0.1",
      HTTPS_PROXY: google.proxyUrl,
      SSL_CERT_FILE: google.ca,
      GCE_METADATA_HOST: "127.0.0.1:1",
      ...env,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if (!stdout.startsWith("[")) throw new Error(`no outcomes: ${stdout}${stderr}`);
  return { outcomes: JSON.parse(stdout), said: stdout + stderr };
}

/** The token server's answer to each login. */
function tokens(reply: GoogleReply): void {
  google.answer = ({ host, path }) => (host === "oauth2.googleapis.com" && path === "/token" ? reply : null);
}

const granted = { status: 200, json: { access_token: token, expires_in: 3600, token_type: "Bearer" } };
const grant = (description: string, headers: Readonly<Record<string, string>> = {}): GoogleReply => ({
  status: 400,
  json: { error: "invalid_grant", error_description: description },
  headers,
});
const inHours = (hours: number) => ({ date: new Date(Date.now() + hours * 3_600_000).toUTCString() });

describe("a service account's key", () => {
  test("logs in through the proxy, under the private authority, and works; the token goes to Google only", async () => {
    tokens(granted);
    using dir = tempDir();
    const path = join(dir.path, "large");
    writeFileSync(path, Buffer.alloc(9_000_000, 1));
    const ops = ["put", "get", "list", "putFile", "head"] as const;
    const before = google.requests.length;
    const { outcomes, said } = await probe(
      ops.map((op) => ({ url, op, path })),
      { GOOGLE_APPLICATION_CREDENTIALS: google.keyFile() },
    );
    expect(outcomes).toMatchObject([
      { value: expect.any(String) },
      { value: "content" },
      { value: ["key"] },
      { value: "done" },
      { value: { sizeBytes: 9_000_000, digest: expect.any(String) } },
    ]);
    expect(said).not.toContain(token);
    const asked = google.requests.slice(before);
    const storage = asked.filter(
      ({ host, path: at }) => host === "storage.googleapis.com" && !at.includes("upload_id"),
    );
    expect(storage.length).toBeGreaterThan(4);
    for (const { headers } of storage) {
      expect(headers["authorization"]).toBe(`Bearer ${token}`);
      expect(headers["user-agent"]).toStartWith("dewy/");
    }
    const assertion = new URLSearchParams(asked.find(({ path: at }) => at === "/token")?.body.toString());
    const claims = Buffer.from(assertion.get("assertion")?.split(".")[1] ?? "", "base64url").toString();
    expect(JSON.parse(claims)).toMatchObject({ iss: accountEmail });
    // One connection each, kept.
    expect(google.tunnels.toSorted()).toEqual(["oauth2.googleapis.com:443", "storage.googleapis.com:443"]);
  });

  test.each<[string, () => GoogleReply, RegExp, RegExp]>([
    [
      "this host's clock is wrong",
      () =>
        grant(
          "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
          inHours(3),
        ),
      /clock is wrong by 180 min \(behind\)/,
      /set the clock/,
    ],
    ["the key was deleted", () => grant("Invalid JWT Signature."), /does not know this key/, /new key/],
    [
      "the account was deleted",
      () => grant("Invalid grant: account not found"),
      /deleted or disabled/,
      /another/,
    ],
    [
      "the login expired",
      () => grant("Token has been expired or revoked."),
      /expired or was revoked/,
      /login/,
    ],
    [
      "something else is wrong",
      () => ({ status: 403, json: { error: { message: "odd" } } }),
      /403 .*odd/,
      /./,
    ],
  ])("that is refused as %s is one line with cause and remedy", async (_, reply, message, hint) => {
    tokens(reply());
    const { outcomes, said } = await probe([{ url, op: "head" }], {
      GOOGLE_APPLICATION_CREDENTIALS: google.keyFile(),
    });
    const [outcome] = outcomes;
    expect(outcome).toMatchObject({ code: "unauthorized", retryable: false });
    expect(outcome?.message).toMatch(message);
    expect(outcome?.hint).toMatch(hint);
    expect(outcome?.message).not.toContain("\n");
    expect(said).not.toMatch(/PRIVATE|eyJ/);
  });

  test("a file that is none of Google's is told from one that is missing, without its content", async () => {
    tokens(granted);
    const files: readonly [string, RegExp][] = [
      ["/nonexistent/key.json", /\/nonexistent\/key.json cannot be read/],
      ["/tmp", /cannot be read/],
      [google.file("s3cret, no JSON"), /not one of Google's/],
      [google.file("{}"), /not one of Google's/],
      [google.file('{"type":"authorized_user","refresh_token":"1//s3cret"}'), /not one of Google's/],
      [google.file('{"type":"external_account"}'), /not one of Google's/],
      [google.keyFile({ private_key: undefined }), /not one of Google's/],
      [
        google.keyFile({ private_key: "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n" }),
        /damaged/,
      ],
    ];
    const steps = files.map(
      ([path]): ProbeStep => ({ url, op: "head", env: { GOOGLE_APPLICATION_CREDENTIALS: path } }),
    );
    const { outcomes, said } = await probe(steps);
    for (const [index, [, message]] of files.entries()) {
      expect(outcomes[index]).toMatchObject({
        code: "unauthorized",
        hint: expect.stringMatching(/key file|new key/),
      });
      expect(outcomes[index]?.message).toMatch(message);
    }
    expect(said).not.toContain("s3cret");
  });

  test("that Google Cloud Storage refuses names the permission and the account", async () => {
    const denied = `${accountEmail} does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get' denied on resource (or it may not exist).`;
    google.answer = ({ path }) =>
      path === "/token"
        ? granted
        : { status: 403, json: { error: { code: 403, message: denied, errors: [] } } };
    const { outcomes } = await probe([{ url, op: "get" }], {
      GOOGLE_APPLICATION_CREDENTIALS: google.keyFile(),
    });
    expect(outcomes[0]).toMatchObject({
      code: "unauthorized",
      hint: `storage.objects.get is missing: grant roles/storage.objectViewer on gs://${bucket} to ${accountEmail}`,
    });
  });

  test.each([
    ["the login refuses", "does not know this key"],
    ["the service refuses", "answered 401"],
  ])("that %s may be replaced while the agent runs", async (where, message) => {
    const old = { ...granted.json, access_token: "ya29.old" };
    google.answer = ({ path, body, headers }) => {
      if (headers["authorization"] === "Bearer ya29.old") return { status: 401 };
      if (path !== "/token") return null;
      const claims = new URLSearchParams(body.toString()).get("assertion")?.split(".")[1] ?? "";
      if (!Buffer.from(claims, "base64url").toString().includes("old@test")) return granted;
      return where === "the login refuses" ? grant("Invalid JWT Signature.") : { status: 200, json: old };
    };
    const key = google.keyFile();
    const { outcomes } = await probe([
      { url, op: "put", env: { GOOGLE_APPLICATION_CREDENTIALS: key } },
      {
        url,
        op: "head, then head with another key file",
        path: key,
        env: { GOOGLE_APPLICATION_CREDENTIALS: google.keyFile({ client_email: "old@test" }) },
      },
    ]);
    expect(outcomes[1]).toMatchObject({ value: [expect.stringContaining(message), { sizeBytes: 7 }] });
  });

  test("is of no use without trust in the authority, which is said", async () => {
    tokens(granted);
    const { outcomes } = await probe([{ url, op: "put" }], {
      SSL_CERT_FILE: "",
      GOOGLE_APPLICATION_CREDENTIALS: google.keyFile(),
    });
    expect(outcomes[0]).toMatchObject({
      code: "network-unreachable",
      retryable: true,
      hint: expect.stringContaining("SSL_CERT_FILE"),
    });
    expect(outcomes[0]?.message).toContain("oauth2.googleapis.com");
  });
});

describe("a workload's identity", () => {
  test("is exchanged for a token, and that for an account's, each through the proxy of its scheme", async () => {
    await using plain = await startForwardProxy();
    const expireTime = new Date(Date.now() + 3_600_000).toISOString();
    await using iam = await HttpHost.start(() => jsonReply({ accessToken: token, expireTime }));
    const exchanged = {
      ...granted.json,
      access_token: "ya29.exchanged",
      issued_token_type: `${kind}access_token`,
    };
    google.answer = ({ host }) => (host === "sts.googleapis.com" ? { status: 200, json: exchanged } : null);
    const path = google.file(
      JSON.stringify({
        type: "external_account",
        audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
        subject_token_type: `${kind}jwt`,
        token_url: "https://sts.googleapis.com/v1/token",
        service_account_impersonation_url: `${iam.origin}/v1/${accountEmail}:generateAccessToken`,
        credential_source: { file: google.file("subject-token") },
      }),
    );
    const { outcomes } = await probe([{ url, op: "list" }], {
      GOOGLE_APPLICATION_CREDENTIALS: path,
      HTTP_PROXY: plain.url,
      NO_PROXY: "",
    });
    expect(outcomes[0]).toMatchObject({ value: expect.any(Array) });
    const sts = google.requests.findLast(({ host }) => host === "sts.googleapis.com");
    expect(sts?.body.toString()).toContain("subject-token");
    expect(plain.requests).toHaveLength(1);
    expect(iam.requests[0]?.headers.get("authorization")).toBe("Bearer ya29.exchanged");
    expect(google.requests.at(-1)?.headers["authorization"]).toBe(`Bearer ${token}`);
  });
});

const kind = "urn:ietf:params:oauth:token-type:";

function jsonReply(body: object): Reply {
  return { status: 200, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

describe("a host without a key file", () => {
  test("is told so at once, and what may be done", async () => {
    const { outcomes } = await probe([{ url, op: "head" }]);
    expect(outcomes[0]).toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("no Google credentials on this host"),
      hint: expect.stringContaining("anonymous=true"),
    });
  });

  test("does not wait for a metadata server that never answers", async () => {
    using hole = startBlackHole();
    const { outcomes } = await probe([{ url, op: "head" }], { GCE_METADATA_HOST: `127.0.0.1:${hole.port}` });
    expect(outcomes[0]).toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("no Google"),
    });
  });

  test("uses the machine's account; a machine without one is told so", async () => {
    google.answer = () => null;
    const flavor = { "Metadata-Flavor": "Google" };
    await using machine = await HttpHost.start(({ path }) =>
      path.includes("/token")
        ? {
            status: 200,
            headers: { ...flavor, "Content-Type": "application/json" },
            body: JSON.stringify(granted.json),
          }
        : { status: 200, headers: flavor, body: "instance" },
    );
    const env = { GCE_METADATA_HOST: machine.origin };
    const works = await probe([{ url, op: "list" }], env);
    expect(works.outcomes[0]).toMatchObject({ value: expect.any(Array) });
    expect(google.requests.at(-1)?.headers["authorization"]).toBe(`Bearer ${token}`);
    machine.fail({ reply: { status: 404, headers: flavor } }, { path: /token/, times: 9 });
    const bare = await probe([{ url, op: "list" }], env);
    expect(bare.outcomes[0]).toMatchObject({
      code: "unauthorized",
      message: expect.stringContaining("metadata server"),
      hint: expect.stringContaining("service account"),
    });
  });

  test("reads a public bucket when it is told to, without looking for credentials", async () => {
    google.answer = () => null;
    const before = google.requests.length;
    const { outcomes } = await probe([{ url: `${url}?anonymous=true`, op: "list" }]);
    expect(outcomes[0]).toMatchObject({ value: expect.any(Array) });
    const asked = google.requests.slice(before);
    expect(asked.map(({ headers }) => headers["authorization"])).toEqual([undefined]);
  });
});

describe("the compiled program", () => {
  test("goes through the proxy and trusts private authorities, by either variable", async () => {
    tokens(granted);
    using dir = tempDir();
    const binary = join(dir.path, "probe");
    const flags = ["--compile", "--minify", "--bytecode", "--format=cjs", `--outfile=${binary}`];
    const built = Bun.spawnSync([process.execPath, "build", ...flags, program], { stderr: "pipe" });
    expect(built.exitCode).toBe(0);
    const path = join(dir.path, "large");
    writeFileSync(path, Buffer.alloc(9_000_000, 1));
    const steps: readonly ProbeStep[] = [
      { url, op: "putFile", path },
      { url, op: "fetchFile", path: join(dir.path, "out") },
    ];
    const key = { GOOGLE_APPLICATION_CREDENTIALS: google.keyFile() };
    const before = google.tunnels.length;
    const first = await probe(steps, key, [binary]);
    expect(first.outcomes).toMatchObject([{ value: "done" }, { value: expect.stringMatching(/^sha256:/) }]);
    expect(google.tunnels.length).toBeGreaterThan(before);
    const other = { ...key, SSL_CERT_FILE: "", NODE_EXTRA_CA_CERTS: google.ca };
    const second = await probe(steps.slice(0, 1), other, [binary]);
    expect(second.outcomes).toMatchObject([{ value: "done" }]);
  }, 30_000);

  test("an emulator with a private authority is reached by STORAGE_EMULATOR_HOST, past the proxy, without a login", async () => {
    await using emulator = await startGcs({ tls: true });
    await emulator.createBucket(bucket);
    const before = [google.requests.length, google.tunnels.length];
    const { outcomes } = await probe(
      [
        { url, op: "put" },
        { url, op: "get" },
      ],
      {
        ...emulator.env,
        SSL_CERT_FILE: emulator.ca ?? "",
      },
    );
    expect(outcomes).toMatchObject([{ value: expect.any(String) }, { value: "content" }]);
    expect([google.requests.length, google.tunnels.length]).toEqual(before);
  });
});
