import type { Reply } from "../support/http-host.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
export function s3(
  status: number,
  code: string,
  more = "",
  headers: Record<string, string> = {},
  message = "As S3 says it.",
): Reply {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message>${more}<RequestId>4442587FB7D0A2F9</RequestId></Error>`;
  return { status, headers: { "Content-Type": "application/xml", ...headers }, body };
}

const signed = `<AWSAccessKeyId>AKIAEXAMPLEKEYID</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 20261121 StringToSign</StringToSign><SignatureProvided>5ec2e75167a7ece6</SignatureProvided>`;
const html = "<!doctype html><html><head><title>Welcome</title></head><body><p>Sign in<br></body></html>";

/** What it is, the answer, and the code, message and hint (null: none of its own) it becomes. */
export const table: readonly [string, Reply, string, RegExp, RegExp | null][] = [
  [
    "a wrong access key",
    s3(403, "InvalidAccessKeyId", signed),
    "unauthorized",
    /does not know the access key AKIA…EYID$/,
    /AWS_ACCESS_KEY_ID/,
  ],
  [
    "a wrong secret key",
    s3(403, "SignatureDoesNotMatch", signed),
    "unauthorized",
    /the secret key does not belong to the access key AKIA…EYID$/,
    /AWS_SECRET_ACCESS_KEY/,
  ],
  [
    "an expired token",
    s3(400, "ExpiredToken", "<Token-0>SECRETSESSIONTOKEN</Token-0>"),
    "unauthorized",
    /credentials have expired$/,
    /new temporary credentials/,
  ],
  ["a token to renew", s3(400, "TokenRefreshRequired"), "unauthorized", /have expired$/, /AWS_SESSION_TOKEN/],
  [
    "a wrong token",
    s3(400, "InvalidToken", "<Token-0>SECRETSESSIONTOKEN</Token-0>"),
    "unauthorized",
    /session token is not valid$/,
    /unset AWS_SESSION_TOKEN/,
  ],
  [
    "no right to do it",
    s3(
      403,
      "AccessDenied",
      "",
      {},
      "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: s3:GetObject",
    ),
    "unauthorized",
    /denies access \(AccessDenied: User: arn:aws:iam::123456789012:user\/ci is not/,
    /s3:ListBucket on releases .*s3:GetObject.*releases\/\*/,
  ],
  [
    "a missing bucket",
    s3(404, "NoSuchBucket"),
    "not-found",
    /there is no bucket releases at 127.0.0.1:\d+$/,
    /create the bucket/,
  ],
  [
    "another region (301)",
    s3(301, "PermanentRedirect", "<Endpoint>releases.s3.eu-west-1.amazonaws.com</Endpoint>", {
      "x-amz-bucket-region": "eu-west-1",
    }),
    "http-status",
    /releases is in the region eu-west-1, not in eu-central-1$/,
    /s3:\/\/eu-west-1\/releases\/… or add region=eu-west-1|s3:\/\/eu-west-1\/releases\/…, or add region=eu-west-1/,
  ],
  [
    "another region, bodyless",
    { status: 301, headers: { "x-amz-bucket-region": "eu-west-1" } },
    "http-status",
    /region eu-west-1/,
    /region=eu-west-1/,
  ],
  [
    "another region, unnamed",
    s3(301, "PermanentRedirect"),
    "http-status",
    /is in another region, not in eu-central-1$/,
    /<its region>/,
  ],
  [
    "another region (400)",
    s3(400, "AuthorizationHeaderMalformed", "<Region>us-west-2</Region>"),
    "http-status",
    /region us-west-2/,
    /region=us-west-2/,
  ],
  [
    "another region, in words",
    s3(400, "AuthorizationHeaderMalformed", "", {}, "the region 'x' is wrong; expecting 'us-east-2'"),
    "http-status",
    /region us-east-2/,
    /region=us-east-2/,
  ],
  [
    "a region's constraint",
    s3(
      400,
      "IllegalLocationConstraintException",
      "",
      {},
      "The eu-west-3 location constraint is incompatible",
    ),
    "http-status",
    /another region/,
    /region=/,
  ],
  [
    "a redirect for a while",
    s3(307, "TemporaryRedirect", "", { Location: "https://elsewhere.example/" }),
    "http-status",
    /another region/,
    /region=/,
  ],
  [
    "a wrong clock",
    s3(403, "RequestTimeTooSkewed", "<RequestTime>20261121T000000Z</RequestTime>"),
    "unauthorized",
    /clock and that of 127.0.0.1:\d+ are too far apart$/,
    /timedatectl set-ntp true/,
  ],
  [
    "too many requests, by name",
    s3(503, "SlowDown"),
    "rate-limited",
    /wants fewer requests, status 503 \(SlowDown\)$/,
    null,
  ],
  [
    "too many requests, by status",
    { status: 429, headers: { "Retry-After": "7" }, body: "" },
    "rate-limited",
    /wants fewer requests, status 429$/,
    null,
  ],
  [
    "out of order, come back",
    s3(503, "ServiceUnavailable", "", { "Retry-After": "9" }),
    "rate-limited",
    /status 503 \(ServiceUnavailable\)/,
    null,
  ],
  [
    "out of order",
    s3(503, "ServiceUnavailable"),
    "http-status",
    /answered 503 \(ServiceUnavailable: As S3 says it\.\)$/,
    null,
  ],
  ["an internal error", s3(500, "InternalError"), "http-status", /answered 500 \(InternalError/, null],
  [
    "an internal error, bodyless",
    { status: 502, headers: {}, body: "" },
    "http-status",
    /answered 502$/,
    null,
  ],
  ["no room", s3(507, "XMinioStorageFull"), "http-status", /has no room left/, /make room/],
  [
    "what the service can't do",
    s3(501, "NotImplemented"),
    "http-status",
    /can't do this \(NotImplemented/,
    /conditional writes/,
  ],
  ["something new", s3(400, "KeyTooLongError"), "http-status", /answered 400/, null],
  [
    "words full of secrets",
    s3(
      400,
      "Odd",
      "",
      {},
      "sent https://h/k?X-Amz-Signature=5ec2e75167a7ece6&amp;a=b with Signature=5ec2e75167a7ece6 and AKIAEXAMPLEKEYID",
    ),
    "http-status",
    /answered 400 \(Odd: sent https:\/\/h\/k with \*\*\* and \*\*\*\)$/,
    null,
  ],
  [
    "a web page that denies",
    { status: 403, headers: { "Content-Type": "text/html" }, body: html },
    "bad-answer",
    /answered status 403, which is no answer of S3$/,
    /endpoint=/,
  ],
  [
    "a web page not found",
    { status: 404, headers: { "Content-Type": "text/html" }, body: html },
    "bad-answer",
    /answered status 404, which is no answer of S3$/,
    /endpoint=/,
  ],
  [
    "a web page",
    { status: 200, headers: { "Content-Type": "text/html" }, body: html },
    "bad-answer",
    /no answer of S3|answered no listing/,
    /endpoint=/,
  ],
  [
    "a redirect to a web page",
    { status: 302, headers: { Location: "https://login.example/" } },
    "bad-answer",
    /status 302, which is no answer of S3$/,
    /proxy/,
  ],
  [
    "broken XML",
    { status: 400, headers: { "Content-Type": "application/xml" }, body: "<Error><Code>Acc" },
    "bad-answer",
    /no answer of S3$/,
    /endpoint=/,
  ],
];
