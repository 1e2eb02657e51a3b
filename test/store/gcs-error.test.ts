import { describe, expect, test } from "bun:test";
import type { DewyError } from "../../src/errors.ts";
import { authError } from "../../src/store/gcs/auth-error.ts";
import { clean } from "../../src/store/gcs/clean.ts";
import { answerError, bucketMissing, isBucketMissing, refusalOf } from "../../src/store/gcs/error.ts";

const now = new Date("2026-11-21T12:00:00Z");
const task = {
  doing: "read gs://bucket/key",
  bucket: "bucket",
  host: "storage.googleapis.com",
  authenticated: true,
};

interface Case {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly authenticated?: boolean;
}

function failure({ status, text, headers = {}, authenticated = true }: Case): DewyError {
  const type = text.startsWith("{") ? "application/json; charset=UTF-8" : "text/html; charset=UTF-8";
  const answer = { status, text, headers: new Headers({ "content-type": type, ...headers }) };
  return answerError(answer, { ...task, authenticated }, now);
}

function json(status: number, message: string, reason = "forbidden"): Case {
  const error = { code: status, message, errors: [{ message, domain: "global", reason }] };
  return { status, text: JSON.stringify({ error }) };
}

const email = "deployer@project.iam.gserviceaccount.com";
const denied = (permission: string) =>
  `${email} does not have ${permission} access to the Google Cloud Storage object. Permission '${permission}' denied on resource (or it may not exist).`;
const skewed = "<?xml version='1.0'?><Error><Code>RequestTimeTooSkewed</Code></Error>";
const xml = { "content-type": "application/xml" };
const htmlPage = "<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title>secret</html>";

describe("an answer of Google Cloud Storage as an error", () => {
  test.each<[string, Case, Partial<DewyError>, RegExp | undefined]>([
    ["an expired token", json(401, "Invalid Credentials", "authError"), { code: "unauthorized" }, /new key/],
    [
      "no token for a private bucket",
      { ...json(401, "Anonymous caller does not have storage.objects.get access"), authenticated: false },
      { code: "unauthorized" },
      /not public/,
    ],
    [
      "no right to read",
      json(403, denied("storage.objects.get")),
      { code: "unauthorized", retryable: false },
      /^storage.objects.get is missing: grant roles\/storage.objectViewer on gs:\/\/bucket to deployer@project.iam.gserviceaccount.com$/,
    ],
    ["no right to list", json(403, denied("storage.objects.list")), {}, /objects.list .*objectViewer/],
    ["no right to write", json(403, denied("storage.objects.create")), {}, /objects.create .*objectUser/],
    ["no right to replace", json(403, denied("storage.objects.delete")), {}, /objects.delete .*objectUser/],
    [
      "a refusal without words",
      json(403, "Forbidden"),
      { code: "unauthorized" },
      /roles\/storage.objectUser/,
    ],
    [
      "no right and no token",
      { ...json(403, "Anonymous caller does not have …"), authenticated: false },
      {},
      /not public/,
    ],
    [
      "no billing",
      json(403, "The billing account for the owning project is disabled in state absent", "accountDisabled"),
      { code: "unauthorized" },
      /billing/,
    ],
    [
      "a perimeter",
      json(403, "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: x"),
      {},
      /perimeter/,
    ],
    [
      "requester pays",
      json(400, "Bucket is a requester pays bucket but no user project provided.", "required"),
      { code: "http-status", retryable: false },
      /requester pays/,
    ],
    ["a retention policy", json(403, "Object is subject to bucket's retention policy"), {}, /retention/],
    ["a skewed clock", { status: 403, text: skewed, headers: xml }, { code: "unauthorized" }, /clock/],
    [
      "no such bucket",
      json(404, "The specified bucket does not exist.", "notFound"),
      { code: "not-found" },
      /create the bucket/,
    ],
    ["no such object", json(404, "No such object: bucket/key", "notFound"), { code: "not-found" }, undefined],
    [
      "a lost condition",
      json(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet"),
      { code: "http-status", retryable: false },
      undefined,
    ],
    [
      "a wrong request",
      json(400, "Invalid bucket name", "invalid"),
      { code: "http-status", retryable: false },
      undefined,
    ],
    [
      "a limit with a time",
      {
        ...json(429, "The rate of change requests to the object exceeds the rate limit."),
        headers: { "retry-after": "7" },
      },
      { code: "rate-limited", retryAfterMs: 7000 },
      undefined,
    ],
    ["a limit without one", json(429, "Too many"), { code: "rate-limited", retryAfterMs: 5000 }, undefined],
    [
      "a limit as 403",
      json(403, "Slow down", "userRateLimitExceeded"),
      { code: "rate-limited", retryAfterMs: 5000 },
      undefined,
    ],
    [
      "a broken service",
      json(503, "We encountered an internal error. Please try again.", "backendError"),
      { code: "http-status", retryable: true },
      undefined,
    ],
    [
      "a broken service that names a time",
      { status: 503, text: "", headers: { "retry-after": "9" } },
      { code: "http-status", retryAfterMs: 9000 },
      undefined,
    ],
    ["a slow request", { status: 408, text: "" }, { code: "http-status", retryable: true }, undefined],
    ["a front's page", { status: 502, text: htmlPage }, { code: "http-status", retryable: true }, undefined],
    ["a proxy that wants a login", { status: 407, text: htmlPage }, { code: "unauthorized" }, /HTTPS_PROXY/],
    ["a captive portal", { status: 302, text: "" }, { code: "http-status", retryable: false }, /redirects/],
  ])("%s", (_, given, wanted, hint) => {
    const error = failure(given);
    expect(error).toMatchObject(wanted);
    expect(error.message).toMatch(/^read gs:\/\/bucket\/key: /);
    expect(error.message).not.toContain("\n");
    expect(`${error.message} ${error.cause}`).not.toContain("secret");
    if (hint === undefined) expect(error.hint).toBeUndefined();
    else expect(error.hint).toMatch(hint);
    expect(refusalOf(error)?.status).toBe(given.status);
  });

  test("a 404 tells whose it is, or does not", () => {
    const whose = (text: string) => {
      const refusal = refusalOf(failure({ status: 404, text }));
      return refusal === null ? "no refusal" : isBucketMissing(refusal);
    };
    expect(whose(json(404, "The specified bucket does not exist.").text)).toBe(true);
    expect(whose(json(404, "No such object: bucket/bucket does not matter").text)).toBe(false);
    expect(whose(json(404, "Not Found").text)).toBeNull();
    expect(bucketMissing(task).message).toBe("read gs://bucket/key: the bucket bucket does not exist");
  });
});

test.each([
  ["Bearer ya29.a0AfH6SM-secret_x", "***"],
  ["token ya29.secret was refused", "token *** was refused"],
  ["jwt eyJhbGciOi.secret.x-y_z", "jwt ***"],
  ["key -----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY----- end", "key *** end"],
  ["cut off -----BEGIN PRIVATE KEY-----\nsecret", "cut off ***"],
  ['{"refresh_token": "1//secret", "client_secret":"secret"}', '{"***", "***"}'],
  ["see https://h/o?upload_id=secret&x=secret for more", "see https://h/o*** for more"],
  ["two\n\n lines ", "two lines"],
  ["x".repeat(1000), "x".repeat(300)],
])("clean: %j becomes %j", (text, wanted) => {
  expect(clean(text)).toBe(wanted);
});

/** As gaxios throws them. */
function loginFailure(status: number, data: unknown, date = now): Error {
  return Object.assign(new Error(`Request failed with status code ${status}`), {
    config: { url: new URL("https://oauth2.googleapis.com/token?assertion=secret") },
    response: { status, data, headers: new Headers({ date: date.toUTCString() }) },
  });
}

const grant = (description: string) => ({ error: "invalid_grant", error_description: description });
const badTimes =
  "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.";
const cut = Object.assign(new Error("The socket connection was closed"), { code: "ECONNRESET" });
const untrusted = Object.assign(new Error("self signed"), { code: "SELF_SIGNED_CERT_IN_CHAIN" });
const wrap = (cause: unknown) =>
  Object.assign(new Error("request failed", { cause }), {
    config: { url: "https://oauth2.googleapis.com/token" },
  });

const late = Object.assign(new Error("Could not refresh access token: The operation timed out."), {
  config: { url: "https://oauth2.googleapis.com/token" },
});

describe("a failed login as an error", () => {
  test.each<[string, unknown, string, RegExp, RegExp | undefined]>([
    [
      "a clock behind",
      loginFailure(400, grant(badTimes), new Date(now.getTime() + 7_200_000)),
      "unauthorized",
      /clock is wrong by 120 min \(behind\)/,
      /set the clock/,
    ],
    [
      "a clock ahead",
      loginFailure(400, grant(badTimes), new Date(now.getTime() - 5_400_000)),
      "unauthorized",
      /by 90 min \(ahead\)/,
      /set the clock/,
    ],
    [
      "a clock, by how much is unknown",
      loginFailure(400, grant(badTimes)),
      "unauthorized",
      /clock is wrong,/,
      /set the clock/,
    ],
    [
      "a deleted key",
      loginFailure(400, grant("Invalid JWT Signature.")),
      "unauthorized",
      /does not know this key/,
      /new key/,
    ],
    [
      "a deleted account",
      loginFailure(400, grant("Invalid grant: account not found")),
      "unauthorized",
      /deleted or disabled/,
      /another account/,
    ],
    [
      "a user's login that expired",
      loginFailure(400, grant("Token has been expired or revoked.")),
      "unauthorized",
      /expired or was revoked/,
      /auth application-default login/,
    ],
    [
      "a user's login that must be renewed",
      loginFailure(400, { ...grant("reauth related error (invalid_rapt)") }),
      "unauthorized",
      /expired or was revoked/,
      /login/,
    ],
    [
      "an unknown client",
      loginFailure(401, { error: "invalid_client" }),
      "unauthorized",
      /does not accept/,
      /credentials file/,
    ],
    [
      "no right to impersonate",
      loginFailure(403, { error: { message: "Permission 'iam.serviceAccounts.getAccessToken' denied" } }),
      "unauthorized",
      /may not be impersonated/,
      /serviceAccountTokenCreator/,
    ],
    ["a limit", loginFailure(429, {}), "rate-limited", /answered 429/, undefined],
    [
      "a broken login server",
      loginFailure(503, "<html>"),
      "http-status",
      /oauth2.googleapis.com answered 503/,
      undefined,
    ],
    [
      "something else",
      loginFailure(418, { error: "teapot" }),
      "unauthorized",
      /answered 418 .*teapot/,
      /GOOGLE_APPLICATION_CREDENTIALS/,
    ],
    [
      "no credentials",
      new Error("Could not load the default credentials. Browse to …"),
      "unauthorized",
      /no Google credentials/,
      /anonymous=true/,
    ],
    ["no connection", wrap(cut), "network-unreachable", /oauth2.googleapis.com \(ECONNRESET\)/, undefined],
    ["an unknown authority", wrap(untrusted), "network-unreachable", /no trusted TLS/, /SSL_CERT_FILE/],
    ["silence", late, "network-timeout", /no answer to the login from oauth2.googleapis.com/, undefined],
  ])("%s", (_, error, code, message, hint) => {
    const failure = authError(error, "read gs://bucket/key", now);
    expect<string>(failure.code).toBe(code);
    expect(failure.message).toMatch(message);
    expect(`${failure.message} ${failure.hint}`).not.toContain("secret");
    expect(failure.message).not.toContain("\n");
    if (hint === undefined) expect(failure.hint).toBeUndefined();
    else expect(failure.hint).toMatch(hint);
  });
});
