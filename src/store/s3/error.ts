import { DewyError, toDewyError } from "../../errors.ts";
import { networkError } from "../../http/error.ts";
import { limitMs, statusError } from "../../http/status.ts";
import { refusalOf, type S3Refusal } from "./answer.ts";
import { SendError } from "./transport.ts";

/** What an operation was about, for its errors. */
export interface S3Target {
  /** `get a/key from s3://region/bucket`; begins every message. */
  readonly doing: string;
  readonly bucket: string;
  readonly region: string;
  /** `host[:port]` */
  readonly host: string;
}

type Explain = (refusal: S3Refusal, target: S3Target) => DewyError;

/** S3's SlowDown seldom says how long; its own clients begin again within seconds. */
const slowDownMs = 10_000;

/** Anything the AWS library throws → one line with cause and remedy, without a secret. */
export function s3Error(error: unknown, target: S3Target, now: Date): DewyError {
  if (error instanceof DewyError) return error;
  const { doing } = target;
  if (error instanceof SendError) {
    const { cause, host } = error;
    if (!(cause instanceof DewyError)) return networkError(cause, doing, host);
    return new DewyError(cause.code, `${doing}: ${cause.message.replace(/^[^:]*: /, "")}`);
  }
  const refusal = refusalOf(error);
  if (refusal !== null) return refusalError(refusal, target, now);
  return unknownError(error, target);
}

/** Whether the service knows us, and only this is not allowed: no reason to leave it alone. */
export function isDenied(error: unknown): boolean {
  return denials.has(refusalOf(error)?.code ?? "");
}

function refusalError(refusal: S3Refusal, target: S3Target, now: Date): DewyError {
  const { status, headers } = refusal;
  // What S3 says itself of a success, or of nothing at all, is not what a bucket answers.
  if (status < 300) return notS3(target, `status ${status} with something else`);
  const known = explanations[refusal.code ?? ""] ?? (refusal.code === null ? byStatus[status] : undefined);
  if (known !== undefined) return known(refusal, target);
  const said = describe(refusal);
  const line = { status, headers, said };
  // S3 limits with 503, too, and knows no x-ratelimit headers of GitHub's kind.
  const waitMs = status === 429 || status === 503 ? limitMs(line, now) : null;
  if (waitMs !== null) return limited(target, refusal, waitMs);
  if (refusal.code === null && status < 500) return notS3(target, `status ${status}`);
  return statusError(line, null, target.doing, target.host);
}

const denials: ReadonlySet<string> = new Set(["AccessDenied", "AllAccessDisabled"]);

const denied: Explain = (refusal, { doing, bucket, host }) =>
  new DewyError("unauthorized", `${doing}: ${host} denies access (${describe(refusal)})`, {
    hint: `allow these credentials s3:ListBucket on ${bucket} and s3:GetObject, s3:PutObject and s3:DeleteObject on ${bucket}/*; without s3:ListBucket a missing key counts as denied, too`,
  });

const wrongSecret: Explain = ({ keyId }, { doing, host }) =>
  new DewyError(
    "unauthorized",
    `${doing}: the secret key does not belong to the access key${masked(keyId)}`,
    {
      hint: `set the AWS_SECRET_ACCESS_KEY that ${host} knows, or correct the profile in ~/.aws/credentials`,
    },
  );

const wrongKey: Explain = ({ keyId }, { doing, host }) =>
  new DewyError("unauthorized", `${doing}: ${host} does not know the access key${masked(keyId)}`, {
    hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name another profile in AWS_PROFILE",
  });

const expired: Explain = (_, { doing }) =>
  new DewyError("unauthorized", `${doing}: the credentials have expired`, {
    hint: "get new temporary credentials and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or let dewy use a role, which renews itself",
  });

const wrongToken: Explain = (_, { doing }) =>
  new DewyError("unauthorized", `${doing}: the session token is not valid`, {
    hint: "unset AWS_SESSION_TOKEN if the access key is a permanent one; else set all three AWS_… variables from one answer",
  });

const skewed: Explain = (_, { doing, host }) =>
  new DewyError("unauthorized", `${doing}: this host's clock and that of ${host} are too far apart`, {
    hint: "set this host's clock (timedatectl set-ntp true)",
  });

const noBucket: Explain = (_, { doing, bucket, host }) =>
  new DewyError("not-found", `${doing}: there is no bucket ${bucket} at ${host}`, {
    hint: "create the bucket, or correct its name and region in the URL: s3://region/bucket/prefix",
  });

const wrongRegion: Explain = ({ region: right, said }, { doing, bucket, region }) => {
  const named = right ?? /(?:expecting|region is) '?([a-z0-9-]+)/i.exec(said)?.[1] ?? null;
  const place = named === null || named === region ? "another region" : `the region ${named}`;
  const write = place === "another region" ? "<its region>" : named;
  return new DewyError("http-status", `${doing}: the bucket ${bucket} is in ${place}, not in ${region}`, {
    hint: `write s3://${write}/${bucket}/…, or add region=${write} to the URL`,
    retryable: false,
  });
};

const slowDown: Explain = (refusal, target) =>
  limited(target, refusal, limitMs({ ...refusal, said: "" }, new Date()) ?? slowDownMs);

const unsupported: Explain = (refusal, { doing, host }) =>
  new DewyError("http-status", `${doing}: ${host} can't do this (${describe(refusal)})`, {
    hint: "dewy needs an S3 service with conditional writes (If-Match, If-None-Match) and multipart uploads",
    retryable: false,
  });

const full: Explain = (refusal, { doing, host }) =>
  new DewyError("http-status", `${doing}: ${host} has no room left (${describe(refusal)})`, {
    hint: "make room in the bucket or raise its quota; dewy tries again by itself",
  });

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what MinIO adds. */
const explanations: Readonly<Record<string, Explain | undefined>> = {
  AccessDenied: denied,
  AllAccessDisabled: denied,
  InvalidAccessKeyId: wrongKey,
  SignatureDoesNotMatch: wrongSecret,
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  TokenRefreshRequired: expired,
  InvalidToken: wrongToken,
  InvalidTokenId: wrongToken,
  InvalidClientTokenId: wrongToken,
  RequestTimeTooSkewed: skewed,
  RequestExpired: skewed,
  NoSuchBucket: noBucket,
  PermanentRedirect: wrongRegion,
  TemporaryRedirect: wrongRegion,
  AuthorizationHeaderMalformed: wrongRegion,
  IllegalLocationConstraintException: wrongRegion,
  IncorrectEndpoint: wrongRegion,
  SlowDown: slowDown,
  SlowDownRead: slowDown,
  SlowDownWrite: slowDown,
  Throttling: slowDown,
  ThrottlingException: slowDown,
  RequestLimitExceeded: slowDown,
  TooManyRequests: slowDown,
  NotImplemented: unsupported,
  MethodNotAllowed: unsupported,
  QuotaExceeded: full,
  XMinioStorageFull: full,
  XMinioAdminBucketQuotaExceeded: full,
};

/** Of answers without a code. */
const byStatus: Readonly<Record<number, Explain | undefined>> = {
  301: wrongRegion,
  307: wrongRegion,
};

function limited({ doing, host }: S3Target, refusal: S3Refusal, retryAfterMs: number): DewyError {
  const said = refusal.code === null ? "" : ` (${refusal.code})`;
  const text = `${doing}: ${host} wants fewer requests, status ${refusal.status}${said}`;
  return new DewyError("rate-limited", text, { retryAfterMs });
}

export function notS3({ doing, host }: S3Target, what: string): DewyError {
  return new DewyError("bad-answer", `${doing}: ${host} answered ${what}, which is no answer of S3`, {
    hint: "check endpoint= in the URL (or AWS_ENDPOINT_URL_S3) and any proxy on the way",
  });
}

/** A body that can't be parsed carries no status; the library's words would quote it. */
function unknownError(error: unknown, target: S3Target): DewyError {
  const known = toDewyError(error, target.doing);
  if (known.code !== "internal") return known;
  return notS3(target, "something unreadable");
}

/** `NoSuchKey: The specified key does not exist.` */
function describe({ code, said }: S3Refusal): string {
  return [code ?? "", cleaned(said)].filter((part) => part !== "").join(": ");
}

/** Services repeat what they were sent: signatures, signed addresses, keys. */
function cleaned(said: string): string {
  if (/^Unknown(Error)?$/.test(said) || said.includes("$response")) return "";
  return said
    .replace(/\s+/g, " ")
    .replace(/\?\S*/g, "")
    .replace(/\b(AWS4-HMAC-SHA256|Signature|Credential|X-Amz-[\w-]+)\b[=:]?\S*/gi, "***")
    .replace(/\b[A-Z0-9]{16,}\b|[\w+/=]{32,}/g, "***")
    .trim()
    .slice(0, 200);
}

/** ` AKIA…WXYZ`: enough to tell which one it is. */
function masked(keyId: string | null): string {
  return keyId === null || keyId.length < 12 ? "" : ` ${keyId.slice(0, 4)}…${keyId.slice(-4)}`;
}
